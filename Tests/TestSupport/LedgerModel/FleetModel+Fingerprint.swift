import JobModel

extension FleetModel {
    /// Forgets what decides nothing any more.
    mutating func normalize() {
        for index in ledger.jobs.indices where ledger.jobs[index].notBefore.map({ $0 <= 0 }) ?? false {
            ledger.jobs[index].notBefore = nil
        }
        for session in ledger.sessions.keys where !workers.contains(where: { $0.session == session }) {
            // Nobody's session, and it has nothing to do.
            if ledger.sessions[session] == .some(nil) { ledger.end(session) }
        }
        sent = sent.filter { isConnected($0) }
    }

    /// Equal for states that behave alike.
    package var fingerprint: UInt64 {
        // Which of equal workers is which does not matter.
        workers.count == 2
            ? min(fingerprint(of: [0, 1]), fingerprint(of: [1, 0])) : fingerprint(of: workers.indices.map { $0 })
    }

    func fingerprint(of order: [Int]) -> UInt64 {
        // Sessions by the order in which they are met.
        var names: [LedgerModel.SessionID] = []
        func name(_ session: LedgerModel.SessionID?) -> Int {
            guard let session, isConnected(session) else { return session == nil ? -2 : -1 }
            if let index = names.firstIndex(of: session) { return index }
            names.append(session)
            return names.count - 1
        }
        var hasher = Fingerprint()
        for number in order {
            let worker = workers[number]
            hasher.add(name(worker.session), worker.isFrozen ? 1 : 0)
            switch worker.phase {
            case .idle: hasher.add(0)
            case .claimed(let attempt, let former): hasher.add(1, attempt.job, attempt.number, name(former))
            case .working(let attempt): hasher.add(2, attempt.job, attempt.number)
            case .committing(let attempt): hasher.add(3, attempt.job, attempt.number)
            case .reporting(let attempt, let outcome):
                hasher.add(4, attempt.job, attempt.number, outcome == .rejected ? 0 : outcome == .interrupted ? 1 : 2)
            }
        }
        for (number, job) in ledger.jobs.enumerated() {
            hasher.add(job.state.number, job.attempt, job.interruptions, job.notBefore ?? 0, job.leaseUntil ?? -2)
            hasher.add(job.result ?? 0, name(job.session), begun[number], ledger.attempts[number].count)
            for attempt in ledger.attempts[number] {
                hasher.add(name(attempt.session))
            }
        }
        for session in names {
            switch ledger.sessions[session]! {
            case nil: hasher.add(0)
            case .open(let attempt): hasher.add(1, attempt.job, attempt.number)
            case .recorded(let attempt): hasher.add(2, attempt.job, attempt.number)
            }
            hasher.add(sent.contains(session) ? 1 : 0)
        }
        for coordinator in coordinators { hasher.add(coordinator.number, coordinator.phase.hashValue) }
        hasher.add(ledger.run.hashValue, ledger.owner, ledger.hasManifest ? 1 : 0, isLatest ? 1 : 0)
        hasher.add(starts, cancels, disturbances, violation == nil ? 0 : 1)
        return hasher.value
    }
}

/// 64 bits from a sequence of small numbers.
private struct Fingerprint {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    var value: UInt64 { state }

    mutating func add(_ numbers: Int...) {
        for number in numbers {
            // Mixing by the finalizer of SplitMix64, which is a bijection of 64 bits.
            state ^= UInt64(bitPattern: Int64(number)) &+ 0x9E37_79B9_7F4A_7C15 &+ (state << 6) &+ (state >> 2)
            state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
            state ^= state >> 31
        }
    }
}

extension JobState {
    fileprivate var number: Int {
        switch self {
        case .blocked: 0
        case .ready: 1
        case .running: 2
        case .done: 3
        case .failed: 4
        case .cancelled: 5
        }
    }
}
