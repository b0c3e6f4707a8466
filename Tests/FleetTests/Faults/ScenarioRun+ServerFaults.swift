import Foundation
import Glibc
import JobModel
import Kafka
import ObjectStore
import Postgres
import Testing
import TestSupport

extension ScenarioRun {
    func disturb(
        _ line: TCPProxy, _ way: TCPProxy.Way, for time: Duration, thenReset: Bool = false
    ) async throws {
        line.set(way)
        try await Task.sleep(for: time)
        if thenReset { line.set(.refusing) }
        line.set(.open)
    }

    func later(_ line: TCPProxy, _ way: TCPProxy.Way) {
        line.set(way)
        healings.append {
            try await Task.sleep(for: .seconds(1))
            line.set(.open)
        }
    }

    func loseReplies(_ fault: Scenario.Fault) {
        let lines = Array(workerLines.values)
        for line in lines { line.loseReply(to: "COMMIT") }
        if fault.choice % 2 == 0 { coordinatorLine.loseReply(to: "bda.enter_state") }
        aftermath.append {
            await self.noteUnlessHappened(fault, (lines + [self.coordinatorLine]).contains { $0.lostReplies > 0 })
            for line in lines + [self.coordinatorLine] { line.keepReplies() }
        }
    }

    /// `pg_terminate_backend` for one session of the fleet, or for all of one purpose, or for all.
    func endSessions(_ fault: Scenario.Fault) async throws {
        let fleets = "datname = current_database() AND usename = 'billing_aggregator'"
        let purposes = try await observer.rows(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE \(fleets) ORDER BY 1"
        ).compactMap { $0[0] }
        guard !purposes.isEmpty else { return }
        let purpose = purposes[fault.choice % purposes.count]
        let which =
            switch fault.choice / 100 % 3 {
            case 0: "pid = (SELECT min(pid) FROM pg_stat_activity WHERE \(fleets) AND application_name = '\(purpose)')"
            case 1: "application_name = '\(purpose)'"
            default: "true"
            }
        _ = try await observer.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \(fleets) AND \(which)")
    }

    func send(_ fault: Scenario.Fault) async throws {
        let forger = Forger(fleet)
        switch fault.kind {
        case .messagesForged:
            guard let runID = try await observer.value("SELECT max(run_id) FROM bda.run") else { return }
            // Before the graph is committed, nobody sees its jobs: made-up names do.
            let known = try await observer.rows("SELECT job_id FROM bda.job WHERE run_id = '\(runID)'")
            var jobs = try known.compactMap { try $0[0].map { try JobID($0) } }
            if jobs.isEmpty {
                jobs = [
                    JobID(run: try RunID(runID), segment: try SegmentName("tripica.charges"), partition: 0),
                    JobID(run: try RunID(runID), segment: try SegmentName("tripica.data_charges"), partition: 1),
                ]
            }
            try await forger.forge(
                jobs,
                of: RunContext(
                    runID: try RunID(runID), businessDate: try BusinessDate(SampleWarehouse.date), clientID: "acme",
                    environment: "dev"))
        case .messagesRepeated:
            for topic in [forger.topics.jobs, forger.topics.events] {
                try await forger.repeatReversed(await recorder.messages[topic] ?? [])
            }
        default:
            var generator = SeededGenerator(seed: scenario.seed &+ UInt64(fault.choice))
            try await forger.sendGarbage(&generator)
        }
    }

    func spoilStore(_ fault: Scenario.Fault) async throws {
        let count = 1 + fault.choice % 6
        let after = fault.choice / 10 % 2 == 0
        switch fault.kind {
        case .storeErrors: store.spoil(count, .refuse(500, code: "InternalError")) { $0.isWrite }
        case .storeThrottles: store.spoil(count, .refuse(503, code: "SlowDown")) { _ in true }
        case .errorInSuccess:
            store.spoil(
                count, after ? .answerReplaced(200, code: "InternalError") : .errorInSuccess, where: { $0.isCompletion }
            )
        case .storeSlow: store.spoil(30, .slow(.milliseconds(100))) { _ in true }
        case .uploadReset: store.spoil(count, .resetInBody) { $0.method == "PUT" }
        case .wrongETag: store.spoil(1 + count % 2, .wrongETag) { $0.isPartUpload }
        case .conditionRefused:
            let refusal = "PreconditionFailed"
            store.spoil(
                1, after ? .answerReplaced(412, code: refusal) : .refuse(412, code: refusal), where: { $0.isLatest })
        case .answersLost:
            store.spoil(count, after ? .answerLost : .answerReplaced(500, code: "InternalError")) { $0.isWrite }
        case .storeUnreachable:
            store.refuse(true)
            try await Task.sleep(for: .seconds(2))
            store.refuse(false)
        default: preconditionFailure("\(fault.kind) is no fault of the store")
        }
        let hits = store.hits
        aftermath.append { [store] in
            if fault.kind != .storeUnreachable { await self.noteUnlessHappened(fault, store.hits > hits) }
        }
    }
}
