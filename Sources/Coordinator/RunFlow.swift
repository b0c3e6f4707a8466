import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import Logging
import Metrics
import CommandLineOptions
import Settings
import Scripts
import Ledger
import Warehouse
import Timing

/// The flow of one run, from the lock on its date to its close. Each step is recorded in the ledger before the next begins,
/// so a coordinator that is started again for the same date goes on from there.
struct RunFlow: Sendable {
    /// What is to be run.
    struct Request: Sendable {
        var businessDate: BusinessDate
        var systems: [String]
        var partitions: Int
        /// Run a date again that is complete.
        var isNew: Bool
    }

    /// What came of it.
    struct Summary: Sendable {
        var run: RunRecord
        var manifest: RunManifest?
        var wasCompleteBefore: Bool
    }

    let settings: CoordinatorSettings
    let scripts: ScriptSet
    let ledger: Ledger
    /// Held by the ledger's session.
    let lock: DateLock
    let store: any ObjectStore
    /// Where the store is, as workers find it in the run's row.
    let outputURI: String
    let messages: RunMessages
    let bell: Bell
    let metrics: RunMetrics
    let logger: Logger
    let showsProgress: Bool

    /// Runs the date to its end. The ledger's session holds the date's lock.
    func run(_ request: Request) async throws -> Summary {
        let (found, isResumed) = try await runToContinue(request)
        var snapshotsLost = 0
        var run: RunRecord
        switch found {
        case .complete(let run): return Summary(run: run, manifest: nil, wasCompleteBefore: true)
        case .open(let open): run = open
        case .none: run = try await begin(request)
        }
        if isResumed { logger.info("resuming the run", metadata: logMetadata(run)) }
        while true {
            do {
                return try await advanceToEnd(run)
            } catch let failure as RunFailure where failure.exitCode == .snapshotLost && snapshotsLost < 2 {
                // The date's figures are wanted, not this run: another one reads a new snapshot.
                snapshotsLost += 1
                logger.warning("the run's snapshot was lost; beginning a new run", metadata: logMetadata(run))
                run = try await begin(request)
            }
        }
    }

    // MARK: Begin

    private enum Found {
        case none
        case open(RunRecord)
        case complete(RunRecord)
    }

    private func runToContinue(_ request: Request) async throws -> (Found, isResumed: Bool) {
        let runs = try await ledger.runs.runs(
            clientID: settings.clientID, environment: settings.environment, businessDate: request.businessDate,
            limit: 20)
        if var open = runs.first(where: { !$0.state.isFinal }) {
            open.ownerNumber = try await ledger.runs.takeOwnership(of: open.runID, owner: Self.ownerName)
            guard open.state != .running || open.graphAt != nil else {
                // It had no jobs yet: nothing is lost by beginning anew.
                _ = try await ledger.runs.fail(
                    open, exitCode: Int(ExitCode.interrupted.rawValue),
                    reason: "its coordinator ended before the jobs were written", hint: nil)
                return (.none, false)
            }
            guard Set(open.systems) == Set(request.systems) else {
                throw RunFailure(
                    .usage,
                    "run \(open.runID) of \(open.businessDate) over \(open.systems.joined(separator: ", ")) is not finished",
                    hint:
                        "finish it with --systems \(open.systems.joined(separator: ",")), or end it with 'bda-coordinator cancel --date \(open.businessDate)'"
                )
            }
            return (.open(open), true)
        }
        if !request.isNew,
            let complete = runs.first(where: { $0.state == .closed && Set($0.systems).isSuperset(of: request.systems) })
        {
            return (.complete(complete), false)
        }
        return (.none, false)
    }

    private static var ownerName: String {
        "\(ProcessInfo.processInfo.hostName)/\(ProcessInfo.processInfo.processIdentifier)"
    }

    /// A new run: snapshot, prechecks in it, tables, and the job graph.
    private func begin(_ request: Request) async throws -> RunRecord {
        let selected = scripts.selected(systems: Set(request.systems))
        let keeper = try await PostgresSession.connect(settings.database, purpose: "coordinator snapshot")
        do {
            try await dropSuperseded(on: keeper)
            let tables = try await Snapshot.tablesRead(by: selected, in: keeper)
            let graph = JobGraph(
                segments: selected.map(\.segment), systems: Set(request.systems), partitionCount: request.partitions)
            let jobs = try await planJobs(graph, of: selected, in: keeper)
            let snapshot = try await Snapshot.export(on: keeper, locking: tables)
            var run = newRun(request, snapshotID: snapshot.id)
            try await ledger.runs.insert(run)
            run = try await ledger.runs.run(run.runID) ?? run
            logger.info("run begun", metadata: logMetadata(run))
            do {
                try await runChecks(.precheck, of: selected, for: run, in: keeper)
                try await makeTables(selected, for: run)
                try await ledger.jobs.insertGraph(graph, jobs: jobs, for: run)
                run = try await ledger.runs.run(run.runID) ?? run
            } catch {
                throw await ended(run, by: error)
            }
            messages.tell(
                RunStarted(
                    systems: run.systems, partitionCount: run.partitionCount, cutoff: run.cutoff,
                    datasets: selected.filter { $0.segment.kind == .archive }.map(\.segment.name)), of: run.context)
            await keepers.hold(snapshot, for: run.runID)
            return run
        } catch {
            await keeper.close()
            throw error
        }
    }

    /// Holds the snapshot while vault-reading jobs are left.
    private let keepers = SnapshotKeeper()

    private func newRun(_ request: Request, snapshotID: String) -> RunRecord {
        var generator = SystemRandomNumberGenerator()
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        return RunRecord(
            runID: RunID(millisecondsSince1970: milliseconds, using: &generator), clientID: settings.clientID,
            environment: settings.environment, businessDate: request.businessDate,
            cutoff: Timestamp.text(of: settings.cutoff(of: request.businessDate)), systems: request.systems,
            isCompleteSet: Set(request.systems).isSuperset(of: settings.systems),
            settings: settings.runSettings(partitionCount: request.partitions, output: outputURI),
            owner: Self.ownerName, snapshotID: snapshotID)
    }

    private func planJobs(
        _ graph: JobGraph, of scripts: [SegmentScript], in session: PostgresSession
    ) async throws -> [PlannedJobs] {
        var planned: [PlannedJobs] = []
        let rows = try await rowsRead(by: graph, of: scripts, in: session)
        for segment in graph.segments {
            let count = graph.jobCount(of: segment)
            // The order is what counts: longest first. A slot reads some hundred thousand rows a second.
            let seconds = (rows[segment.name] ?? 0) / Double(count) / 200_000
            var jobs: [(pageFrom: Int?, pageTo: Int?)] = Array(repeating: (nil, nil), count: count)
            if case .pages(let table) = segment.split {
                jobs = try await Snapshot.pageRanges(of: table, count: count, in: session).map { ($0.from, $0.to) }
            }
            planned.append(PlannedJobs(segment: segment.name, jobs: jobs, expectedSeconds: seconds))
        }
        return planned
    }

    /// About how many rows each segment reads: of the vaults by the server's statistics, of the run's tables, which do not
    /// exist yet, as many as the segments read that fill them.
    private func rowsRead(
        by graph: JobGraph, of scripts: [SegmentScript], in session: PostgresSession
    ) async throws -> [SegmentName: Double] {
        var rows: [SegmentName: Double] = [:]
        for segment in graph.segments {
            switch segment.reads {
            case .vault:
                let tables = try await Snapshot.tablesRead(
                    by: scripts.filter { $0.segment.name == segment.name }, in: session)
                rows[segment.name] = try await Snapshot.estimatedRows(of: tables, in: session)
            case .run: rows[segment.name] = segment.needs.reduce(0) { $0 + (rows[$1] ?? 0) }
            }
        }
        return rows
    }

    private func makeTables(_ selected: [SegmentScript], for run: RunRecord) async throws {
        let session = try await connect()
        do {
            try await RunSchema.createPermanent(scripts.tables, in: session)
            try await RunSchema(run).create(scripts.runTables(of: selected), in: session)
            var described: [(SegmentScript, [DatasetColumn], tables: [String])] = []
            for script in selected {
                var columns: [DatasetColumn] = []
                if script.segment.kind == .archive {
                    var parameters = run.parameters
                    parameters.partition = script.segment.split == .none ? nil : 0
                    columns = try await session.describe(
                        try script.text.statements(with: parameters)[0], action: "describe \(script.segment.name)"
                    ).map { DatasetColumn(name: $0.name, type: $0.type) }
                }
                described.append((script, columns, try await Snapshot.tablesRead(by: [script], in: session)))
            }
            try await ledger.runs.insertScripts(described, for: run.runID)
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    /// Drops the schemas of ended runs that no view shows.
    private func dropSuperseded(on session: PostgresSession) async throws {
        for runID in try await RunSchema.existing(in: session) {
            guard let run = try await ledger.runs.run(runID), run.state.isFinal,
                run.clientID == settings.clientID, run.environment == settings.environment,
                try await !RunSchema.isShown(runID, in: session)
            else { continue }
            do {
                try await RunSchema.drop(runID, in: session)
            } catch let error as PostgresError where error.sqlState != nil {
                // Another date's coordinator drops it at this moment, or somebody reads it: the next run tries again.
                logger.debug("unable to drop a run's schema", metadata: [.runID: "\(runID)", .error: "\(error)"])
            }
        }
    }

    // MARK: The steps

    private func advanceToEnd(_ begun: RunRecord) async throws -> Summary {
        var run = begun
        var manifest: RunManifest?
        while let next = run.state.next {
            do {
                switch run.state {
                case .running:
                    try await doJobs(of: run)
                    try await verify(run)
                case .verified: manifest = try await publish(run)
                case .published: try await announce(run, manifest: manifest)
                case .announced: try await runHistory(of: run)
                case .history, .closed, .failed, .cancelled: break
                }
            } catch {
                throw await ended(run, by: error)
            }
            guard try await ledger.runs.enterState(run, from: run.state, to: next) else { throw OwnershipLost() }
            if await keepers.session(for: run.runID) != nil { try await letSnapshotGo(of: run) }
            run.state = next
            logger.debug("step recorded", metadata: logMetadata(run))
        }
        return Summary(run: try await ledger.runs.run(run.runID) ?? run, manifest: manifest, wasCompleteBefore: false)
    }

    /// What an error means for the run: an interruption leaves it open to be resumed, and so does what may pass; anything
    /// else ends it, if BI cannot have seen it yet.
    private func ended(_ run: RunRecord, by error: any Error) async -> RunFailure {
        let failure = RunFailure(error)
        guard !failure.leavesRunOpen, !run.state.isPublished else { return failure }
        await keepers.release()
        do {
            guard
                try await ledger.runs.fail(
                    run, exitCode: Int(failure.exitCode.rawValue), reason: failure.reason, hint: failure.hint)
            else { return failure }
            try await ledger.snapshots.removeKeepers(of: run.runID)
            let failedJobs = try await ledger.status.notableJobs(of: run.runID, limit: 20).filter {
                $0.state == .failed
            }
            await messages.tellLast(
                RunFailed(
                    exitCode: Int(failure.exitCode.rawValue), reason: failure.reason, hint: failure.hint,
                    failedJobs: failedJobs.map(\.jobID.description)), of: run.context)
        } catch let error as OwnershipLost {
            return RunFailure(error)
        } catch let error as RunCancelled {
            return RunFailure(error)
        } catch {
            logger.error("unable to record the run's failure", metadata: [.error: "\(error)"])
        }
        return failure
    }

    /// Hands the jobs out and waits until each has its result.
    private func doJobs(of run: RunRecord) async throws {
        var progress = RunProgress(isOn: showsProgress)
        defer { progress.end() }
        let start = ContinuousClock.now
        var lastSignOfLife = start
        var lastOwed = start
        var lastSnapshotLook: ContinuousClock.Instant?
        var needsSnapshot = true
        var isLate = false
        while true {
            let counts: JobCounts
            let lookStart = ContinuousClock.now
            do {
                if needsSnapshot, lastSnapshotLook.map({ lookStart - $0 >= .seconds(1) }) ?? true {
                    lastSnapshotLook = lookStart
                    needsSnapshot = try await lookAfterSnapshot(of: run)
                }
                counts = try await ledger.jobs.advance(run)
                messages.request(try await ledger.jobs.takeDueRequests(run), of: run.context)
            } catch let error as PostgresError where error.isRetryable || error.isConnectionLost {
                logger.warning("unable to look at the ledger", metadata: [.error: "\(error)"])
                try await Task.sleep(for: .seconds(1))
                guard ContinuousClock.now - lastSignOfLife < .seconds(60) else { throw error }
                continue
            }
            progress.show(counts)
            metrics.record(counts)
            let now = ContinuousClock.now
            if counts.running > 0 || counts.ready == 0 { lastSignOfLife = now }
            if counts.failed > 0 { throw try await failure(of: run) }
            if counts.done == counts.total {
                // Verification reads in it as well, if an archive does.
                if needsSnapshot { _ = try await lookAfterSnapshot(of: run) }
                return
            }
            if now - lastSignOfLife > .seconds(settings.workerWaitSeconds) {
                throw RunFailure(
                    .timedOut, "no worker took a job within \(settings.workerWaitSeconds) seconds",
                    hint:
                        "start bda-worker with the same database, Kafka, BDA_CLIENT_ID and BDA_ENVIRONMENT; or raise BDA_WORKER_WAIT_SECONDS"
                )
            }
            if now - start > .seconds(settings.runTimeoutSeconds) {
                throw RunFailure(
                    .timedOut,
                    "the run is not done after \(settings.runTimeoutSeconds) seconds: \(counts.done) of \(counts.total) jobs",
                    hint: "add workers, or raise BDA_RUN_TIMEOUT_SECONDS")
            }
            if now - lastOwed > .seconds(5) {
                lastOwed = now
                try await publishOwedEvents(of: run)
            }
            if !isLate, let deadline = settings.deadline(of: run.businessDate), deadline < Date() {
                isLate = true
                messages.tell(
                    RunLate(deadline: Timestamp.text(of: deadline), jobsDone: counts.done, jobsTotal: counts.total),
                    of: run.context)
                logger.warning("the run is late", metadata: logMetadata(run))
            }
            // A busy fleet rings all the time. The looks at the ledger take a tenth of a core of its server at most.
            try await Task.sleep(for: min(max(.milliseconds(10), (ContinuousClock.now - lookStart) * 9), .seconds(1)))
            await bell.wait(atMost: .seconds(1))
            try Task.checkCancellation()
        }
    }

    private func failure(of run: RunRecord) async throws -> RunFailure {
        let failed = try await ledger.status.notableJobs(of: run.runID, limit: 20).filter { $0.state == .failed }
        if let lost = failed.first(where: { $0.code == "snapshot_lost" }) {
            return RunFailure(.snapshotLost, "snapshot_lost: \(lost.message ?? "")", hint: lost.hint)
        }
        let reasons = failed.map { job in
            "\(job.jobID.segment) partition \(job.jobID.partition), attempt \(job.attempt): \(job.message ?? "no reason recorded") [\(job.code ?? "")]"
        }
        return RunFailure(
            .jobFailed,
            (["\(failed.count) job\(failed.count == 1 ? "" : "s") failed"] + reasons).joined(separator: "\n  "),
            hint: failed.compactMap(\.hint).first)
    }

    private func publishOwedEvents(of run: RunRecord) async throws {
        let owed = try await ledger.results.owedEvents(of: run.runID, olderThanSeconds: 10, limit: 500)
        if owed.isEmpty { return }
        do {
            try await messages.publish(owed, of: run.context)
            try await ledger.results.markEventsSent(owed.map(\.body.jobID))
        } catch let error as KafkaError {
            logger.debug("unable to publish owed events", metadata: [.error: "\(error)"])
        }
    }

    /// Sees to it that the run's snapshot is held while jobs read the vaults, and no longer. Who does not hold it, because
    /// its former coordinator died or its session was lost, takes it over from a worker that does; when nobody does, the
    /// run is `snapshot_lost`. False: it is not needed any more.
    private func lookAfterSnapshot(of run: RunRecord) async throws -> Bool {
        guard try await ledger.snapshots.needsSnapshot(run.runID) else {
            try await letSnapshotGo(of: run)
            return false
        }
        if await keepers.isHolding(run.runID) { return true }
        let tables = try await ledger.snapshots.vaultTables(of: run.runID)
        let session = try await PostgresSession.connect(settings.database, purpose: "coordinator snapshot")
        do {
            let (_, snapshot) = try await ledger.snapshots.withSnapshot(of: run.runID) {
                try await Snapshot.adopt($0, on: session, locking: tables)
            }
            try await ledger.runs.setSnapshot(snapshot.id, of: run)
            await keepers.hold(snapshot, for: run.runID)
            logger.info("took the run's snapshot over from a worker that holds it", metadata: logMetadata(run))
            return true
        } catch {
            await session.close()
            guard let lost = error as? WorkTransaction.SnapshotLost else { throw error }
            throw RunFailure(.snapshotLost, "snapshot_lost: \(lost)", hint: "a new run reads a new snapshot")
        }
    }

    private func letSnapshotGo(of run: RunRecord) async throws {
        await keepers.release()
        try await ledger.snapshots.removeKeepers(of: run.runID)
        logger.debug("snapshot released", metadata: logMetadata(run))
    }

    // MARK: Checks

    /// Runs the checks of a kind; throws when one of severity `error` found something.
    private func runChecks(
        _ kind: SegmentKind, of scripts: [SegmentScript], for run: RunRecord, in session: PostgresSession
    ) async throws {
        let runner = CheckRunner(run: run)
        let findings = try await runner.findings(of: scripts.filter { $0.segment.kind == kind }, in: session)
        for finding in findings { try await ledger.runs.insert(finding, of: run.runID) }
        let violated = findings.filter { $0.rows > 0 }
        for finding in violated where finding.severity == .warn {
            logger.warning(
                "a check found something", metadata: [.segment: "\(finding.segment)", .rows: "\(finding.rows)"])
        }
        let errors = violated.filter { $0.severity == .error }
        guard errors.isEmpty else {
            throw RunFailure(
                kind == .precheck ? .precheckFailed : .totalsDiffer,
                (["\(errors.count) \(kind.rawValue)\(errors.count == 1 ? "" : "s") failed"]
                    + errors.map(CheckRunner.describe))
                    .joined(separator: "\n"),
                hint: kind == .precheck ? "nothing was exported; mend the data and run again" : nil)
        }
    }

    private func verify(_ run: RunRecord) async throws {
        let session = try await connect()
        do {
            let recorded = try await ledger.runs.scripts(of: run.runID)
            let archives = recorded.filter { $0.script.segment.kind == .archive }
            let parts = try await ledger.results.parts(of: run.runID)
            let totals = try await ledger.results.totals(of: run.runID)
            let verification = Verification(run: run, store: store)
            try await verification.checkParts(parts)
            try await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", action: "begin the postchecks")
            var problems: [String] = []
            let snapshot = await keepers.session(for: run.runID)
            for archive in archives {
                let name = archive.script.segment.name
                let source = archive.script.segment.reads == .vault ? snapshot : session
                guard let source else {
                    throw RunFailure(
                        .snapshotLost, "snapshot_lost: nobody holds the snapshot that \(name) was read in",
                        hint: "a new run reads a new snapshot")
                }
                problems += try await verification.differences(
                    of: archive.script,
                    rows: parts.filter { $0.jobID.segment == name }.reduce(0) { $0 + $1.part.rows },
                    totals: totals.filter { $0.jobID.segment == name }.map(\.total), in: source)
            }
            guard problems.isEmpty else {
                throw RunFailure(.totalsDiffer, problems.joined(separator: "\n"), hint: "nothing was published")
            }
            try await checkSchemaDrift(archives, of: run)
            try await runChecks(.postcheck, of: recorded.map(\.script), for: run, in: session)
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    private func checkSchemaDrift(_ archives: [RunScript], of run: RunRecord) async throws {
        let former = try await ledger.runs.runs(
            clientID: run.clientID, environment: run.environment, businessDate: nil, limit: 20
        ).first { $0.state == .closed && $0.runID != run.runID }
        guard let former else { return }
        let known = Dictionary(
            try await ledger.runs.scripts(of: former.runID).map { ($0.script.segment.name, $0.columns) },
            uniquingKeysWith: { first, _ in first })
        for archive in archives {
            guard let before = known[archive.script.segment.name], before != archive.columns else { continue }
            let text = { (columns: [DatasetColumn]) in
                columns.map { "\($0.name) \($0.type.base)" }.joined(separator: ", ")
            }
            let reason =
                "the columns of \(archive.script.segment.name) have changed since run \(former.runID): from (\(text(before))) to (\(text(archive.columns)))"
            guard settings.schemaDrift == .fail else {
                logger.warning(
                    "a dataset's columns have changed", metadata: [.dataset: "\(archive.script.segment.name)"])
                continue
            }
            throw RunFailure(
                .totalsDiffer, reason, hint: "if BI expects it, run once with BDA_SCHEMA_DRIFT=warn")
        }
    }

    // MARK: Publication

    private func publish(_ run: RunRecord) async throws -> RunManifest {
        let replaces = try await ledger.runs.publishedRun(
            clientID: run.clientID, environment: run.environment, businessDate: run.businessDate, except: run.runID)
        let archives = try await ledger.runs.scripts(of: run.runID).filter { $0.script.segment.kind == .archive }
        let parts = Dictionary(grouping: try await ledger.results.parts(of: run.runID), by: \.jobID.segment)
        let totals = Dictionary(grouping: try await ledger.results.totals(of: run.runID), by: \.jobID.segment)
        let writer = ManifestWriter(run: run, store: store)
        let written = try await writer.write(
            datasets: archives.map { archive in
                let name = archive.script.segment.name
                return (archive, parts[name] ?? [], ControlTotal.sum((totals[name] ?? []).map(\.total)) ?? [])
            }, warnings: try await ledger.runs.warnings(of: run.runID), replaces: replaces)
        try await ledger.runs.setManifest(uri: written.uri, sha256: written.sha256, replaces: replaces, of: run)
        if run.isCompleteSet {
            try await publishViews(of: run)
            try await writer.moveLatest(to: written) { try await ledger.runs.assertOwner(run) }
        }
        return written.manifest
    }

    private func publishViews(of run: RunRecord) async throws {
        let session = try await connect()
        do {
            try await session.execute(
                "BEGIN; \(RunStore.ownerAssertion(run))", action: "begin the publication")
            try await RunSchema(run).publishViews(
                scripts.runTables(of: scripts.selected(systems: Set(run.systems))), in: session)
            try await session.execute("COMMIT", action: "publish the views")
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    private func announce(_ run: RunRecord, manifest: RunManifest?) async throws {
        var manifest = manifest
        if manifest == nil, let object = try await store.get(run.layout.runManifest, limit: 64 << 20) {
            manifest = try WireFormat.decode(RunManifest.self, from: object.bytes, maximumBytes: 64 << 20)
        }
        let recorded = try await ledger.runs.run(run.runID) ?? run
        guard let manifest, let uri = recorded.manifestURI, let sha256 = recorded.manifestSHA256 else {
            throw RunFailure(.storeUnavailable, "the manifest of the published run \(run.runID) is not in the store")
        }
        try await messages.announce(
            RunCompleted(
                manifestURI: uri, manifestSHA256: sha256, replacesRunID: recorded.replacesRunID,
                datasets: manifest.datasets.map {
                    RunCompleted.Dataset(
                        name: $0.name, manifestURI: $0.manifestURI, rows: $0.rows, bytes: $0.bytes, totals: $0.totals)
                }), of: run.context)
        // Nobody looks after the run's events any more once this is recorded, and a worker that died owes some for ever.
        while true {
            let owed = try await ledger.results.owedEvents(of: run.runID, olderThanSeconds: 0, limit: 500)
            if owed.isEmpty { break }
            try await messages.publish(owed, of: run.context)
            try await ledger.results.markEventsSent(owed.map(\.body.jobID))
        }
        // Kafka is there again, whoever notices first; a closed run's row is not written to any more.
        try await ledger.runs.noteKafkaOutage(
            since: nil, clientID: run.clientID, environment: run.environment, businessDate: run.businessDate)
    }

    /// Runs each history segment in a transaction of its own that ends with its result row, so that none runs twice.
    private func runHistory(of run: RunRecord) async throws {
        let histories = try await ledger.runs.scripts(of: run.runID).filter { $0.script.segment.kind == .history }
        if histories.isEmpty || !run.isCompleteSet { return }
        let session = try await connect()
        do {
            for history in histories {
                let name = history.script.segment.name
                let claim = Claim.ofCoordinator(JobID(run: run.runID, segment: name, partition: 0))
                guard try await !ledger.results.hasResult(claim.jobID) else { continue }
                let start = ContinuousClock.now
                // A history locks its table first; what another date's run has just written must then be seen.
                let transactionID = try await WorkTransaction.begin(
                    in: session, snapshotID: nil, isolation: .readCommitted)
                var parameters = run.parameters
                parameters.historyDays = settings.historyDays
                var rows = 0
                for statement in try history.script.text.statements(with: parameters) {
                    rows += try await session.execute(
                        statement, within: .seconds(3600), action: "run the history \(name)"
                    ).affectedRows
                }
                _ = try await WorkTransaction.commit(
                    in: session, claim: claim, workerID: Self.ownerName, transactionID: transactionID,
                    result: JobResult(
                        rows: rows, bytes: 0, durationMs: Int((ContinuousClock.now - start) / .milliseconds(1)),
                        parts: [],
                        totals: []))
            }
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    /// A session beside the ledger's, which ends with it when another coordinator takes the date over.
    private func connect() async throws -> PostgresSession {
        let session = try await PostgresSession.connect(settings.database, purpose: "coordinator")
        do {
            try await lock.join(session)
            return session
        } catch {
            await session.close()
            throw error
        }
    }

    private func logMetadata(_ run: RunRecord) -> Logger.Metadata {
        [.runID: "\(run.runID)", .businessDate: "\(run.businessDate)", .state: "\(run.state.rawValue)"]
    }
}

/// Holds at most one snapshot for the running run.
actor SnapshotKeeper {
    private var held: (runID: RunID, snapshot: Snapshot)?

    /// Whether the run's snapshot is held; the session is asked, because it may have been lost since.
    func isHolding(_ runID: RunID) async -> Bool {
        guard let held, held.runID == runID else { return false }
        do {
            try await held.snapshot.session.execute("SELECT 1", action: "look after the snapshot")
            return true
        } catch {
            await release()
            return false
        }
    }

    /// The session whose transaction is the run's snapshot, if it is held.
    func session(for runID: RunID) -> PostgresSession? { held?.runID == runID ? held?.snapshot.session : nil }

    func hold(_ snapshot: Snapshot, for runID: RunID) async {
        await release()
        held = (runID, snapshot)
    }

    func release() async {
        let former = held
        held = nil
        await former?.snapshot.release()
    }
}
