import Settings

/// The address of a bucket and the properties of its objects.
///
/// Besides the settings of `ObjectStoreSetting`, the variables of the AWS SDKs are read: credentials, `AWS_CA_BUNDLE`,
/// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REQUEST_CHECKSUM_CALCULATION=when_required`.
package struct S3Configuration: Sendable {
    package let bucket: String
    /// The text before each key; empty for the whole bucket.
    package let prefix: String
    /// The region that requests are signed for.
    package let region: String

    /// Host and port that requests go to.
    let server: HTTPServer
    /// Whether the bucket is part of the path instead of the host name.
    let usesPathStyle: Bool
    /// The headers of each write: encryption, storage class, tags.
    let writeHeaders: [(name: String, value: String)]
    /// The account that must own the bucket.
    let bucketOwner: String?
    /// Whether checksums are sent in `x-amz-checksum-sha256`.
    let sendsChecksums: Bool
    /// The PEM file of certificate authorities that replaces the system's.
    let caFile: String?
    let credentials: CredentialSettings

    init(bucket: String, prefix: String, settings: inout SettingsReader, environment: [String: String]) {
        Self.checkBucket(bucket, prefix, &settings)
        self.bucket = bucket
        self.prefix = prefix
        region = settings[ObjectStoreSetting.region]
        bucketOwner = settings[ObjectStoreSetting.bucketOwner]
        if let bucketOwner, bucketOwner.count != 12 || !bucketOwner.allSatisfy(\.isASCIIDigit) {
            settings.refuse(
                ObjectStoreSetting.bucketOwner.name, problem: "'\(bucketOwner)' is not an account's 12 digits")
        }
        writeHeaders =
            Self.encryption(&settings) + Self.storageClass(&settings) + Self.tags(&settings)

        let suffix = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        let service =
            Self.endpoint(&settings, environment) ?? HTTPServer(isSecure: true, host: "s3.\(region).\(suffix)")
        // A bucket below an IP address has no DNS name, and no certificate matches a bucket with a dot.
        usesPathStyle =
            settings[ObjectStoreSetting.usesPathStyle] || service.isAddress || service.isSecure && bucket.contains(".")
        server =
            usesPathStyle
            ? service : HTTPServer(isSecure: service.isSecure, host: "\(bucket).\(service.host)", port: service.port)
        // The SDKs' own names of these two settings.
        sendsChecksums = environment["AWS_REQUEST_CHECKSUM_CALCULATION"]?.lowercased() != "when_required"
        caFile = environment["AWS_CA_BUNDLE"].flatMap { $0.isEmpty ? nil : $0 }
        credentials = CredentialSettings(environment: environment, region: region)
    }

    /// Checks the rules that all stores share; the error names BDA_OUTPUT or BDA_S3_BUCKET.
    private static func checkBucket(_ bucket: String, _ prefix: String, _ settings: inout SettingsReader) {
        let setting =
            settings[ObjectStoreSetting.output] == nil ? ObjectStoreSetting.bucket.name : ObjectStoreSetting.output.name
        let isName =
            (3...63).contains(bucket.utf8.count) && !bucket.contains("..")
            && bucket.allSatisfy { $0.isASCIIDigit || $0.isASCIILetter || $0 == "." || $0 == "-" || $0 == "_" }
            && [bucket.first!, bucket.last!].allSatisfy { $0.isASCIIDigit || $0.isASCIILetter }
        // An empty name has been reported as a missing setting.
        if !bucket.isEmpty, !isName {
            settings.refuse(setting, problem: "'\(bucket)' is not a bucket's name", hint: "s3://bucket/prefix")
        }
        do throws(InvalidKey) {
            _ = try ObjectKeySpace(prefix: prefix)
        } catch {
            settings.refuse(setting, problem: "the prefix '\(prefix)' is not allowed: \(error.problem)")
        }
    }

    private static func encryption(_ settings: inout SettingsReader) -> [(name: String, value: String)] {
        let method = settings[ObjectStoreSetting.encryption]
        let key = settings[ObjectStoreSetting.kmsKeyID]
        var headers = method.map { [(name: "x-amz-server-side-encryption", value: $0)] } ?? []
        if let key {
            if method?.hasPrefix("aws:kms") != true {
                settings.refuse(
                    ObjectStoreSetting.kmsKeyID.name, problem: "is for BDA_S3_SSE=aws:kms or aws:kms:dsse only")
            }
            if !key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
                settings.refuse(ObjectStoreSetting.kmsKeyID.name, problem: "has characters that no key id has")
            }
            headers.append(("x-amz-server-side-encryption-aws-kms-key-id", key))
        }
        return headers
    }

    private static func storageClass(_ settings: inout SettingsReader) -> [(name: String, value: String)] {
        guard let name = settings[ObjectStoreSetting.storageClass] else { return [] }
        if ["GLACIER", "DEEP_ARCHIVE"].contains(name) {
            settings.refuse(
                ObjectStoreSetting.storageClass.name,
                problem: "objects of class \(name) cannot be read until they are restored",
                hint: "GLACIER_IR can")
        } else if !name.allSatisfy({ $0.isASCIILetter && $0.isUppercase || $0 == "_" }) {
            settings.refuse(
                ObjectStoreSetting.storageClass.name, problem: "'\(name)' is not a storage class", hint: "STANDARD_IA")
        }
        return [("x-amz-storage-class", name)]
    }

    /// S3 accepts ten tags; a key has 1 to 128 characters, a value up to 256.
    private static func tags(_ settings: inout SettingsReader) -> [(name: String, value: String)] {
        let texts = settings[ObjectStoreSetting.tags] ?? []
        if texts.isEmpty { return [] }
        var tags: [(key: String, value: String)] = []
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, (1...128).contains(parts[0].count), parts[1].count <= 256,
                !tags.contains(where: { $0.key == parts[0] })
            else {
                settings.refuse(
                    ObjectStoreSetting.tags.name, problem: "'\(text)' is not key=value with a key of its own")
                continue
            }
            tags.append((parts[0], parts[1]))
        }
        if tags.count > 10 {
            settings.refuse(ObjectStoreSetting.tags.name, problem: "\(tags.count) tags, S3 accepts 10")
        }
        let pairs = tags.map { "\(PercentEncoding.encode($0.key))=\(PercentEncoding.encode($0.value))" }
        return [("x-amz-tagging", pairs.joined(separator: "&"))]
    }

    private static func endpoint(_ settings: inout SettingsReader, _ environment: [String: String]) -> HTTPServer? {
        if let url = settings[ObjectStoreSetting.endpoint] {
            if let server = HTTPServer(url: url) { return server }
            settings.refuse(
                ObjectStoreSetting.endpoint.name, problem: "'\(url)' is not https://host or https://host:port")
            return nil
        }
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
            guard let url = environment[name], !url.isEmpty else { continue }
            if let server = HTTPServer(url: url) { return server }
            settings.refuse(name, problem: "is not https://host or https://host:port")
        }
        return nil
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
    fileprivate var isASCIILetter: Bool { ("a"..."z").contains(self) || ("A"..."Z").contains(self) }
}
