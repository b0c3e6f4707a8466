import JobModel
import Ledger
import Postgres
import TestSupport
import Testing
import Warehouse

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(3)))
struct ClaimTests {
    @Test func manyClaimersGetEachJobOnce() async throws {
        try await LedgerFixture.with(jobs: 40) { fixture in
            let claimed = try await withThrowingTaskGroup(of: [JobID].self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let session = try await fixture.session()
                        let ledger = Ledger(fixture.role, purpose: "claimer \(number)")
                        var mine: [JobID] = []
                        while let claim = try await ledger.jobs.claim(
                            nil, clientID: "acme", environment: "dev", workerID: "w\(number)",
                            backend: try await session.backend(), leaseSeconds: 30)
                        { mine.append(claim.jobID) }
                        await ledger.close()
                        await session.close()
                        return mine
                    }
                }
                return try await group.reduce(into: [JobID]()) { $0 += $1 }
            }
            #expect(claimed.count == 40)
            #expect(Set(claimed) == Set(fixture.jobs))
        }
    }

    @Test func aJobThatTakesMuchLongerGoesBeforeTheOneThatWasNamed() async throws {
        try await LedgerFixture.with(jobs: 3) { fixture in
            let session = try await fixture.session()
            try await session.execute("UPDATE bda.job SET expected_seconds = partition_no + 1", action: "set times")
            let first = try #require(try await fixture.claim(fixture.jobs[0], for: session))
            #expect(first.jobID == fixture.jobs[2])
            // Twice as long is not much longer.
            let second = try #require(try await fixture.claim(fixture.jobs[0], for: session))
            #expect(second.jobID == fixture.jobs[0])
            await session.close()
        }
    }

    @Test func aClaimIsRefusedWhileTheLeaseLastsAndForOthersClients() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let session = try await fixture.session()
            let backend = try await session.backend()
            #expect(
                try await fixture.ledger.jobs.claim(
                    fixture.jobs[0], clientID: "other", environment: "dev", workerID: "w", backend: backend,
                    leaseSeconds: 30) == nil)
            let claim = try #require(try await fixture.claim(fixture.jobs[0], for: session))
            #expect(claim.attempt == 1)
            #expect(try await fixture.claim(fixture.jobs[0], for: session) == nil)
            #expect(try await fixture.claim(nil, for: session) == nil)
            await session.close()
        }
    }

    /// The zombie: its lease ran out, its successor ends its session before the work begins, and what it still does fails.
    @Test func aTakenOverAttemptCanCommitNothing() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let zombie = try await fixture.session()
            let first = try #require(try await fixture.claim(fixture.jobs[0], for: zombie))
            let transaction = try await WorkTransaction.begin(in: zombie, snapshotID: nil)
            try await fixture.expireLease(of: fixture.jobs[0])

            let successor = try await fixture.session()
            let second = try #require(try await fixture.claim(fixture.jobs[0], for: successor))
            #expect(second.attempt == 2)
            #expect(try await second.former == zombie.backend())
            try await fixture.endFormerSessions(of: second, in: successor)

            await #expect(throws: PostgresError.self) {
                try await WorkTransaction.commit(
                    in: zombie, claim: first, workerID: "w", transactionID: transaction,
                    result: JobResult(rows: 0, bytes: 0, durationMs: 0, parts: [], totals: []))
            }
            #expect(
                try await fixture.ledger.jobs.endAttempt(first, outcome: .rejected, code: "x", message: "x", hint: nil)
                    == false)
            #expect(try await fixture.ledger.jobs.renew([(first, 0)], leaseSeconds: 30).isEmpty)
            #expect(try await fixture.commit(second, in: successor))
            #expect(try await fixture.ledger.jobs.advance(fixture.run).done == 1)
            await successor.close()
        }
    }

    /// The worker that took the job over died before it had ended the zombie's session; the next one ends both.
    @Test func aChainOfTakeOversLeavesNoSessionBehind() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let zombie = try await fixture.session()
            let first = try #require(try await fixture.claim(fixture.jobs[0], for: zombie))
            let transaction = try await WorkTransaction.begin(in: zombie, snapshotID: nil)
            try await fixture.expireLease(of: fixture.jobs[0])
            let dead = try await fixture.session()
            _ = try #require(try await fixture.claim(fixture.jobs[0], for: dead))
            await dead.close()
            try await fixture.expireLease(of: fixture.jobs[0])

            let last = try await fixture.session()
            let third = try #require(try await fixture.claim(fixture.jobs[0], for: last))
            try await fixture.endFormerSessions(of: third, in: last)
            await #expect(throws: PostgresError.self) {
                try await WorkTransaction.commit(
                    in: zombie, claim: first, workerID: "w", transactionID: transaction,
                    result: JobResult(rows: 0, bytes: 0, durationMs: 0, parts: [], totals: []))
            }
            #expect(try await fixture.commit(third, in: last))
            await last.close()
        }
    }

    /// The client lost its connection and says so; the server has not noticed and could still commit.
    @Test func aFailedJobIsNotCompletedByASessionThatIsStillThere() async throws {
        try await LedgerFixture.with(jobs: 2, maxAttempts: 1) { fixture in
            var zombies: [(PostgresSession, Claim, String)] = []
            for job in fixture.jobs {
                let session = try await fixture.session()
                let claim = try #require(try await fixture.claim(job, for: session))
                zombies.append((session, claim, try await WorkTransaction.begin(in: session, snapshotID: nil)))
            }
            #expect(
                try await fixture.ledger.jobs.endAttempt(
                    zombies[0].1, outcome: .retry(after: 0), code: "connection_lost", message: "m", hint: nil))
            try await fixture.expireLease(of: fixture.jobs[1])
            #expect(try await fixture.ledger.jobs.advance(fixture.run).failed == 2)
            for (session, claim, transaction) in zombies {
                await #expect(throws: PostgresError.self) {
                    try await WorkTransaction.commit(
                        in: session, claim: claim, workerID: "w", transactionID: transaction,
                        result: JobResult(rows: 0, bytes: 0, durationMs: 0, parts: [], totals: []))
                }
                #expect(try await !fixture.ledger.results.hasResult(claim.jobID))
            }
        }
    }

    @Test func whoFindsTheJobDoneBeforeIsNotLeftWithoutAnOutcome() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let (first, second) = (try await fixture.session(), try await fixture.session())
            let claim = try #require(try await fixture.claim(nil, for: first))
            try await fixture.expireLease(of: claim.jobID)
            let successor = try #require(try await fixture.claim(nil, for: second))
            #expect(try await fixture.commit(claim, in: first))
            // The job is done: its session may do another by now and is left alone.
            try await fixture.endFormerSessions(of: successor, in: second)
            #expect(try await first.execute("SELECT 1", action: "look").firstValue == "1")
            #expect(try await fixture.commit(successor, in: second) == false)
            #expect(try await fixture.ledger.jobs.advance(fixture.run).done == 1)
            let outcomes = try await first.execute("SELECT outcome FROM bda.attempt ORDER BY attempt", action: "read")
                .rows
            #expect(outcomes.map { $0[0] } == ["completed", "lost"])
            for session in [first, second] { await session.close() }
        }
    }

    /// It was claimed from the ledger before its request went out, and its worker died.
    @Test func aJobThatWasNeverRequestedIsRequestedWhenItsLeaseIsOver() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let session = try await fixture.session()
            _ = try #require(try await fixture.claim(nil, for: session))
            #expect(try await fixture.ledger.jobs.takeDueRequests(fixture.run).isEmpty)
            try await fixture.expireLease(of: fixture.jobs[0])
            #expect(try await fixture.ledger.jobs.takeDueRequests(fixture.run) == fixture.jobs)
            #expect(try await fixture.ledger.jobs.takeDueRequests(fixture.run).isEmpty)
            await session.close()
        }
    }

    @Test func aJobHasOneResultWhoeverCommits() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let (first, second) = (try await fixture.session(), try await fixture.session())
            let claim = try #require(try await fixture.claim(fixture.jobs[0], for: first))
            #expect(try await fixture.commit(claim, in: first))
            #expect(try await fixture.commit(claim, in: second) == false)
            #expect(try await fixture.ledger.results.parts(of: fixture.run.runID).count == 1)
            #expect(
                try await fixture.ledger.results.totals(of: fixture.run.runID).map(\.total.amount.description) == [
                    "0.10"
                ])
            #expect(try await fixture.claim(fixture.jobs[0], for: second) == nil)
            for session in [first, second] { await session.close() }
        }
    }

    /// Only the key of the result says that the job was done before.
    @Test func anotherUniqueViolationAtTheCommitIsAnError() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let session = try await fixture.session()
            try await session.execute(
                """
                CREATE SCHEMA run_tables;
                CREATE TABLE run_tables.result (id integer CONSTRAINT result_pkey PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)
                """, action: "make a table")
            let claim = try #require(try await fixture.claim(fixture.jobs[0], for: session))
            let transaction = try await WorkTransaction.begin(in: session, snapshotID: nil)
            try await session.execute("INSERT INTO run_tables.result VALUES (1), (1)", action: "repeat a key")
            let error = await #expect(throws: PostgresError.self) {
                try await WorkTransaction.commit(
                    in: session, claim: claim, workerID: "w", transactionID: transaction,
                    result: JobResult(rows: 0, bytes: 0, durationMs: 0, parts: [], totals: []))
            }
            #expect(error?.isUniqueViolation == true && error?.isRetryable == false)
            #expect(error?.schema == "run_tables" && error?.constraint == "result_pkey")
            #expect(try await !fixture.ledger.results.hasResult(claim.jobID))
            await session.close()
        }
    }

    @Test func aScriptThatEndsItsTransactionIsFoundOut() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let session = try await fixture.session()
            let claim = try #require(try await fixture.claim(fixture.jobs[0], for: session))
            let transaction = try await WorkTransaction.begin(in: session, snapshotID: nil)
            try await session.execute("COMMIT; BEGIN", action: "misbehave")
            let error = await #expect(throws: PostgresError.self) {
                try await WorkTransaction.commit(
                    in: session, claim: claim, workerID: "w", transactionID: transaction,
                    result: JobResult(rows: 0, bytes: 0, durationMs: 0, parts: [], totals: []))
            }
            #expect(error?.sqlState == "BDA01")
            #expect(error?.isRetryable == false)
            await session.close()
        }
    }

    @Test func attemptsAreBoundedAndInterruptionsDoNotCount() async throws {
        try await LedgerFixture.with(jobs: 1, maxAttempts: 2) { fixture in
            let session = try await fixture.session()
            let interrupted = try #require(try await fixture.claim(nil, for: session))
            #expect(
                try await fixture.ledger.jobs.endAttempt(
                    interrupted, outcome: .interrupted, code: "shutdown", message: "", hint: nil))
            for attempt in 2...3 {
                let claim = try #require(try await fixture.claim(nil, for: session))
                #expect(claim.attempt == attempt)
                #expect(
                    try await fixture.ledger.jobs.endAttempt(
                        claim, outcome: .retry(after: 0), code: "40001", message: "m", hint: "h"))
            }
            #expect(try await fixture.claim(nil, for: session) == nil)
            #expect(try await fixture.ledger.jobs.advance(fixture.run).failed == 1)
            let failed = try #require(
                try await fixture.ledger.status.notableJobs(of: fixture.run.runID, limit: 5).first)
            #expect(failed.state == .failed)
            #expect(failed.message == "m")
            await session.close()
        }
    }

    /// A job that kills its worker each time ends as failed when its attempts are used up.
    @Test func aPoisonJobIsGivenUp() async throws {
        try await LedgerFixture.with(jobs: 1, maxAttempts: 2) { fixture in
            for _ in 0..<2 {
                let session = try await fixture.session()
                _ = try #require(try await fixture.claim(nil, for: session))
                await session.close()
                try await fixture.expireLease(of: fixture.jobs[0])
            }
            let session = try await fixture.session()
            #expect(try await fixture.claim(nil, for: session) == nil)
            #expect(try await fixture.ledger.jobs.advance(fixture.run).failed == 1)
            #expect(
                try await fixture.ledger.status.notableJobs(of: fixture.run.runID, limit: 1).first?.code
                    == "attempts_used_up")
            await session.close()
        }
    }

    /// A look that changes nothing, for the seconds between two renewals.
    @Test func aClaimIsHeldByItsAttemptUntilTheJobIsDoneOrTheRunEnds() async throws {
        try await LedgerFixture.with(jobs: 2) { fixture in
            let (first, second) = (try await fixture.session(), try await fixture.session())
            let lost = try #require(try await fixture.claim(fixture.jobs[0], for: first))
            let kept = try #require(try await fixture.claim(fixture.jobs[1], for: second))
            let both = Set(fixture.jobs)
            #expect(try await fixture.ledger.jobs.heldClaims(of: [lost, kept]) == both)
            try await fixture.expireLease(of: fixture.jobs[0])
            // Overdue is not lost: nobody has taken it.
            #expect(try await fixture.ledger.jobs.heldClaims(of: [lost, kept]) == both)
            let taken = try #require(try await fixture.claim(fixture.jobs[0], for: second, worker: "another"))
            #expect(try await fixture.ledger.jobs.heldClaims(of: [lost, kept]) == [fixture.jobs[1]])
            #expect(try await fixture.ledger.jobs.renew([(lost, 1), (kept, 2)], leaseSeconds: 30) == [fixture.jobs[1]])
            #expect(try await fixture.commit(kept, in: first))
            _ = try await fixture.ledger.jobs.advance(fixture.run)
            #expect(try await fixture.ledger.jobs.heldClaims(of: [lost, kept, taken]) == both)
            #expect(try await fixture.ledger.jobs.renew([(lost, 1), (kept, 2)], leaseSeconds: 30) == [fixture.jobs[1]])
            _ = try await fixture.ledger.runs.fail(fixture.run, exitCode: 11, reason: "r", hint: nil)
            #expect(try await fixture.ledger.jobs.heldClaims(of: [lost, taken]).isEmpty)
            for session in [first, second] { await session.close() }
        }
    }

    @Test func aBackoffIsWaitedFor() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let session = try await fixture.session()
            let claim = try #require(try await fixture.claim(nil, for: session))
            #expect(
                try await fixture.ledger.jobs.endAttempt(
                    claim, outcome: .retry(after: 3600), code: "x", message: "", hint: nil))
            #expect(try await fixture.claim(claim.jobID, for: session) == nil)
            #expect(try await fixture.ledger.jobs.takeDueRequests(fixture.run).isEmpty)
            await session.close()
        }
    }
}
