import Foundation
import Glibc
import JobModel
import Postgres
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite(.enabled(if: TestPooler.isAvailable, "PgBouncer is not installed")) struct PoolerTests {
        @Test("8: behind a pooler in transaction mode, coordinator and worker end with exit code 2 before they begin")
        func isRefused() async throws {
            try await Fleet.with(sample: false) { fleet in
                let pooler = try await TestPooler(to: fleet.role)
                defer { pooler.stop() }
                let settings = ["BDA_DB_PORT": "\(pooler.port)"]
                for program in [try fleet.worker("one", settings: settings), try fleet.run(settings: settings)] {
                    #expect(try await program.ended(within: .seconds(30)) == .exit(2), program.report)
                    #expect(program.errorText.contains("pool"), program.report)
                }
                // Nothing of theirs is left behind in the pooler's sessions.
                let left = try await fleet.session.execute(
                    """
                    SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                    WHERE l.locktype = 'advisory' AND a.datname = current_database()
                    """, action: "look for locks")
                #expect(left.firstValue == "0")
                let runs = try await fleet.session.execute("SELECT count(*) FROM bda.run", action: "count the runs")
                #expect(runs.firstValue == "0")
            }
        }
    }
}
