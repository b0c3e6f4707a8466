import Foundation
import Glibc
import JobModel
import Postgres
import Testing

extension WholeSystem {
    @Suite struct LongJobTests {
        /// What `status --json` says about a job.
        private struct Status: Decodable {
            struct Job: Decodable {
                var jobID: JobID
                var state: String
                var attempt: Int
                var rowsSoFar: Int?
            }

            var notableJobs: [Job]
        }

        @Test(
            "a job longer than max.poll.interval.ms, with workers that come and go, takes one attempt, and shows its progress"
        )
        func outlastsThePollInterval() async throws {
            let settings = [
                "BDA_PARTITIONS": "1", "BDA_WORKER_SLOTS": "1", "BDA_LEASE_SECONDS": "3",
                "BDA_KAFKA_MAX_POLL_INTERVAL_MS": "6000", "BDA_KAFKA_SESSION_TIMEOUT_MS": "6000",
            ]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let long = try fleet.worker("long")
                let run = try fleet.run()
                try await fleet.untilAtGate(long)
                try await fleet.until(
                    "EXISTS (SELECT FROM bda.job WHERE rows_so_far > 0 AND segment = 'tripica.gated')", long)
                for number in 1...3 {
                    let guest = try fleet.worker("guest\(number)")
                    try await fleet.until("the newcomer has partitions", [guest, long]) {
                        guest.errorText.contains("Kafka partitions assigned")
                    }
                    try await fleet.drain(guest)
                }
                // The length of the job is what is tested: twice the longest time without a poll.
                try await fleet.until(
                    """
                    SELECT clock_timestamp() - started_at > interval '12 seconds'
                    FROM bda.attempt WHERE job_id LIKE '%/tripica.gated/%'
                    """, long)

                let text = try fleet.coordinator(["status"])
                try await text.succeeds()
                let line = text.outputText.split(separator: "\n").first { $0.contains("tripica.gated") }
                let words = try #require(line, text.report).split(separator: " ").map(String.init)
                let json = try fleet.coordinator(["status", "--json"])
                try await json.succeeds()
                let status = try WireFormat.decode(Status.self, from: json.outputText.utf8)
                let job = try #require(status.notableJobs.first)
                #expect(job.state == "running" && job.attempt == 1 && (1...60).contains(job.rowsSoFar ?? 0))
                #expect(words.last == "\(job.rowsSoFar ?? 0)", text.report)

                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await run.succeeds()
                #expect(try await fleet.jobs("attempt > 1").isEmpty)
                #expect(try await fleet.attempts(of: job.jobID.description) == ["completed"])
                try await fleet.drain(long)
            }
        }
    }
}
