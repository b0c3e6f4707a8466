import Settings
import Testing

@testable import ObjectStore

@Suite struct S3ConfigurationTests {
    @Test(arguments: [
        ("eu-central-1", "bucket", nil, "false", "https://bucket.s3.eu-central-1.amazonaws.com", false),
        ("cn-north-1", "bucket", nil, "false", "https://bucket.s3.cn-north-1.amazonaws.com.cn", false),
        ("eu-central-1", "bucket", nil, "true", "https://s3.eu-central-1.amazonaws.com", true),
        ("eu-central-1", "bu.cket", nil, "false", "https://s3.eu-central-1.amazonaws.com", true),
        ("eu-central-1", "bucket", "https://Minio.example:9000/", "false", "https://bucket.minio.example:9000", false),
        ("eu-central-1", "bucket", "https://minio.example:443", "true", "https://minio.example", true),
        ("eu-central-1", "bu.cket", "http://minio.example:80", "false", "http://bu.cket.minio.example", false),
        ("eu-central-1", "bucket", "http://127.0.0.1:8333", "false", "http://127.0.0.1:8333", true),
        ("eu-central-1", "bucket", "http://[::1]:8333", "false", "http://[::1]:8333", true),
    ])
    func `the bucket finds its host`(
        region: String, bucket: String, endpoint: String?, pathStyle: String, url: String, usesPath: Bool
    ) throws {
        var environment = ["BDA_OUTPUT": "s3://\(bucket)", "BDA_S3_REGION": region, "BDA_S3_PATH_STYLE": pathStyle]
        environment["BDA_S3_ENDPOINT"] = endpoint
        let configuration = try s3(environment)
        #expect(configuration.server.url == url)
        #expect(configuration.usesPathStyle == usesPath)
    }

    @Test func `the bucket comes from BDA_S3_BUCKET unless BDA_OUTPUT has one`() throws {
        #expect(try s3(["BDA_S3_BUCKET": "one"]).bucket == "one")
        let both = try s3(["BDA_S3_BUCKET": "one", "BDA_OUTPUT": "s3://two/a/b/"])
        #expect(both.bucket == "two")
        let store = try S3ObjectStore(both, connections: 1)
        #expect(store.uri(forKey: "c/d=1") == "s3://two/a/b/c/d=1")
        #expect(store.key(forURI: "s3://two/a/b/c") == "c")
        #expect(store.key(forURI: "s3://two/a/bc") == nil)
    }

    @Test func `the SDKs' endpoint variables count when ours is not set`() throws {
        var environment = ["BDA_OUTPUT": "s3://bucket", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"]
        #expect(try s3(environment).server.url == "http://127.0.0.1:1")
        environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:2"
        #expect(try s3(environment).server.url == "http://127.0.0.1:2")
        environment["BDA_S3_ENDPOINT"] = "http://127.0.0.1:3"
        #expect(try s3(environment).server.url == "http://127.0.0.1:3")
    }

    @Test func `a directory is written as a URL`() throws {
        for (output, directory) in [
            ("file:///var/out", "/var/out"), ("file:///var/a%20b/", "/var/a%20b/"), ("file:///", "/"),
        ] {
            guard case .files(let found) = try read(["BDA_OUTPUT": output]) else {
                Issue.record("\(output) is no directory")
                continue
            }
            #expect(found == PercentEncoding.decode(directory))
        }
    }

    /// Settings, and the one that is wrong.
    private static let verdicts: [(settings: String, problem: String?)] = [
        ("BDA_OUTPUT=file://relative/path", "BDA_OUTPUT"), ("BDA_OUTPUT=s3://B", "BDA_OUTPUT"),
        ("BDA_OUTPUT=s3://bucket/a/../b", "BDA_OUTPUT"), ("BDA_OUTPUT=s3://bucket//a/", nil),
        ("BDA_OUTPUT=s3://b_u:c", "BDA_OUTPUT"), ("BDA_S3_REGION=eu-west-1", "BDA_S3_BUCKET"),
        ("BDA_S3_BUCKET=-a-", "BDA_S3_BUCKET"), ("BDA_S3_BUCKET=a..b", "BDA_S3_BUCKET"),
        ("BDA_S3_BUCKET=abc BDA_S3_ENDPOINT=https://host/path", "BDA_S3_ENDPOINT"),
        ("BDA_S3_BUCKET=abc BDA_S3_ENDPOINT=https://host?x=1", "BDA_S3_ENDPOINT"),
        ("BDA_S3_BUCKET=abc BDA_S3_ENDPOINT=https://host%2Fpath", "BDA_S3_ENDPOINT"),
        ("BDA_S3_BUCKET=abc AWS_ENDPOINT_URL=nonsense", "AWS_ENDPOINT_URL"),
        ("BDA_S3_BUCKET=abc BDA_S3_KMS_KEY_ID=key", "BDA_S3_KMS_KEY_ID"),
        ("BDA_S3_BUCKET=abc BDA_S3_KMS_KEY_ID=key BDA_S3_SSE=AES256", "BDA_S3_KMS_KEY_ID"),
        ("BDA_S3_BUCKET=abc BDA_S3_KMS_KEY_ID=key BDA_S3_SSE=aws:kms", nil),
        ("BDA_S3_BUCKET=abc BDA_S3_STORAGE_CLASS=GLACIER", "BDA_S3_STORAGE_CLASS"),
        ("BDA_S3_BUCKET=abc BDA_S3_STORAGE_CLASS=standard", "BDA_S3_STORAGE_CLASS"),
        ("BDA_S3_BUCKET=abc BDA_S3_STORAGE_CLASS=GLACIER_IR", nil),
        ("BDA_S3_BUCKET=abc BDA_S3_TAGS=a=b,c", "BDA_S3_TAGS"),
        ("BDA_S3_BUCKET=abc BDA_S3_TAGS=a=b,a=c", "BDA_S3_TAGS"), ("BDA_S3_BUCKET=abc BDA_S3_TAGS==b", "BDA_S3_TAGS"),
        ("BDA_S3_BUCKET=abc BDA_S3_TAGS=a=b=c,d=", nil),
        ("BDA_S3_BUCKET=abc BDA_S3_TAGS=0=,1=,2=,3=,4=,5=,6=,7=,8=,9=,10=", "BDA_S3_TAGS"),
        ("BDA_S3_BUCKET=abc BDA_S3_BUCKET_OWNER=1234", "BDA_S3_BUCKET_OWNER"),
        ("BDA_S3_BUCKET=abc BDA_S3_BUCKET_OWNER=123456789012", nil),
    ]

    @Test(arguments: verdicts)
    func `wrong settings are named`(settings: String, problem: String?) throws {
        var environment: [String: String] = [:]
        for setting in settings.split(separator: " ") {
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            environment[String(parts[0])] = String(parts[1])
        }
        var reader = SettingsReader(
            environment: environment, catalogue: SettingCatalogue(ObjectStoreSetting.section))
        _ = ObjectStoreConfiguration(settings: &reader, environment: environment)
        if let problem {
            let error = #expect(throws: SettingsError.self) { try reader.finish() }
            #expect(error?.problems.map(\.setting) == [problem])
        } else {
            try reader.finish()
        }
    }

    private func read(_ environment: [String: String]) throws -> ObjectStoreConfiguration {
        var reader = SettingsReader(
            environment: environment, catalogue: SettingCatalogue(ObjectStoreSetting.section))
        let configuration = ObjectStoreConfiguration(settings: &reader, environment: environment)
        try reader.finish()
        return configuration
    }

    private func s3(_ environment: [String: String]) throws -> S3Configuration {
        guard case .s3(let configuration) = try read(environment) else {
            throw ObjectStoreError(.refused, "read", "settings", reason: "not S3")
        }
        return configuration
    }
}
