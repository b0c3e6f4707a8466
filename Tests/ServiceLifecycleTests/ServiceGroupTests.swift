import BlockingIO
import Glibc
import TestSupport
import Testing

@testable import Logging
@testable import ServiceLifecycle
@testable import CommandLineOptions

/// The state machine, without time or tasks.
struct ServiceGroupStateTests {
    private typealias Action = ServiceGroupState.Action

    /// Three services: one that is cancelled, and two that drain for 1 and 2 seconds.
    private func state() -> ServiceGroupState {
        ServiceGroupState(
            members: [.init(drainLimit: nil), .init(drainLimit: .seconds(1)), .init(drainLimit: .seconds(2))],
            cancelLimit: .seconds(9))
    }

    @Test func aSignalStopsInReverseOrderOneAfterTheOther() {
        var state = state()
        #expect(state.signalReceived() == [.drain(2), .startTimer(2, .drain, .seconds(2))])
        #expect(state.memberEnded(2) == [.drain(1), .startTimer(1, .drain, .seconds(1))])
        #expect(state.timerFired(2, .drain) == [])
        #expect(state.memberEnded(1) == [.cancel(0), .startTimer(0, .cancel, .seconds(9))])
        #expect(state.memberEnded(0) == [.finish])
        #expect(state.overdue == [])
    }

    @Test func theEndOfAMemberStopsTheOthers() {
        var state = state()
        #expect(state.memberEnded(1) == [.drain(2), .startTimer(2, .drain, .seconds(2))])
        #expect(state.memberEnded(2) == [.cancel(0), .startTimer(0, .cancel, .seconds(9))])
        #expect(state.memberEnded(0) == [.finish])
    }

    @Test func aMemberThatEndsOutOfTurnIsNotStoppedAgain() {
        var state = state()
        _ = state.signalReceived()
        #expect(state.memberEnded(1) == [])
        #expect(state.memberEnded(0) == [])
        #expect(state.memberEnded(2) == [.finish])
    }

    @Test func whoDoesNotDrainInTimeIsCancelledAndWhoDoesNotEndIsGivenUp() {
        var state = state()
        _ = state.signalReceived()
        #expect(state.timerFired(2, .drain) == [.cancel(2), .startTimer(2, .cancel, .seconds(9))])
        #expect(state.overdue == [2])
        #expect(state.timerFired(2, .cancel) == [.abort(2)])
    }

    @Test func aSecondSignalCancelsAllAtOnceAndAThirdChangesNothing() {
        var state = state()
        _ = state.signalReceived()
        #expect(
            state.signalReceived() == [
                .cancel(2), .startTimer(2, .cancel, .seconds(9)), .cancel(1), .startTimer(1, .cancel, .seconds(9)),
                .cancel(0), .startTimer(0, .cancel, .seconds(9)),
            ])
        #expect(state.signalReceived() == [])
        #expect(state.timerFired(2, .drain) == [])
        #expect(state.memberEnded(2) == [])
        #expect(state.memberEnded(0) == [])
        #expect(state.memberEnded(1) == [.finish])
        #expect(state.overdue == [])
    }

    @Test func aSignalDuringTheStopIsTheFirstOne() {
        var state = state()
        _ = state.memberEnded(0)
        #expect(state.signalReceived() == [])
        #expect(
            state.signalReceived().filter { if case .cancel = $0 { true } else { false } } == [.cancel(2), .cancel(1)])
    }
}

@Suite(.timeLimit(.minutes(1)))
struct GracefulShutdownTests {
    @Test func everyWaiterReturns() async throws {
        let shutdown = GracefulShutdown()
        #expect(!shutdown.isRequested)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { try await shutdown.wait() } }
            shutdown.request()
            shutdown.request()
            try await group.waitForAll()
        }
        #expect(shutdown.isRequested)
        try await shutdown.wait()
    }

    @Test func aWaitEndsWithItsTask() async {
        let shutdown = GracefulShutdown()
        let task = Task { try await shutdown.wait() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aWaitWithALimitSaysWhetherItWasAskedFor() async {
        let shutdown = GracefulShutdown()
        #expect(await shutdown.wait(atMost: .milliseconds(1)) == false)
        async let early = shutdown.wait(atMost: .seconds(600))
        shutdown.request()
        #expect(await early)
    }

    @Test func workIsCancelledWhenItIsAskedFor() async throws {
        let shutdown = GracefulShutdown()
        let started = GracefulShutdown()
        let task = Task {
            try await shutdown.cancelWhenRequested {
                started.request()
                try await Task.sleep(for: .seconds(600))
            }
        }
        try await started.wait()
        shutdown.request()
        await #expect(throws: CancellationError.self) { try await task.value }
        // What ends by itself gives its result.
        #expect(try await GracefulShutdown().cancelWhenRequested { 7 } == 7)
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ServiceGroupTests {
    private static let logger = Logger(label: "test")

    @Test func theFirstServiceThatIsDoneEndsTheGroup() async throws {
        let log = EventLog()
        let drain = GracefulShutdown()
        let group = ServiceGroup(
            [
                .init("first", TestService { try await log.untilCancelled("first") }),
                .init("second", TestService { await log.drained("second", drain) }, drain: drain, limit: .seconds(60)),
                .init("third", TestService { log.add("third done") }),
            ], logger: Self.logger)
        let ending = try await group.run()
        #expect(ending == ServiceGroup.Ending(signal: nil, overdue: []))
        #expect(log.events == ["third done", "second drained", "first cancelled"])
    }

    @Test func anErrorEndsTheGroupAndIsThrown() async {
        struct Broken: Error {}
        let log = EventLog()
        let group = ServiceGroup(
            [
                .init("first", TestService { try await log.untilCancelled("first") }),
                .init("second", TestService { throw Broken() }),
            ], logger: Self.logger)
        await #expect(throws: Broken.self) { try await group.run() }
        #expect(log.events == ["first cancelled"])
    }

    @Test func aServiceThatDrainsTooLongIsCancelledAndNamed() async throws {
        struct Cancelled57014: Error {}
        let log = EventLog()
        let group = ServiceGroup(
            [
                .init(
                    "slow",
                    TestService {
                        // As a database says it: the cancellation is not recognizable.
                        do { try await log.untilCancelled("slow") } catch { throw Cancelled57014() }
                    }, drain: GracefulShutdown(), limit: .milliseconds(10)),
                .init("done", TestService {}),
            ], logger: Self.logger)
        #expect(try await group.run().overdue == ["slow"])
        #expect(log.events == ["slow cancelled"])
    }

    @Test func cancellingTheGroupCancelsItsServices() async throws {
        let log = EventLog()
        let started = GracefulShutdown()
        let task = Task {
            try await ServiceGroup(
                [
                    .init(
                        "one",
                        TestService {
                            started.request()
                            try await log.untilCancelled("one")
                        })
                ], logger: Self.logger
            ).run()
        }
        try await started.wait()
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(log.events == ["one cancelled"])
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func aSignalDrainsInReverseOrder(_ signal: Int32) async {
        let result = await #expect(processExitsWith: .exitCode(7), observing: [\.standardErrorContent]) { [signal] in
            let log = EventLog()
            let (first, second) = (GracefulShutdown(), GracefulShutdown())
            let group = ServiceGroup(
                [
                    .init(
                        "first", TestService { await log.drained("first", first) }, drain: first, limit: .seconds(60)),
                    .init(
                        "second", TestService { await log.drained("second", second) }, drain: second,
                        limit: .seconds(60)),
                    .init(
                        "third",
                        TestService {
                            kill(getpid(), signal)
                            try await log.untilCancelled("third")
                        }),
                ], logger: Logger(label: "child"))
            let ending = try await group.run()
            let isRight =
                ending == ServiceGroup.Ending(signal: signal == SIGTERM ? "SIGTERM" : "SIGINT", overdue: [])
                && log.events == ["third cancelled", "second drained", "first drained"]
            exit(isRight ? 7 : 1)
        }
        #expect(ChildOutput.standardError(result).contains("child: signal received, shutting down signal=SIG"))
    }

    @Test func aSecondSignalCancelsAtOnce() async {
        await #expect(processExitsWith: .exitCode(7)) {
            let log = EventLog()
            let (stubborn, other) = (GracefulShutdown(), GracefulShutdown())
            let group = ServiceGroup(
                [
                    .init(
                        "other", TestService { try await log.untilCancelled("other") }, drain: other,
                        limit: .seconds(600)),
                    .init(
                        "stubborn",
                        TestService {
                            kill(getpid(), SIGTERM)
                            try await stubborn.wait()
                            kill(getpid(), SIGINT)
                            try await log.untilCancelled("stubborn")
                        }, drain: stubborn, limit: .seconds(600)),
                ], logger: Logger(label: "child"))
            let ending = try await group.run()
            let isRight =
                ending == ServiceGroup.Ending(signal: "SIGTERM", overdue: []) && !other.isRequested
                && Set(log.events) == ["other cancelled", "stubborn cancelled"]
            exit(isRight ? 7 : 1)
        }
    }

    @Test func aServiceThatIgnoresCancellationDoesNotKeepTheProcess() async {
        let result = await #expect(processExitsWith: .exitCode(31), observing: [\.standardErrorContent]) {
            let never = GracefulShutdown()
            let group = ServiceGroup(
                [
                    .init(
                        "deaf",
                        TestService {
                            kill(getpid(), SIGTERM)
                            // A task of its own does not see the cancellation.
                            await Task { try? await never.wait() }.value
                        })
                ], cancelLimit: .milliseconds(50), abortCode: 31, logger: Logger(label: "child"))
            _ = try await group.run()
        }
        #expect(ChildOutput.standardError(result).contains("service=deaf exit_code=31"))
    }

    @Test func aBrokenPipeIsNoEndOfTheProcess() async {
        await #expect(processExitsWith: .exitCode(7)) {
            let group = ServiceGroup(
                [
                    .init(
                        "writer",
                        TestService {
                            var ends: [Int32] = [0, 0]
                            guard pipe(&ends) == 0 else { return }
                            close(ends[0])
                            if write(ends[1], "x", 1) == -1, errno == EPIPE { exit(7) }
                        })
                ], logger: Logger(label: "child"))
            _ = try await group.run()
        }
    }
}

/// A service of one closure.
struct TestService: Service {
    let body: @Sendable () async throws -> Void

    init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    func run() async throws { try await body() }
}

/// What services did, in order.
final class EventLog: Sendable {
    private let all = Mutex<[String]>([])

    var events: [String] { all.withLock { $0 } }

    func add(_ event: String) { all.withLock { $0.append(event) } }

    func untilCancelled(_ name: String) async throws {
        do { try await Task.sleep(for: .seconds(600)) } catch {
            add("\(name) cancelled")
            throw error
        }
    }

    func drained(_ name: String, _ drain: GracefulShutdown) async {
        try? await drain.wait()
        add("\(name) \(Task.isCancelled ? "cancelled" : "drained")")
    }
}
