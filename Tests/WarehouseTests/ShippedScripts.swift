import Foundation
import JobModel
import Postgres
import TestSupport
import Scripts
import Ledger
import Warehouse

/// The scripts that are shipped, in a database with the ledger and the tables of one run of one partition.
struct ShippedScripts {
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..").path
    static let folder = "\(repository)/scripts"

    let role: PostgresConfiguration
    let scripts: ScriptSet
    var run: RunRecord
    let session: PostgresSession

    static func with(_ body: (ShippedScripts) async throws -> Void) async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            _ = try await LedgerSetup(folders: [folder]).apply(in: session)
            let scripts = try ScriptSet(folders: [folder])
            var generator = SystemRandomNumberGenerator()
            var run = RunRecord(
                runID: RunID(millisecondsSince1970: 1_775_013_300_123, using: &generator), clientID: "acme",
                environment: "dev", businessDate: try BusinessDate("2026-03-31"), cutoff: "2026-04-01T03:00:00.000Z",
                systems: ["bookkeeper", "tripica"], isCompleteSet: true,
                settings: .test(partitionCount: 1, maxAttempts: 1), owner: "test", snapshotID: nil)
            run.startedAt = "2026-04-01T03:00:01.000Z"
            try await RunSchema.createPermanent(scripts.tables, in: session)
            try await RunSchema(run).create(scripts.tables.filter { !$0.isPermanent }, in: session)
            try await body(ShippedScripts(role: role, scripts: scripts, run: run, session: session))
            await session.close()
        }
    }
}
