import Bytes
import Foundation

/// The variables of the process environment that credentials are read from. A description shows none of them.
struct CredentialSettings: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let environment: [String: String]
    let region: String

    init(environment: [String: String], region: String) {
        self.environment = environment.filter { $0.key.hasPrefix("AWS_") || $0.key == "HOME" }
        self.region = region
    }

    /// A variable's value; nil if it is not set or empty.
    subscript(name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    var description: String { "credential settings" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: [:]) }

    /// The chain of the AWS SDKs, without the sources that are of no use to a service: environment, web identity
    /// (IRSA), profile, container (ECS, EKS Pod Identity), instance (EC2).
    func sources(_ pool: CurlPool) -> [any CredentialSource] {
        [
            EnvironmentCredentials(settings: self),
            WebIdentityCredentials(settings: self, pool: pool),
            ProfileCredentials(settings: self, pool: pool),
            ContainerCredentials(settings: self, pool: pool),
            InstanceCredentials(settings: self, pool: pool),
        ]
    }
}

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
struct EnvironmentCredentials: CredentialSource {
    let name = "environment"
    let settings: CredentialSettings

    func load() async throws -> Credentials? {
        switch (settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"]) {
        case (nil, nil):
            return nil
        case (let id?, let secret?):
            return try Credentials(
                accessKeyID: id, secretAccessKey: secret, sessionToken: settings["AWS_SESSION_TOKEN"], source: name)
        case (nil, _):
            throw ObjectStoreError.credentials(name, "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not")
        case (_, nil):
            throw ObjectStoreError.credentials(name, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not")
        }
    }
}

/// A role for a token file that the platform renews: `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` and
/// `AWS_ROLE_SESSION_NAME`, exchanged at STS (AssumeRoleWithWebIdentity, an unsigned request).
struct WebIdentityCredentials: CredentialSource {
    let name = "web identity"
    let settings: CredentialSettings
    let pool: CurlPool

    func load() async throws -> Credentials? {
        guard let file = settings["AWS_WEB_IDENTITY_TOKEN_FILE"] else { return nil }
        guard let role = settings["AWS_ROLE_ARN"] else {
            throw ObjectStoreError.credentials(name, "AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not")
        }
        return try await exchange(file: file, role: role, session: settings["AWS_ROLE_SESSION_NAME"])
    }

    func exchange(file: String, role: String, session: String?) async throws -> Credentials {
        // Read each time: the platform replaces the token about every hour.
        let token = try readTokenFile(file, name)
        let form: [(String, String)] = [
            ("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", role),
            ("RoleSessionName", session ?? "billing-data-aggregator"), ("WebIdentityToken", token),
        ]
        let body = form.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }.joined(separator: "&")
        let endpoint = settings["AWS_ENDPOINT_URL_STS"] ?? settings["AWS_ENDPOINT_URL"]
        let suffix = settings.region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        guard let server = HTTPServer(url: endpoint ?? "https://sts.\(settings.region).\(suffix)") else {
            throw ObjectStoreError.credentials(name, "AWS_ENDPOINT_URL_STS is not an address")
        }
        var request = HTTPRequest(method: .post, server: server, path: "/")
        request.headers = [("content-type", "application/x-www-form-urlencoded")]
        request.body = ByteBuffer(Array(body.utf8))
        request.totalLimit = .seconds(20)

        let reply = try await pool.send(request, tries: 3)
        guard reply.isSuccess else {
            let fault = S3Fault(reply.body)
            var error = ObjectStoreError.credentials(
                name, fault.map { "STS reports: \($0.message)" } ?? "STS reports no reason",
                isRetryable: reply.status >= 500 || reply.status == 429 || fault?.code == "IDPCommunicationError",
                hint: "check AWS_ROLE_ARN, its trust policy, and the token in AWS_WEB_IDENTITY_TOKEN_FILE")
            error.status = reply.status
            error.s3Code = fault?.code
            throw error
        }
        return try Self.credentials(in: reply, name)
    }

    /// The credentials in a successful answer of STS.
    static func credentials(in reply: HTTPReply, _ source: String) throws -> Credentials {
        let result = XMLElement.parse(reply.body)?["AssumeRoleWithWebIdentityResult"]?["Credentials"]
        guard let result, let id = result["AccessKeyId"]?.text, let secret = result["SecretAccessKey"]?.text else {
            throw ObjectStoreError.credentials(source, "the answer of STS holds no credentials", isRetryable: true)
        }
        return try Credentials(
            accessKeyID: id, secretAccessKey: secret, sessionToken: result["SessionToken"]?.text,
            expiration: try parseExpiration(result["Expiration"]?.text, source), source: source)
    }
}

/// The shared files, `~/.aws/credentials` and `~/.aws/config`, profile `AWS_PROFILE` or `default`; other paths by
/// `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE`. Fixed keys and web identity are supported; a profile that uses
/// other keys is refused with the name of the key.
struct ProfileCredentials: CredentialSource {
    let name = "profile"
    let settings: CredentialSettings
    let pool: CurlPool

    func load() async throws -> Credentials? {
        let profile = settings["AWS_PROFILE"] ?? "default"
        let home = settings["HOME"] ?? "/root"
        let credentialsFile = settings["AWS_SHARED_CREDENTIALS_FILE"] ?? "\(home)/.aws/credentials"
        let configFile = settings["AWS_CONFIG_FILE"] ?? "\(home)/.aws/config"
        let source = "\(name) '\(profile)'"

        let secrets = try ProfileFile.read(credentialsFile)?.sections[profile]
        let section = profile == "default" ? profile : "profile \(profile)"
        let config = try ProfileFile.read(configFile)?.sections[section]
        guard secrets != nil || config != nil else {
            if settings["AWS_PROFILE"] == nil { return nil }
            throw ObjectStoreError.credentials(
                source, "neither \(credentialsFile) nor \(configFile) has this profile", hint: "check AWS_PROFILE")
        }
        // The credentials file has priority, as in the SDKs.
        let values = (config ?? [:]).merging(secrets ?? [:]) { _, secret in secret }

        if let role = values["role_arn"], let file = values["web_identity_token_file"] {
            return try await WebIdentityCredentials(settings: settings, pool: pool)
                .exchange(file: file, role: role, session: values["role_session_name"])
        }
        if let id = values["aws_access_key_id"], let secret = values["aws_secret_access_key"], values["role_arn"] == nil
        {
            return try Credentials(
                accessKeyID: id, secretAccessKey: secret, sessionToken: values["aws_session_token"], source: source)
        }
        let unsupported = ["role_arn", "credential_process", "sso_session", "sso_start_url", "login_session"]
        if let key = unsupported.first(where: { values[$0] != nil }) {
            throw ObjectStoreError.credentials(
                source, "it has \(key), which this program does not support",
                hint: "give the pod or instance the role, or run `aws configure export-credentials` and set the keys")
        }
        // A profile that only names a region leaves the search to the following sources.
        return nil
    }
}

/// ECS and EKS Pod Identity: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `…_FULL_URI`, with the token of
/// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `…_TOKEN`.
struct ContainerCredentials: CredentialSource {
    let name = "container"
    let settings: CredentialSettings
    let pool: CurlPool

    /// The hosts besides loopback that a request without TLS may be sent to: the ECS agent and the EKS Pod Identity
    /// agent.
    private static let agents: Set = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]

    func load() async throws -> Credentials? {
        let url: String
        if let path = settings["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] {
            url = "http://169.254.170.2" + path
        } else if let full = settings["AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
            url = full
        } else {
            return nil
        }
        guard let (server, path, query) = HTTPServer.split(url: url) else {
            throw ObjectStoreError.credentials(
                name, "its address is not valid", hint: "check AWS_CONTAINER_CREDENTIALS_FULL_URI")
        }
        let isLoopback = server.host == "localhost" || server.host == "[::1]" || server.isLoopbackAddress
        guard server.isSecure || isLoopback || Self.agents.contains(server.host) else {
            throw ObjectStoreError.credentials(
                name, "'\(server.host)' is neither https nor an agent of this host, so no token is sent there",
                hint: "check AWS_CONTAINER_CREDENTIALS_FULL_URI")
        }
        var request = HTTPRequest(method: .get, server: server, path: path)
        request.query = query
        request.isDirect = true
        request.connectLimit = .seconds(2)
        request.totalLimit = .seconds(5)
        if let file = settings["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
            // Read each time: the platform replaces the token.
            request.headers = [("authorization", try readTokenFile(file, name))]
        } else if let token = settings["AWS_CONTAINER_AUTHORIZATION_TOKEN"] {
            request.headers = [("authorization", try checkToken(token, name))]
        }
        let reply = try await pool.send(request, tries: 3)
        return try MetadataCredentials.parse(reply, name)
    }
}

/// The role of an EC2 instance, by its metadata service (IMDSv2 only).
struct InstanceCredentials: CredentialSource {
    let name = "instance"
    let settings: CredentialSettings
    let pool: CurlPool

    func load() async throws -> Credentials? {
        if settings["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true" { return nil }
        let isIPv6 = settings["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"]?.lowercased() == "ipv6"
        let standard = isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254"
        guard let server = HTTPServer(url: settings["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? standard) else {
            throw ObjectStoreError.credentials(name, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not an address")
        }
        func request(_ method: HTTPRequest.Method, _ path: String) -> HTTPRequest {
            var request = HTTPRequest(method: method, server: server, path: path)
            request.isDirect = true
            request.connectLimit = .seconds(1)
            request.totalLimit = .seconds(3)
            return request
        }
        var tokenRequest = request(.put, "/latest/api/token")
        tokenRequest.headers = [("x-amz-ec2-metadata-token-ttl-seconds", "21600")]
        let tokenReply: HTTPReply
        do {
            tokenReply = try await pool.send(tokenRequest, tries: 2)
        } catch let error as ObjectStoreError where error.kind == .unreachable || error.kind == .interrupted {
            // Not on EC2, or in a container beyond the hop limit of the service.
            return nil
        }
        guard tokenReply.isSuccess else { throw MetadataCredentials.fault(tokenReply, name) }
        let token = try checkToken(String(decoding: tokenReply.body, as: UTF8.self), name)

        let rolePath = "/latest/meta-data/iam/security-credentials/"
        var roleRequest = request(.get, rolePath)
        roleRequest.headers = [("x-aws-ec2-metadata-token", token)]
        let roleReply = try await pool.send(roleRequest, tries: 2)
        // The instance has no role.
        if roleReply.status == 404 { return nil }
        guard roleReply.isSuccess else { throw MetadataCredentials.fault(roleReply, name) }
        let role = String(decoding: roleReply.body, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""

        var request = request(.get, rolePath + PercentEncoding.encode(String(role)))
        request.headers = [("x-aws-ec2-metadata-token", token)]
        return try MetadataCredentials.parse(try await pool.send(request, tries: 2), name)
    }
}

/// The JSON in the answers of container and instance services.
struct MetadataCredentials: Decodable {
    let accessKeyID: String
    let secretAccessKey: String
    let token: String?
    let expiration: String?

    enum CodingKeys: String, CodingKey {
        case accessKeyID = "AccessKeyId"
        case secretAccessKey = "SecretAccessKey"
        case token = "Token"
        case expiration = "Expiration"
    }

    static func parse(_ reply: HTTPReply, _ source: String) throws -> Credentials {
        guard reply.isSuccess else { throw fault(reply, source) }
        guard let found = try? JSONDecoder().decode(MetadataCredentials.self, from: Data(reply.body)) else {
            throw ObjectStoreError.credentials(source, "the answer holds no credentials", isRetryable: true)
        }
        return try Credentials(
            accessKeyID: found.accessKeyID, secretAccessKey: found.secretAccessKey, sessionToken: found.token,
            expiration: try parseExpiration(found.expiration, source), source: source)
    }

    static func fault(_ reply: HTTPReply, _ source: String) -> ObjectStoreError {
        var error = ObjectStoreError.credentials(
            source, "the service refuses", isRetryable: reply.status >= 500 || reply.status == 429)
        error.status = reply.status
        return error
    }
}

extension CredentialSource {
    /// A token file's content, without the newline at its end.
    fileprivate func readTokenFile(_ path: String, _ source: String) throws -> String {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ObjectStoreError.credentials(source, "unable to read the token file \(path)", isRetryable: true)
        }
        return try checkToken(text, source)
    }

    fileprivate func checkToken(_ text: String, _ source: String) throws -> String {
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            throw ObjectStoreError.credentials(source, "the token is empty or has characters that no token has")
        }
        return token
    }
}

extension CurlPool {
    /// Sends a request up to `tries` times with short pauses, until an answer other than a server error comes.
    fileprivate func send(_ request: HTTPRequest, tries: Int) async throws -> HTTPReply {
        var attempt = 1
        while true {
            do {
                let reply = try await withHandle { try await $0.send(request) }
                if reply.status < 500 || attempt == tries { return reply }
            } catch let failure as CurlError {
                var error = ObjectStoreError(failure, "get credentials from", request.server.url)
                if error.kind == .unreachable { error.hint = "check firewalls, the proxy settings and DNS" }
                if attempt == tries { throw error }
            }
            try await Task.sleep(for: .milliseconds(200 * attempt))
            attempt += 1
        }
    }
}

private func parseExpiration(_ text: String?, _ source: String) throws -> Date? {
    guard let text, !text.isEmpty else { return nil }
    guard let date = Date(aws: text) else {
        throw ObjectStoreError.credentials(source, "the time of expiry is not a time")
    }
    return date
}
