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
            #expect(
                try await !fixture.ledger.runs.fail(fixture.run, state: .cancelled, exitCode: 31, reason: "", hint: nil)
            )
            #expect(try await fixture.ledger.runs.run(fixture.run.runID)?.state == .verified)
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
                of: fixture.run.runID, olderThanSeconds: 0, limit: 10)
            #expect(owed.map(\.body.jobID) == fixture.jobs)
            #expect(owed[0].body.totals.map(\.amount.description) == ["0.10"])
            try await fixture.ledger.results.markEventsSent(fixture.jobs)
            #expect(
                try await fixture.ledger.results.owedEvents(of: fixture.run.runID, olderThanSeconds: 0, limit: 10)
                    .isEmpty)
            await session.close()
        }
    }
}
