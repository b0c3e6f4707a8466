package import Settings

/// The settings of the place that objects are written to.
package enum ObjectStoreSetting {
    package static let output = Setting(
        "BDA_OUTPUT", .url(schemes: ["s3", "file"]), whenUnset: "s3://$BDA_S3_BUCKET",
        "object store: s3://bucket/prefix, or file:///folder for files on this machine")
    package static let bucket = Setting(
        "BDA_S3_BUCKET", .name, whenUnset: "required unless BDA_OUTPUT is set", "S3 bucket")
    package static let region = Setting(
        "BDA_S3_REGION", .name, default: "eu-central-1", "AWS region that requests are signed for")
    package static let endpoint = Setting(
        "BDA_S3_ENDPOINT", .url(schemes: ["https", "http"]), whenUnset: "the endpoint of AWS",
        "URL of an S3-compatible store; AWS_CA_BUNDLE names the PEM file of its certificate authorities")
    package static let usesPathStyle = Setting(
        "BDA_S3_PATH_STYLE", .boolean, default: false, "true puts the bucket in the path instead of the host name")
    package static let encryption = Setting(
        "BDA_S3_SSE", .oneOf(["AES256", "aws:kms", "aws:kms:dsse"]), whenUnset: "the bucket's default",
        "server-side encryption of each object")
    package static let kmsKeyID = Setting(
        "BDA_S3_KMS_KEY_ID", .text, whenUnset: "the account's default key", "KMS key for BDA_S3_SSE=aws:kms")
    package static let storageClass = Setting(
        "BDA_S3_STORAGE_CLASS", .name, whenUnset: "STANDARD", "storage class of each object")
    package static let tags = Setting(
        "BDA_S3_TAGS", .list, whenUnset: "no tags", "tags of each object: key=value, separated by commas")
    package static let bucketOwner = Setting(
        "BDA_S3_BUCKET_OWNER", .name, whenUnset: "not checked",
        "account number of the bucket's owner; S3 refuses requests if another account owns the bucket")

    package static let section = SettingSection(
        "Object store",
        [
            output, bucket, region, endpoint, usesPathStyle, encryption, kmsKeyID, storageClass, tags, bucketOwner,
        ])
}
