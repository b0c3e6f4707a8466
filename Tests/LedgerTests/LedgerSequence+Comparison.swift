import Foundation
import JobModel
import Ledger
import Postgres
import TestSupport
import Testing

extension LedgerSequence {
    /// All that the ledger says of a run, as texts.
    static let look = """
        PREPARE look (text) AS
        SELECT r.state || ' ' || r.owner_number AS run,
            (SELECT string_agg(concat_ws(' ', j.state, j.attempt, j.interruptions, d.attempt,
                'lease', round(extract(epoch FROM j.lease_until - clock_timestamp()) / 50)::int,
                'wait', round(extract(epoch FROM j.not_before - clock_timestamp()) / 50)::int,
                'published', round(extract(epoch FROM j.published_at - clock_timestamp()) / 50)::int,
                'session', j.backend_pid, j.backend_start), E'\\n' ORDER BY j.job_id)
             FROM bda.job AS j LEFT JOIN bda.result AS d ON d.job_id = j.job_id WHERE j.run_id = r.run_id) AS jobs,
            (SELECT string_agg(concat_ws(' ', a.job_id, a.attempt, coalesce(a.outcome, '-')), E'\\n' ORDER BY a.job_id, a.attempt)
             FROM bda.job AS j JOIN bda.attempt AS a ON a.job_id = j.job_id WHERE j.run_id = r.run_id) AS attempts
        FROM bda.run AS r WHERE r.run_id = $1
        """

    struct Difference: Error, CustomStringConvertible {
        let description: String
    }

    func same<Value: Equatable>(_ real: Value, _ expected: Value, _ what: String) throws {
        guard real == expected else {
            throw Difference(description: "\(what): the ledger says \(real), the model \(expected)")
        }
    }

    mutating func compare() async throws {
        let record = try await control.execute(
            "EXECUTE look (\(SQL.literal(run.runID.description)))", action: "read the ledger"
        ).records[0]
        try same(record.text("run"), "\(model.run.rawValue) \(model.owner)", "run")
        let names = Dictionary(uniqueKeysWithValues: backends.map { ($0.value, $0.key) })
        func time(_ name: String, _ value: Int?) -> [String] { [name] + (value.map { ["\(($0 - now) / 50)"] } ?? []) }
        let jobs = model.jobs.map { job -> String in
            let counts =
                [job.state.rawValue, "\(job.attempt)", "\(job.interruptions)"] + (job.result.map { ["\($0)"] } ?? [])
            let times = time("lease", job.leaseUntil) + time("wait", job.notBefore) + time("published", job.publishedAt)
            return (counts + times + ["session"] + (job.session.map { [names[$0] ?? "?"] } ?? [])).joined(
                separator: " ")
        }
        try same(record.text("jobs"), jobs.joined(separator: "\n"), "jobs")
        let attempts = model.attempts.enumerated().flatMap { job, attempts in
            attempts.enumerated().map { "\(self.jobs[job]) \($0 + 1) \($1.outcome ?? "-")" }
        }
        try same(record.optional("attempts") ?? "", attempts.joined(separator: "\n"), "attempts")
        // Sessions that have been ended are gone.
        for (id, session) in sessions where model.sessions[id] == nil && random(2) == 0 {
            await #expect(throws: PostgresError.self) { try await session.execute("SELECT 1", action: "look") }
            await drop(id)
        }
    }
}
