import Settings
import Testing
import TestSupport

@testable import Postgres

/// TLS to a server whose certificate the test run made, for `localhost` and no other name.
@Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: TestPostgres.isAvailable && TestCertificates.areAvailable, "scripts/dev/test.sh starts the server"))
struct PostgresSecurityTests {
    /// The session's protocol as the server sees it; nil without encryption.
    private func protocolOfSession(_ configuration: PostgresConfiguration) async throws -> String? {
        let session = try await PostgresSession.connect(configuration, purpose: "test")
        let version = try await session.execute(
            "SELECT version FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()",
            action: "look at the session's encryption"
        ).firstValue
        await session.close()
        return version
    }

    @Test func fullVerificationAcceptsTheRightNameAndAuthority() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let version = try await protocolOfSession(role.verified())
            #expect(version == "TLSv1.3")
        }
    }

    @Test(arguments: [
        ("127.0.0.1", "ca.pem", "does not match host name", "BDA_DB_HOST"),
        ("localhost", "stranger-ca.pem", "certificate verify failed", "BDA_DB_SSLROOTCERT"),
        ("localhost", "missing.pem", "does not exist", "BDA_DB_SSLROOTCERT"),
    ])
    func fullVerificationRefusesStrangers(host: String, authority: String, cause: String, setting: String) async throws
    {
        try await TestPostgres.withDatabase { role, _ in
            let error = await #expect(throws: PostgresError.self) {
                try await protocolOfSession(role.verified(host: host, authority: authority))
            }
            #expect(error?.message.contains(cause) == true, "\(error.map { "\($0)" } ?? "")")
            #expect(error?.hint?.contains(setting) == true, "\(error?.hint ?? "")")
            let password = try role.password?.reveal() ?? "-"
            #expect(error?.description.contains(password) == false)
        }
    }

    @Test func preferTakesWhatTheServerHas() async throws {
        try await TestPostgres.withDatabase { role, _ in
            #expect(role.sslMode == "prefer")
            // By the socket, which the role has here, nobody encrypts.
            var role = role
            role.host = "127.0.0.1"
            var plain = role
            plain.sslMode = "disable"
            let versions = (try await protocolOfSession(role), try await protocolOfSession(plain))
            #expect(versions.0 == "TLSv1.3" && versions.1 == nil)
        }
    }

    @Test(arguments: ["disable", "allow", "prefer", nil])
    func anAuthorityThatIsNotAskedForIsAMistake(mode: String?) throws {
        var environment = ["BDA_DB_HOST": "db", "BDA_DB_SSLROOTCERT": "/etc/ca.pem"]
        environment["BDA_DB_SSLMODE"] = mode
        var settings = SettingsReader(
            environment: environment, catalogue: SettingCatalogue(PostgresSetting.section))
        _ = PostgresConfiguration(settings: &settings)
        let error = #expect(throws: SettingsError.self) { try settings.finish() }
        #expect(error?.problems.map(\.setting) == ["BDA_DB_SSLROOTCERT"])
        #expect(error?.problems.first?.hint == "set BDA_DB_SSLMODE=verify-full")
    }
}

extension PostgresConfiguration {
    fileprivate func verified(host: String = "localhost", authority: String = "ca.pem") -> PostgresConfiguration {
        var copy = self
        copy.host = host
        copy.sslMode = "verify-full"
        copy.sslRootCertificate = TestCertificates.path(authority)
        return copy
    }
}
