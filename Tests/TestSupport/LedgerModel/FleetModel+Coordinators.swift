import JobModel

extension FleetModel {
    func coordinatorPhase(for state: RunState) -> Coordinator {
        switch state {
        case .running: .looking
        case .verified: .notingManifest
        case .published, .announced, .history: .entering(state.next!)
        case .closed, .failed, .cancelled: .ended
        }
    }

    mutating func step(_ index: Int) {
        let (number, phase) = coordinators[index]
        let before = ledger
        do throws(LedgerModel.NotOwner) {
            switch phase {
            case .ended: break
            case .looking:
                try ledger.settle(owner: number)
                coordinators[index].phase = .settled
            case .settled:
                giveUp()
                coordinators[index].phase = .givenUp
            case .givenUp:
                let counts = readyJobs()
                let done = counts[.done] ?? 0
                coordinators[index].phase =
                    (counts[.failed] ?? 0) > 0 ? .failing : done == ledger.jobs.count ? .verifying : .looking
            case .failing:
                fail(index)
            case .verifying:
                let isEntered = try ledger.enterState(owner: number, from: .running, to: .verified)
                coordinators[index].phase = isEntered ? .notingManifest : .ended
            case .notingManifest:
                guard number == ledger.owner, ledger.run != .cancelled else {
                    return coordinators[index].phase = .ended
                }
                ledger.hasManifest = true
                coordinators[index].phase = .movingLatest
            case .movingLatest:
                isLatest = true
                coordinators[index].phase = .entering(.published)
            case .entering(let state):
                let from = RunState.allCases.first { $0.next == state }!
                let isEntered = try ledger.enterState(owner: number, from: from, to: state)
                coordinators[index].phase = isEntered ? coordinatorPhase(for: state) : .ended
            }
        } catch {
            coordinators[index].phase = .ended
        }
        let isLook = phase == .settled || phase == .givenUp
        if number != before.owner, !isLook, before != ledger { violation = "a former owner changed something" }
    }

    mutating func giveUp() {
        guard scope.mistake == .givenUpWithSession else { return ledger.giveUp(now: 0) }
        let sessions = ledger.sessions
        ledger.giveUp(now: 0)
        ledger.sessions = sessions
    }

    mutating func readyJobs() -> [JobState: Int] {
        if scope.mistake == .readyTooEarly {
            for job in ledger.jobs.indices where ledger.jobs[job].state == .blocked {
                let needs = ledger.plan.jobs[job].needs
                if needs.allSatisfy({ ledger.jobs[$0].state != .ready && ledger.jobs[$0].state != .blocked }) {
                    ledger.jobs[job].state = .ready
                }
            }
        }
        return ledger.readyJobs()
    }

    mutating func fail(_ index: Int) {
        var number = coordinators[index].number
        if scope.mistake == .failureIsNotOwned { number = ledger.owner }
        let hasManifest = ledger.hasManifest
        if scope.mistake == .failedAfterManifest { ledger.hasManifest = false }
        _ = try? ledger.fail(owner: number)
        ledger.hasManifest = hasManifest
        coordinators[index].phase = .ended
    }
}
