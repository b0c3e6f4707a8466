import Foundation
import Postgres

/// What the `setup` of a next version does to a ledger: one more migration, and a function with another text. The programs
/// of this version refuse scripts of a next one, so the statements of that `setup` are run in its place.
struct NextVersion {
    /// Whether programs of the version before work with its ledger.
    var isCompatible: Bool

    /// Applies it as the role that owns the ledger.
    func setUp(_ role: PostgresConfiguration) async throws {
        let claim = try String(contentsOfFile: "\(Fleet.scripts)/ledger/claim.sql", encoding: .utf8)
            .replacing("\nBEGIN\n", with: "\nBEGIN\n    -- As the next version has it.\n")
        let session = try await PostgresSession.connect(role, purpose: "next setup")
        do {
            try await session.execute(
                """
                BEGIN; SET LOCAL lock_timeout = '20s';
                ALTER TABLE bda.job ADD COLUMN next_version_note text;
                INSERT INTO bda.migration (number, name, digest, oldest_program)
                SELECT max(number) + 1, 'next_version', 'next', max(number) + \(isCompatible ? 0 : 1) FROM bda.migration;
                \(claim);
                UPDATE bda.function SET digest = 'next' WHERE name = 'claim';
                COMMIT
                """, action: "set the next version up")
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }
}
