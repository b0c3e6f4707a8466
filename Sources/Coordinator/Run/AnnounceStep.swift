import CommandLineOptions
import JobModel
import Ledger
import Logging
import ObjectStore
import Timing

/// Announces the run. The broker has acknowledged `run.completed` when the step ends. Completion events that workers
/// have not published are sent for a limited time; the next coordinator sends the remaining ones.
struct AnnounceStep: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    /// - Parameter manifest: the manifest that this coordinator wrote; nil if an earlier coordinator published the run.
    func perform(_ run: RunRecord, manifest: RunManifest?) async throws {
        let ledger = dependencies.ledger
        let limit = ManifestWriter.maximumBytes
        var manifest = manifest
        if manifest == nil, let object = try await dependencies.store.get(run.layout.runManifest, limit: limit) {
            manifest = try WireFormat.decode(RunManifest.self, from: object.bytes, maximumBytes: limit)
        }
        let recorded = try await ledger.runs.run(run.runID) ?? run
        guard let manifest, let uri = recorded.manifestURI, let sha256 = recorded.manifestSHA256 else {
            throw RunFailure(.storeUnavailable, "the manifest of the published run \(run.runID) is not in the store")
        }
        try await dependencies.messages.announce(
            RunCompleted(
                manifestURI: uri, manifestSHA256: sha256, replacesRunID: recorded.replacesRunID,
                datasets: manifest.datasets.map {
                    RunCompleted.Dataset(
                        name: $0.name, manifestURI: $0.manifestURI, rows: $0.rows, bytes: $0.bytes, totals: $0.totals)
                }), of: run.context)
        await tellOwedEvents()
        // Kafka is reachable. The outage is cleared here, because the row of a closed run is not updated any more.
        try await ledger.runs.noteKafkaOutage(
            since: nil, clientID: run.clientID, environment: run.environment, businessDate: run.businessDate)
    }

    private func tellOwedEvents() async {
        let owed = OwedEvents(
            settings: dependencies.settings, ledger: dependencies.ledger, messages: dependencies.messages,
            logger: dependencies.logger)
        do {
            try await withTimeLimit(.seconds(30)) { while try await owed.publish(olderThanSeconds: 0) > 0 {} }
        } catch {
            dependencies.logger.debug("unable to publish owed events", metadata: [.error: "\(error)"])
        }
    }
}
