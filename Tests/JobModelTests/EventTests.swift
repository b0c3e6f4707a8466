import Foundation
import JobModel
import Testing

@Suite struct EventTests {
    private let run = RunContext(
        runID: try! RunID("20260401t031500123z_7f3a"), businessDate: try! BusinessDate("2026-03-31"), clientID: "acme",
        environment: "prod")

    @Test func eventsAreFlatSnakeCaseObjects() throws {
        let event = try Event(
            run: run, body: JobRequested(jobID: JobID("20260401t031500123z_7f3a/tripica.charges/0007")))
        let text = String(decoding: try WireFormat.encode(event), as: UTF8.self)
        #expect(
            text
                == #"{"business_date":"2026-03-31","client_id":"acme","environment":"prod","job_id":"20260401t031500123z_7f3a/tripica.charges/0007","partition":7,"run_id":"20260401t031500123z_7f3a","segment":"tripica.charges"}"#
        )
    }

    @Test func cloudEventRoundTripsThroughItsHeaders() throws {
        let body = RunCompleted(
            manifestURI: "s3://b/m.json", manifestSHA256: "ab", replacesRunID: run.runID,
            datasets: [
                .init(
                    name: try SegmentName("tripica.charges"), manifestURI: "s3://b/d.json", rows: 3, bytes: 99,
                    totals: [ControlTotal(name: "net", currency: "EUR", amount: try ExactDecimal("1.20"))])
            ])
        let sent = try CloudEvent(
            Event(run: run, body: body), source: "/bda/coordinator/x", at: Date(timeIntervalSince1970: 0.5))
        #expect(sent.subject == "2026-03-31/20260401t031500123z_7f3a")
        #expect(sent.time == "1970-01-01T00:00:00.500Z")
        let received = try CloudEvent.decode(RunCompleted.self, headers: sent.headers, value: sent.data)
        #expect(received == Event(run: run, body: body))
    }

    @Test func anEndlessTextFitsAMessage() throws {
        let text = String(repeating: "\u{1}ä", count: 200_000)
        let job = JobFailed(
            jobID: try JobID("20260401t031500123z_7f3a/tripica.charges/0007"), attempt: 1, workerID: "a",
            outcome: "rejected", code: "22P02", message: text, hint: text, retryAt: nil)
        let run = RunFailed(exitCode: 11, reason: text, hint: text, failedJobs: [])
        for bytes in [
            try WireFormat.encode(Event(run: self.run, body: job)),
            try WireFormat.encode(Event(run: self.run, body: run)),
        ] {
            #expect(bytes.count <= WireFormat.maximumMessageBytes)
        }
        #expect(job.message.hasSuffix("…") && run.reason.hasSuffix("…"))
    }

    @Test func idsStayTheSameWhenAnEventIsPublishedAgain() throws {
        let body = JobCompleted(
            jobID: try JobID("20260401t031500123z_7f3a/tripica.charges/0007"), attempt: 1, workerID: "a", rows: 0,
            bytes: 0,
            partCount: 0, totals: [], durationMs: 0)
        let first = try CloudEvent(Event(run: run, body: body), source: "/a", at: Date(timeIntervalSince1970: 0))
        let second = try CloudEvent(Event(run: run, body: body), source: "/b", at: Date())
        #expect(first.id == second.id)
    }

    @Test(arguments: [
        #"{}"#, #"[]"#, #"{"job_id":7}"#, "", "\u{0}", #"{"run_id":"x"}"#,
        #"{"business_date":"2026-02-30","client_id":"a","environment":"prod","job_id":"20260401t031500123z_7f3a/a.b/0000","partition":0,"run_id":"20260401t031500123z_7f3a","segment":"a.b"}"#,
    ])
    func garbageIsRefusedWithAReason(_ text: String) {
        let headers = [("ce_specversion", "1.0"), ("ce_type", JobRequested.type)]
        #expect(throws: InvalidValue.self) {
            try CloudEvent.decode(JobRequested.self, headers: headers, value: Array(text.utf8))
        }
    }

    @Test func wrongTypeAndSizeAreRefused() {
        #expect(throws: InvalidValue.self) {
            try CloudEvent.decode(JobRequested.self, headers: [("ce_specversion", "1.0"), ("ce_type", "x")], value: [])
        }
        let headers = [("ce_specversion", "1.0"), ("ce_type", JobRequested.type)]
        #expect(throws: InvalidValue.self) {
            try CloudEvent.decode(JobRequested.self, headers: headers, value: Array(repeating: 32, count: 70_000))
        }
    }
}

@Suite struct ObjectLayoutTests {
    @Test func keysFollowTheLayout() throws {
        let layout = ObjectLayout(
            prefix: "billing", clientID: "acme", environment: "prod", businessDate: try BusinessDate("2026-03-31"),
            runID: try RunID("20260401t031500123z_7f3a"))
        let dataset = try SegmentName("tripica.charges")
        #expect(
            layout.part(of: dataset, partition: 7, number: 2, compression: .gzip)
                == "billing/acme/prod/tripica/charges/dt=2026-03-31/run=20260401t031500123z_7f3a/part-0007-00002.csv.gz"
        )
        #expect(
            layout.manifest(of: dataset)
                == "billing/acme/prod/manifests/dt=2026-03-31/run=20260401t031500123z_7f3a/tripica.charges.json")
        #expect(ObjectLayout.runID(ofKey: layout.runManifest) == (try RunID("20260401t031500123z_7f3a")))
        #expect(ObjectLayout.runID(ofKey: "billing/run=7/part-1.csv") == nil)
        #expect(ObjectLayout.runID(ofKey: layout.latest) == nil)
        #expect(layout.latestOfDate == "billing/acme/prod/manifests/dt=2026-03-31/latest.json")
        #expect(layout.latest == "billing/acme/prod/manifests/latest.json")
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "ä", "a\n"])
    func whatCouldLeaveThePrefixIsNoComponent(_ text: String) {
        #expect(!ObjectLayout.isKeyComponent(text))
    }
}

@Suite struct RunStateTests {
    @Test func stepsLeadToTheEndOnce() {
        var state = RunState.running
        var visited = [state]
        while let next = state.next {
            state = next
            visited.append(state)
        }
        #expect(visited == [.running, .verified, .published, .announced, .history, .closed])
        #expect(RunState.allCases.filter(\.isFinal) == [.closed, .failed, .cancelled])
        #expect(RunState.allCases.filter { $0.isPublished && $0.next == nil } == [.closed])
    }
}
