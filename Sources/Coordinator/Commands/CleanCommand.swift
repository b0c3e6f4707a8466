import Foundation
import JobModel
import ObjectStore
import Service
import Warehouse

/// `clean`.
struct CleanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clean",
        abstract: "Removes what dead runs left: schemas that no view shows, uploads that were never finished.",
        discussion: """
            Without --apply it shows what would be removed. Uploads count as dead when their run has ended, and in any case when
            they are older than a day.

            EXAMPLES
              bda-coordinator clean
              bda-coordinator clean --apply
            """)

    @Flag(help: "Remove it.")
    var apply = false

    mutating func run() async throws {
        let isApplied = apply
        try await reportingFailures {
            let environment = try CommandEnvironment([.output])
            let settings = environment.settings
            try await environment.checkLedger()
            let ledger = Ledger(settings.database, purpose: "coordinator clean")
            let verb = isApplied ? "removed" : "would remove"
            var count = 0
            try await environment.withSession { session in
                for runID in try await RunSchema.existing(in: session) {
                    let run = try await ledger.run(runID)
                    guard run?.state.isFinal ?? false, try await !RunSchema.isShown(runID, in: session) else {
                        continue
                    }
                    if isApplied { try await RunSchema.drop(runID, in: session) }
                    print("schema: \(verb) \(runID.schemaName)")
                    count += 1
                }
            }
            if let store = try environment.output?.open() {
                let dayAgo = Date(timeIntervalSinceNow: -86_400)
                for upload in try await store.pendingUploads(prefix: settings.outputPrefix) {
                    let runID = ObjectLayout.runID(ofKey: upload.key)
                    let run = if let runID { try await ledger.run(runID) } else { nil as RunRecord? }
                    guard run?.state.isFinal ?? false || upload.startedAt < dayAgo else { continue }
                    if isApplied { try await store.abort(upload) }
                    print("upload: \(verb) \(upload.key), begun \(Timestamp.text(of: upload.startedAt))")
                    count += 1
                }
            }
            await ledger.close()
            print(count == 0 ? "nothing to clean" : isApplied ? "done" : "next: bda-coordinator clean --apply")
        }
    }
}
