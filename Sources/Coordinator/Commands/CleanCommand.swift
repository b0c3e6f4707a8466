import CommandLineOptions
import Foundation
import JobModel
import Ledger
import ObjectStore
import Postgres
import Scripts
import Settings
import Timing
import Warehouse

struct CleanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clean",
        abstract: "Removes the remains of failed and cancelled runs, and runs older than BDA_RETENTION_DAYS.",
        discussion: """
            Failed and cancelled runs leave schemas that no view uses, files that no manifest names, and unfinished
            uploads. An unfinished upload is removed if its run has ended or if it is older than a day. With
            BDA_RETENTION_DAYS, exports, manifests and ledger rows of dates that are more than that many days before
            the newest complete date are removed as well. Files that the newest latest.json names are never removed.

            EXAMPLES
              bda-coordinator clean
              BDA_RETENTION_DAYS=400 bda-coordinator clean --apply
            """)

    @Flag(help: "Remove the listed items; without this option they are only listed.")
    var apply = false

    mutating func run() async throws {
        let isApplied = apply
        try await reportingFailures {
            let context = try CommandContext([.output])
            try await context.checkLedger()
            guard let output = context.output else { preconditionFailure("clean needs an output") }
            let cleaner = Cleaner(
                settings: context.settings, store: try output.open(),
                ledger: Ledger(context.settings.database, purpose: "coordinator clean"), isApplied: isApplied)
            var count = try await context.withSession { try await cleaner.removeSchemas(in: $0) }
            count += try await cleaner.removeRuns()
            count += try await cleaner.removeUploads()
            await cleaner.ledger.close()
            print(count == 0 ? "nothing to clean" : isApplied ? "done" : "next: bda-coordinator clean --apply")
        }
    }
}

/// Finds outdated items, and removes them if `isApplied` is set. Each step prints its items and returns their number.
private struct Cleaner {
    let settings: CoordinatorSettings
    let store: any ObjectStore
    let ledger: Ledger
    let isApplied: Bool

    private var verb: String { isApplied ? "removed" : "would remove" }

    /// Removes the schemas of ended runs that no view references. A schema that a reader has locked, and a schema whose
    /// run is not in the ledger, are kept and listed.
    func removeSchemas(in session: PostgresSession) async throws -> Int {
        var count = 0
        for runID in try await SupersededSchemas.found(
            clientID: settings.clientID, environment: settings.deployment, ledger, in: session)
        {
            do {
                if isApplied { try await RunSchema.drop(runID, in: session) }
                print("schema: \(verb) \(runID.schemaName)")
                count += 1
            } catch let error as PostgresError where error.sqlState == "55P03" {
                let readers = try await RunSchema.readers(schema: runID.schemaName, in: session)
                print("schema: \(runID.schemaName) is kept, because it is locked by \(readers.joined(separator: "; "))")
            }
        }
        for runID in try await RunSchema.existing(in: session) where try await ledger.runs.run(runID) == nil {
            print(
                "schema: \(runID.schemaName) is kept, because its run is not in the ledger; if the schema is not needed: DROP SCHEMA \(runID.schemaName) CASCADE"
            )
        }
        return count
    }

    /// Removes the files of failed and cancelled runs, and the files and ledger rows of runs past the retention period.
    func removeRuns() async throws -> Int {
        let newest = try await ledger.runs.newestPublishedDate(
            clientID: settings.clientID, environment: settings.deployment)
        let oldest = settings.retentionDays > 0 ? newest?.adding(days: -settings.retentionDays) : nil
        var count = 0
        for run in try await ledger.runs.endedRuns(clientID: settings.clientID, environment: settings.deployment) {
            let isTooOld = oldest.map { run.businessDate < $0 } ?? false
            guard isTooOld || !run.state.isPublished else { continue }
            let named = try await runNamed(by: run.layout.latestOfDate)
            if named == run.runID {
                // A consumer of the date's latest.json must find all of its files, or no latest.json.
                guard isTooOld else { continue }
                if isApplied { try await store.delete(run.layout.latestOfDate) }
            }
            let keys = try await keys(of: run)
            if isApplied { for key in keys { try await store.delete(key) } }
            if isTooOld, isApplied { try await ledger.runs.remove(run.runID) }
            guard isTooOld || !keys.isEmpty else { continue }
            let ledgerRows = isTooOld ? " and its ledger rows" : ""
            print(
                "run: \(verb) \(keys.count) files of \(run.state.rawValue) run \(run.runID) of \(run.businessDate)\(ledgerRows)"
            )
            count += 1
        }
        return count
    }

    /// Aborts unfinished uploads of ended runs, and those that were started more than a day ago.
    func removeUploads() async throws -> Int {
        let dayAgo = Date(timeIntervalSinceNow: -86_400)
        var count = 0
        for upload in try await store.pendingUploads(prefix: settings.outputPrefix) {
            let runID = ObjectLayout.runID(ofKey: upload.key)
            let run = if let runID { try await ledger.runs.run(runID) } else { nil as RunRecord? }
            guard run?.state.isFinal ?? false || upload.startedAt < dayAgo else { continue }
            if isApplied { try await store.abort(upload) }
            print("upload: \(verb) \(upload.key), started \(Timestamp.text(of: upload.startedAt))")
            count += 1
        }
        return count
    }

    private func runNamed(by latest: String) async throws -> RunID? {
        guard let object = try await store.get(latest, limit: ManifestWriter.maximumBytes) else { return nil }
        return try WireFormat.decode(RunManifest.self, from: object.bytes, maximumBytes: ManifestWriter.maximumBytes)
            .run
            .runID
    }

    /// Returns the object keys of a run. Manifests come first, so an interrupted removal leaves no manifest of missing
    /// files.
    private func keys(of run: RunRecord) async throws -> [String] {
        let datasets = try await ledger.runs.scripts(of: run.runID).map(\.script.segment).filter { $0.kind == .archive }
        var keys: [String] = []
        for folder in [run.layout.manifestFolder] + datasets.map({ run.layout.folder(of: $0.name) }) {
            keys += try await store.list(prefix: folder).map(\.key)
        }
        return keys
    }
}
