import Foundation
import Glibc
import JobModel

extension ScenarioRun {
    func kill(_ program: Program) async {
        killed.insert(program.processID)
        program.kill()
        _ = try? await program.ended(within: .seconds(10))
    }

    /// A worker whose job stands at the gate.
    func workerAtGate(_ fault: Scenario.Fault) async throws -> Program? {
        let names = try await observer.rows(
            """
            SELECT DISTINCT j.worker_id FROM bda.job AS j
            JOIN pg_locks AS l ON l.pid = j.backend_pid AND l.locktype = 'advisory' AND NOT l.granted
            WHERE j.state = 'running' AND l.objid = \(fault.moment.lock) ORDER BY 1
            """
        ).compactMap { $0[0] }
        guard !names.isEmpty else {
            notes.append("nobody at the gate")
            return nil
        }
        return workers[names[fault.choice % names.count]]
    }

    /// Freezes a worker in the middle of a job until another has taken the job over, or until the date is complete.
    func freezeWorker(_ fault: Scenario.Fault) async throws {
        guard let program = try await workerAtGate(fault) else { return }
        program.signal(SIGSTOP)
        // Somebody must be left to work.
        if fault.choice % 2 == 0 || frozenToTheEnd + 1 >= scenario.workers {
            healings.append { program.signal(SIGCONT) }
            let id = program.name.split(separator: "-").dropLast().joined(separator: "-")
            let deadline = ContinuousClock.now + .seconds(15)
            while try await observer.says(
                "SELECT EXISTS (SELECT FROM bda.job WHERE state = 'running' AND worker_id = '\(id)')")
            {
                guard ContinuousClock.now < deadline else {
                    notes.append("nobody took over from \(id)")
                    break
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        } else {
            frozenToTheEnd += 1
            wakeAtEnd(program)
        }
    }

    /// Freezes a worker while a request to the store is under way, which reaches the store when the date is complete: the
    /// worker's successor has written the object long before, and a reader has followed `latest` to it.
    func freezeInUpload(_ fault: Scenario.Fault) {
        guard frozenToTheEnd + 1 < scenario.workers else {
            notes.append("nobody would be left to work")
            return
        }
        frozenToTheEnd += 1
        store.spoil(1, .held) { $0.isWrite && !$0.isManifest }
        aftermath.append { await self.noteUnlessHappened(fault, self.store.heldTarget != nil) }
        Task {
            while store.heldTarget == nil, !isComplete { try await Task.sleep(for: .milliseconds(10)) }
            let target = store.heldTarget.map { String($0.prefix { $0 != "?" }) }?.removingPercentEncoding
            guard let target, let runID = ObjectLayout.runID(ofKey: target) else { return }
            // /bucket/…/<system>/<dataset>/dt=…/run=…/part-<partition>-<number>.csv
            let path = target.split(separator: "/")
            guard let date = path.firstIndex(where: { $0.hasPrefix("dt=") }), date >= 2 else { return }
            let partition = path[path.count - 1].split(separator: "-")[1]
            let job = "\(runID)/\(path[date - 2]).\(path[date - 1])/\(partition)"
            if let worker = try await observer.value("SELECT worker_id FROM bda.job WHERE job_id = '\(job)'") {
                workers[worker]?.signal(SIGSTOP)
                if let program = workers[worker] { sleepers.append(program) }
            }
        }
    }

    func wakeAtEnd(_ program: Program) { sleepers.append(program) }

    /// Freezes the coordinator; another takes the date over; the first wakes up and finds that it owns nothing.
    func freezeCoordinator(_ fault: Scenario.Fault) async throws {
        guard let frozen = coordinator, frozen.ending == nil else { return }
        frozen.signal(SIGSTOP)
        replaced.append(frozen)
        coordinator = try startCoordinator(takesOver: true)
        if fault.choice % 2 == 0 {
            healings.append { frozen.signal(SIGCONT) }
        } else {
            wakeAtEnd(frozen)
        }
    }

    func dismiss(_ name: String) {
        wanted.remove(name)
        workers[name]?.signal(SIGTERM)
    }
}
