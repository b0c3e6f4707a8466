import Warehouse
import Foundation
import JobModel
import Postgres
import TestSupport
import Testing
import Scripts
import Ledger

/// The functions of the ledger against their specification, `LedgerModel`: the same random calls to both, most of them out of
/// turn, and after each the same answers and the same rows.
///
/// Time is moved by hand, in steps of 100 seconds; in the database every point in time goes back by as much instead. Leases,
/// backoffs and repetitions end in the middle between two steps, so the seconds that a test takes decide nothing.
@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(5)))
struct LedgerConformanceTests {
    @Test("whatever is called in whatever order, the ledger does what the model says")
    func ledgerConforms() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let root = URL(fileURLWithPath: #filePath).appending(path: "../../../scripts").standardizedFileURL.path
            let control = try await PostgresSession.connect(role, purpose: "control")
            _ = try await LedgerSetup(folders: [root]).apply(in: control)
            // Ending a session that ends at that moment is no news.
            try await control.execute("SET client_min_messages = error", action: "set up")
            try await control.execute(LedgerSequence.look, action: "set up")
            let ledger = Ledger(role, purpose: "test")
            var pool: [PostgresSession] = []
            var seen: [String: Int] = [:]
            for seed in 0..<150 {
                var sequence = try await LedgerSequence(
                    seed: seed, role: role, ledger: ledger, control: control, pool: pool)
                do {
                    for _ in 0..<60 { try await sequence.step() }
                } catch {
                    Issue.record("\(error); \(sequence.history)")
                    return
                }
                pool = try await sequence.end()
                seen.merge(sequence.seen) { $0 + $1 }
            }
            // A comparison of what never happens would say nothing.
            print("calls by what came of them: \(seen.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
            for what in LedgerSequence.mustHappen { #expect(seen[what, default: 0] > 0, "\(what)") }
            for session in pool { await session.close() }
            await control.close()
            await ledger.close()
        }
    }
}
