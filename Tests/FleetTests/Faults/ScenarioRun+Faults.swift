import Foundation
import Glibc
import JobModel
import Kafka
import ObjectStore
import Postgres
import Testing
import TestSupport

extension ScenarioRun {
    func happen(_ fault: Scenario.Fault) async throws {
        let worker = "worker\(1 + fault.choice % scenario.workers)"
        switch fault.kind {
        case .workerKilled:
            if let program = try await workerAtGate(fault) { await kill(program) }
        case .workerFrozen: try await freezeWorker(fault)
        case .workerFrozenInUpload: freezeInUpload(fault)
        case .workerStopped: workers[worker]?.signal(SIGTERM)
        case .workersJoinAndLeave:
            let guest = "worker\(scenario.workers + 1)"
            if !wanted.contains(guest) { try startWorker(guest) }
            workers[worker]?.signal(SIGTERM)
            healings.append { await self.dismiss(guest) }
        case .coordinatorKilledBeforeGraph, .coordinatorKilledWithSnapshot, .coordinatorKilledAfterSnapshot,
            .coordinatorKilledVerified, .coordinatorKilledPublished, .coordinatorKilledAnnounced,
            .coordinatorKilledHistory, .coordinatorKilledClosing:
            if let coordinator { await kill(coordinator) }
        case .coordinatorStopped: coordinator?.signal(SIGTERM)
        case .coordinatorFrozen: try await freezeCoordinator(fault)
        case .brokerAway: try await takeBrokerAway(fault)
        case .deadLettersRefused: try await refuseDeadLetters(fault)
        case .viewsHeld: try await holdViews()
        case .rollingUpgrade: try await upgrade()
        case .poolerRefused: try await tryPooler()
        case .brokerRestarted:
            try await untilBrokerIsBack()
            try await KeptServer.kafka.restart(
                by: fault.choice % 2 == 0 ? SIGKILL : SIGTERM, downFor: .milliseconds(300))
            healings.append { try await self.untilBrokerAnswers() }
        case .brokerUnreachable: try await disturb(broker, .refusing, for: .milliseconds(3500))
        case .brokerSilent: try await disturb(broker, .silent, for: .milliseconds(3500))
        case .brokerSlow: later(broker, .slow(.milliseconds(25)))
        case .databaseRestarted:
            // At once (as after a crash), or in order, with all sessions ended.
            try await KeptServer.postgres.restart(
                by: fault.choice % 2 == 0 ? SIGQUIT : SIGINT, downFor: .milliseconds(100 * (fault.choice / 2 % 10)))
            try await gates.closeAgain()
        case .sessionsEnded: try await endSessions(fault)
        case .databaseReset:
            (fault.choice % 3 == 0 ? coordinatorLine : workerLines[worker])?.reset()
        case .databaseSilent:
            let line = fault.choice % 3 == 0 ? coordinatorLine : workerLines[worker]!
            // Longer than a lease; afterwards bytes flow again, or nothing is left of the connections.
            try await disturb(line, .silent, for: .milliseconds(4500), thenReset: fault.choice / 3 % 2 == 0)
        case .databaseSlow:
            later(fault.choice % 3 == 0 ? coordinatorLine : workerLines[worker]!, .slow(.milliseconds(20)))
        case .commitReplyLost: loseReplies(fault)
        case .messagesForged, .messagesRepeated, .garbage:
            try await untilBrokerIsBack()
            try await send(fault)
        case .clockAhead, .clockBehind: break  // Since the programs were started.
        default: try await spoilStore(fault)
        }
    }

    func noteUnlessHappened(_ fault: Scenario.Fault, _ hasHappened: Bool) {
        if !hasHappened { notes.append("\(fault.kind.rawValue): came to nothing") }
    }
}
