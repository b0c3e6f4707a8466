package import Logging
import Glibc

/// Runs a program's services until the first of them ends or a signal comes, then stops the others in reverse order.
///
/// SIGTERM and SIGINT request a graceful shutdown: the last service drains, within its own limit, then the one before
/// it, and so on, so a service is listed after those that it needs. A second signal cancels all at once. A service that
/// does not end when it is cancelled would keep the process forever: after `cancelLimit` the process ends with
/// `abortCode`.
///
/// SIGPIPE and SIGXFSZ are ignored from `run` on: a closed connection, or a file that must not grow, is an error of the
/// writing call, not the end of the process.
package struct ServiceGroup: Sendable {
    /// One service and the way to stop it.
    package struct Member: Sendable {
        let name: String
        let service: any Service
        let drain: GracefulShutdown?
        let limit: Duration

        /// A service that is stopped by cancelling it.
        package init(_ name: String, _ service: any Service) {
            self.name = name
            self.service = service
            drain = nil
            limit = .zero
        }

        /// A service that finishes its current work when `drain` is requested, and is cancelled `limit` later.
        package init(_ name: String, _ service: any Service, drain: GracefulShutdown, limit: Duration) {
            self.name = name
            self.service = service
            self.drain = drain
            self.limit = limit
        }
    }

    /// The end of a group that no error ended.
    package struct Ending: Sendable, Hashable {
        /// The signal that ended it, such as `SIGTERM`; nil if a service ended first.
        package let signal: String?
        /// The services that were cancelled because their drain limit had passed.
        package let overdue: [String]
    }

    private let members: [Member]
    private let cancelLimit: Duration
    private let abortCode: Int32
    private let logger: Logger

    /// - Parameters:
    ///   - members: each after those that it needs.
    ///   - cancelLimit: the time in which a cancelled service must end.
    ///   - abortCode: the exit code if it does not.
    ///   - logger: writes a line for each stage of the shutdown.
    package init(
        _ members: [Member], cancelLimit: Duration = .seconds(10), abortCode: Int32 = 1, logger: Logger
    ) {
        precondition(!members.isEmpty, "a group without services")
        self.members = members
        self.cancelLimit = cancelLimit
        self.abortCode = abortCode
        self.logger = logger
    }

    private enum Event: Sendable {
        case ended(Int, (any Error)?)
        case signal(Int32)
        case timer(Int, ServiceGroupState.Stage)
        case nothing
    }

    /// Runs the services; returns when all have ended. Throws the error of the first one that failed without having
    /// been cancelled. A cancellation of the calling task cancels all services. At most one group of a process runs at
    /// a time.
    package func run() async throws -> Ending {
        ProcessSignals.ignoreWriteSignals()
        let signals = await ProcessSignals.terminations()
        let stops = members.map { _ in GracefulShutdown() }
        var state = ServiceGroupState(
            members: members.map { .init(drainLimit: $0.drain == nil ? nil : $0.limit) }, cancelLimit: cancelLimit)
        var failure: (any Error)?
        var signal: String?

        await withTaskGroup(of: Event.self) { group in
            for (index, member) in members.enumerated() {
                group.addTask { [stop = stops[index]] in
                    do {
                        try await stop.cancelWhenRequested { try await member.service.run() }
                        return .ended(index, nil)
                    } catch {
                        return .ended(index, error)
                    }
                }
            }
            group.addTask { await Self.next(of: signals) }

            while let event = await group.next() {
                let actions: [ServiceGroupState.Action]
                switch event {
                case .ended(let index, let error):
                    // The error of a cancelled service is most likely its cancellation, wrapped in another error.
                    if !stops[index].isRequested, !Task.isCancelled { failure = failure ?? error }
                    logger.debug(
                        "service ended",
                        metadata: [.service: "\(members[index].name)", .error: "\(error.map { "\($0)" } ?? "")"])
                    actions = state.memberEnded(index)
                case .signal(let number):
                    group.addTask { await Self.next(of: signals) }
                    let name = ProcessSignals.name(of: number)
                    signal = signal ?? (state.isStopping ? nil : name)
                    logger.info("signal received, shutting down", metadata: [.signal: "\(name)"])
                    actions = state.signalReceived()
                case .timer(let index, let stage): actions = state.timerFired(index, stage)
                case .nothing: actions = []
                }
                for action in actions {
                    switch action {
                    case .drain(let index):
                        logger.debug("draining service", metadata: [.service: "\(members[index].name)"])
                        members[index].drain?.request()
                    case .cancel(let index):
                        if state.overdue.last == index {
                            logger.warning(
                                "service did not drain within its limit and is cancelled",
                                metadata: [.service: "\(members[index].name)"])
                        }
                        stops[index].request()
                    case .startTimer(let index, let stage, let time):
                        group.addTask {
                            try? await Task.sleep(for: time)
                            return Task.isCancelled ? .nothing : .timer(index, stage)
                        }
                    case .abort(let index):
                        logger.error(
                            "service did not end when it was cancelled; the process ends without it",
                            metadata: [.service: "\(members[index].name)", .exitCode: "\(abortCode)"])
                        _exit(abortCode)
                    case .finish: group.cancelAll()
                    }
                }
            }
        }
        if let failure { throw failure }
        try Task.checkCancellation()
        return Ending(signal: signal, overdue: state.overdue.map { members[$0].name })
    }

    private static func next(of signals: AsyncStream<Int32>) async -> Event {
        for await signal in signals { return .signal(signal) }
        return .nothing
    }
}
