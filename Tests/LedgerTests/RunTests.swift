import JobModel
import Ledger
import Postgres
import TestSupport
import Testing

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(3)))
struct RunTests {
    @Test func nothingOfARunThatHasEndedIsClaimed() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            #expect(try await fixture.ledger.runs.fail(fixture.run, exitCode: 11, reason: "r", hint: nil))
            let session = try await fixture.session()
            #expect(try await fixture.claim(nil, for: session) == nil)
            #expect(try await fixture.claim(fixture.jobs[0], for: session) == nil)
            await session.close()
        }
    }

    @Test func aFormerOwnerChangesNothing() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let number = try await fixture.ledger.runs.takeOwnership(of: fixture.run.runID, owner: "another")
            #expect(number == 2)
            await #expect(throws: OwnershipLost.self) { try await fixture.ledger.jobs.advance(fixture.run) }
            await #expect(throws: OwnershipLost.self) { try await fixture.ledger.jobs.takeDueRequests(fixture.run) }
            await #expect(throws: OwnershipLost.self) {
                try await fixture.ledger.runs.enterState(fixture.run, from: .running, to: .verified)
            }
            await #expect(throws: OwnershipLost.self) {
                try await fixture.ledger.runs.fail(fixture.run, exitCode: 1, reason: "", hint: nil)
            }
            await #expect(throws: OwnershipLost.self) {
                try await fixture.ledger.runs.setSnapshot("x", of: fixture.run)
            }
            await #expect(throws: OwnershipLost.self) {
                try await fixture.ledger.runs.setManifest(uri: "u", sha256: "s", replaces: nil, of: fixture.run)
            }
            let run = try #require(try await fixture.ledger.runs.run(fixture.run.runID))
            #expect(run.state == .running && run.snapshotID == nil && run.manifestURI == nil)
        }
    }

    @Test func aRunWhosePublicationHasBegunCannotFail() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            #expect(try await fixture.ledger.runs.enterState(fixture.run, from: .running, to: .verified))
            try await fixture.ledger.runs.setManifest(uri: "u", sha256: "s", replaces: nil, of: fixture.run)
            #expect(try await !fixture.ledger.runs.fail(fixture.run, exitCode: 11, reason: "", hint: nil))
            let before = try #require(try await fixture.ledger.runs.run(fixture.run.runID))
            let answer = try #require(try await fixture.cancel())
            #expect(!answer.isCancelled && answer.state == .verified)
            // Refused means untouched: the publisher is still the owner.
            #expect(try await fixture.ledger.runs.run(fixture.run.runID) == before)
            try await fixture.ledger.runs.assertOwner(fixture.run)
            #expect(try await fixture.ledger.runs.enterState(fixture.run, from: .verified, to: .published))
        }
    }

    @Test func theCoordinatorOfACancelledRunLearnsThatItWasCancelled() async throws {
        try await LedgerFixture.with(jobs: 3) { fixture in
            let session = try await fixture.session()
            let claim = try #require(try await fixture.claim(nil, for: session))
            #expect(try await fixture.cancel()?.isCancelled == true)
            let run = fixture.run
            await #expect(throws: RunCancelled.self) { try await fixture.ledger.jobs.advance(run) }
            await #expect(throws: RunCancelled.self) { try await fixture.ledger.runs.assertOwner(run) }
            await #expect(throws: RunCancelled.self) {
                try await fixture.ledger.runs.enterState(run, from: .running, to: .verified)
            }
            await #expect(throws: RunCancelled.self) {
                try await fixture.ledger.runs.setManifest(uri: "u", sha256: "s", replaces: nil, of: run)
            }
            await #expect(throws: RunCancelled.self) {
                try await fixture.ledger.runs.fail(run, exitCode: 1, reason: "", hint: nil)
            }
            #expect(try await fixture.ledger.jobs.renew([(claim, 0)], leaseSeconds: 30).isEmpty)
            #expect(try await fixture.ledger.status.jobCounts(of: run.runID).cancelled == 3)
            #expect(try await fixture.cancel()?.isCancelled == false)
            await session.close()
        }
    }

    @Test func theJobsOfAnEndedRunLeaveTheIndexOfTheClaim() async throws {
        try await LedgerFixture.with(jobs: 4) { fixture in
            let session = try await fixture.session()
            let done = try #require(try await fixture.claim(nil, for: session))
            #expect(try await fixture.commit(done, in: session))
            let running = try #require(try await fixture.claim(nil, for: session))
            #expect(try await fixture.ledger.runs.fail(fixture.run, exitCode: 11, reason: "r", hint: nil))
            let counts = try await fixture.ledger.status.jobCounts(of: fixture.run.runID)
            #expect(counts.done == 1 && counts.cancelled == 3 && counts.total == 4)
            let open = try await session.execute(
                "SELECT count(*) FROM bda.job WHERE state IN ('ready', 'running')", action: "count open jobs")
            #expect(open.firstValue == "0")
            let attempts = try await session.query(
                "SELECT outcome, code FROM bda.attempt WHERE job_id = $1", [running.jobID.description], action: "read")
            #expect(attempts.rows == [["lost", "run_ended"]])
            await session.close()
        }
    }

    @Test func removingARunRemovesAllThatTheLedgerKnowsOfIt() async throws {
        try await LedgerFixture.with(jobs: 2) { fixture in
            let session = try await fixture.session()
            let claim = try #require(try await fixture.claim(nil, for: session))
            #expect(try await fixture.commit(claim, in: session))
            // A history segment has a result and no job.
            try await session.query(
                """
                INSERT INTO bda.run_script (run_id, segment, kind, reads, file, digest)
                VALUES ($1, 'tripica.past', 'history', 'run', 'f', 'd')
                """, [fixture.run.runID.description], action: "record a history segment")
            let history = Claim.ofCoordinator(
                JobID(run: fixture.run.runID, segment: try SegmentName("tripica.past"), partition: 0))
            #expect(try await fixture.commit(history, in: session))
            try await fixture.ledger.runs.remove(fixture.run.runID)
            #expect(try await fixture.ledger.runs.run(fixture.run.runID) != nil, "an open run is not removed")
            _ = try await fixture.cancel()
            try await fixture.ledger.runs.remove(fixture.run.runID)
            for table in ["run", "job", "attempt", "result", "part", "total", "run_script"] {
                let rows = try await session.execute("SELECT count(*) FROM bda.\(table)", action: "count")
                #expect(rows.firstValue == "0", "\(table)")
            }
            await session.close()
        }
    }

    @Test func theNoteOfSentEventsWaitsForNoLock() async throws {
        try await LedgerFixture.with(jobs: 2) { fixture in
            let (worker, other) = (try await fixture.session(), try await fixture.session())
            for _ in 0..<2 {
                let claim = try #require(try await fixture.claim(nil, for: worker))
                #expect(try await fixture.commit(claim, in: worker))
            }
            try await other.query("BEGIN", [], action: "begin")
            try await other.query(
                "SELECT FROM bda.result WHERE job_id = $1 FOR UPDATE", [fixture.jobs[0].description], action: "lock")
            try await fixture.ledger.results.markEventsSent(fixture.jobs)
            let owed = try await fixture.ledger.results.owedEvents(
                clientID: fixture.run.clientID, environment: fixture.run.environment, olderThanSeconds: 0, limit: 10)
            #expect(owed.map(\.body.jobID) == [fixture.jobs[0]])
            for session in [worker, other] { await session.close() }
        }
    }

    @Test func aRunKeepsItsSettings() async throws {
        try await LedgerFixture.with(jobs: 3) { fixture in
            var run = fixture.run
            #expect(try await fixture.ledger.runs.run(run.runID)?.settings == run.settings)
            _ = try await fixture.cancel()
            var generator = SystemRandomNumberGenerator()
            var settings = run.settings
            (settings.compression, settings.compressionLevel, settings.output) = (.zstd, 3, "s3://bücket/\"x\"")
            run = RunRecord(
                runID: RunID(millisecondsSince1970: 0, using: &generator), clientID: run.clientID,
                environment: run.environment,
                businessDate: run.businessDate, cutoff: run.cutoff, systems: run.systems, isCompleteSet: true,
                settings: settings, owner: "test", snapshotID: nil)
            try await fixture.ledger.runs.insert(run)
            // The second run is the newer one, although the clock of the host that named it was decades slow.
            let runs = try await fixture.ledger.runs.runs(
                clientID: run.clientID, environment: run.environment, businessDate: run.businessDate, limit: 5)
            #expect(runs.map(\.runID) == [run.runID, fixture.run.runID])
            #expect(runs[0].settings == settings && runs[0].partitionCount == 3)
        }
    }

    @Test func aStepIsEnteredOnce() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let first = try await fixture.ledger.runs.enterState(fixture.run, from: .running, to: .verified)
            let second = try await fixture.ledger.runs.enterState(fixture.run, from: .running, to: .verified)
            #expect(first && !second)
            #expect(try await fixture.ledger.runs.run(fixture.run.runID)?.state == .verified)
        }
    }

    @Test func oneOpenRunOfADate() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            var generator = SystemRandomNumberGenerator()
            var second = fixture.run
            second.runID = RunID(millisecondsSince1970: 2_000_000_000_000, using: &generator)
            let error = await #expect(throws: PostgresError.self) { try await fixture.ledger.runs.insert(second) }
            #expect(error?.isUniqueViolation == true)
        }
    }

    @Test func owedEventsAreListedUntilTheyAreNoted() async throws {
        try await LedgerFixture.with(jobs: 1) { fixture in
            let session = try await fixture.session()
            let claim = try #require(try await fixture.claim(nil, for: session))
            #expect(try await fixture.commit(claim, in: session))
            _ = try await fixture.ledger.jobs.advance(fixture.run)
            let owed = try await fixture.ledger.results.owedEvents(
                clientID: fixture.run.clientID, environment: fixture.run.environment, olderThanSeconds: 0, limit: 10)
            #expect(owed.map(\.run) == [fixture.run.context])
            #expect(owed.map(\.body.jobID) == fixture.jobs)
            #expect(owed[0].body.totals.map(\.amount.description) == ["0.10"])
            try await fixture.ledger.results.markEventsSent(fixture.jobs)
            #expect(
                try await fixture.ledger.results.owedEvents(
                    clientID: fixture.run.clientID, environment: fixture.run.environment, olderThanSeconds: 0, limit: 10
                ).isEmpty)
            await session.close()
        }
    }
}
