import Foundation
import Glibc
import Postgres
import Testing
import TestSupport

extension ScenarioRun {
    /// A report that is read in a transaction which stays open until the run has tried for seconds to replace its view.
    /// Meanwhile no session of the fleet may wait long for a lock, and other readers must get their rows.
    func holdViews() async throws {
        let reader = try await PostgresSession.connect(fleet.administrator, purpose: "reader")
        try await reader.execute(
            "BEGIN; SELECT count(*) FROM report_oibl.data_charges; SELECT count(*) FROM report_oibl.oibl_customer",
            action: "read reports")
        let task = Task {
            let deadline = ContinuousClock.now + Self.limit
            var looks = 0
            while looks < 10, ContinuousClock.now < deadline {
                if try await observer.says("SELECT EXISTS (SELECT FROM bda.run WHERE state = 'verified')") {
                    looks += 1
                }
                try await lookAtReaders()
                try await Task.sleep(for: .milliseconds(500))
            }
            await reader.close()
        }
        healings.append {
            try await task.value
            await reader.close()
        }
    }

    private func lookAtReaders() async throws {
        let waiting = try await observer.rows(
            """
            SELECT a.application_name, a.query FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
            WHERE l.locktype = 'relation' AND NOT l.granted AND a.datname = current_database()
              AND a.usename = 'billing_aggregator' AND pg_catalog.clock_timestamp() - l.waitstart > interval '10 seconds'
            """)
        for row in waiting { problems.append("'\(row[0] ?? "")' waits for a lock without limit: \(row[1] ?? "")") }
        do {
            let session = try await PostgresSession.connect(fleet.administrator, purpose: "other reader")
            defer { Task { await session.close() } }
            try await session.execute(
                "SET statement_timeout = '10s'; SELECT count(*) FROM report_oibl.data_charges", action: "read a report")
        } catch let error as PostgresError where error.sqlState == "57014" {
            problems.append("a new reader of a report waits behind its replacement: \(error)")
        } catch let error as PostgresError where error.isConnectionLost || error.isRetryable {
            // The server was restarted by another fault.
        }
    }

    /// Applies the set-up of a next version in mid-run; a worker joins afterwards.
    func upgrade() async throws {
        guard !isUpgraded else { return }
        isUpgraded = true
        try await NextVersion(isCompatible: true).setUp(fleet.role)
        let guest = "worker\(scenario.workers + 1)"
        if !wanted.contains(guest) { try startWorker(guest) }
        healings.append { await self.dismiss(guest) }
    }

    /// Programs behind a pooler in transaction mode must refuse to start, whatever else goes on.
    func tryPooler() async throws {
        let pooler = try await TestPooler(to: fleet.role)
        defer { pooler.stop() }
        let settings = line(of: nil).merging(["BDA_DB_PORT": "\(pooler.port)", "LD_PRELOAD": ""]) { _, new in new }
        for program in [try fleet.worker("pooled", settings: settings), try fleet.run(settings: settings)] {
            let ending = try await program.ended(within: .seconds(40))
            if ending != .exit(2) {
                problems.append("\(program.name) behind a pooler: \(ending), \(program.errorText.suffix(600))")
            }
        }
    }
}
