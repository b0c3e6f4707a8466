import Foundation
import JobModel
import Kafka
import ObjectStore
import CloudEventsKafka

extension ScenarioRun {
    /// What must hold when a scenario is over, whatever has happened: one whole export, said once, and nothing left behind.
    /// Sessions and events get so much time to end and to arrive.
    func judge(patience: Duration = .seconds(10)) async throws {
        await judgeExport()
        try await judgeLedger()
        let clean = try fleet.coordinator(["clean", "--apply"])
        guard try await clean.ended(within: .seconds(60)) == .exit(0) else {
            problems.append("clean failed: \(clean.errorText.suffix(600))")
            return
        }
        try await judgeRemains(patience)
        try await judgeEvents(patience)
    }

    private func judgeExport() async {
        do {
            guard let export = try await PublishedExport.latest(in: fleet.store) else {
                problems.append("there is no latest.json")
                return
            }
            if let difference = export.difference(from: reference) { problems.append(difference) }
            let published = try await observer.value(
                "SELECT run_id FROM bda.run WHERE state = 'closed' ORDER BY published_at DESC LIMIT 1")
            if published != export.run.run.runID.description {
                problems.append("latest names run \(export.run.run.runID), the ledger \(published ?? "none")")
            }
        } catch {
            problems.append("the export cannot be read: \(error)")
        }
    }

    /// Each of these must be 0.
    private func judgeLedger() async throws {
        let closed = "(SELECT run_id FROM bda.run WHERE state = 'closed')"
        for (what, query) in [
            ("open runs", "SELECT count(*) FROM bda.run WHERE state NOT IN ('closed', 'failed')"),
            ("failed runs without a reason", "SELECT count(*) FROM bda.run WHERE state = 'failed' AND reason IS NULL"),
            (
                "jobs of complete runs not done",
                "SELECT count(*) FROM bda.job WHERE state <> 'done' AND run_id IN \(closed)"
            ),
            (
                "jobs of complete runs that are not completed by the attempt of their result",
                """
                SELECT count(*) FROM bda.job AS j LEFT JOIN bda.result AS d USING (job_id)
                LEFT JOIN bda.attempt AS a ON a.job_id = d.job_id AND a.attempt = d.attempt AND a.outcome = 'completed'
                WHERE j.run_id IN \(closed) AND a.job_id IS NULL
                """
            ),
            (
                "jobs completed twice",
                """
                SELECT count(*) FROM (
                    SELECT job_id FROM bda.attempt WHERE outcome = 'completed' GROUP BY job_id HAVING count(*) > 1) AS twice
                """
            ),
            (
                "attempts of complete runs without an end",
                """
                SELECT count(*) FROM bda.attempt AS a JOIN bda.job AS j USING (job_id)
                WHERE a.outcome IS NULL AND j.run_id IN \(closed)
                """
            ),
        ] {
            let count = try await observer.value(query)
            if count != "0" { problems.append("\(what): \(count ?? "?")") }
        }
        let complete = try await observer.rows("SELECT run_id FROM bda.run WHERE state = 'closed'").compactMap { $0[0] }
        for runID in runsShown.subtracting(complete) { problems.append("latest named run \(runID), which failed") }
        let newest = try await observer.value(
            "SELECT run_id FROM bda.run WHERE state = 'closed' ORDER BY published_at DESC LIMIT 1")
        let shown = try await observer.value("SELECT pg_get_viewdef('report_oibl.data_charges'::regclass)")
        if shown?.contains("bda_run_\(newest ?? "?").") != true {
            problems.append("report_oibl.data_charges does not show run \(newest ?? "?")")
        }
    }

    /// Nothing of dead runs and ended programs may be left.
    private func judgeRemains(_ patience: Duration) async throws {
        let uploads = try await fleet.store.pendingUploads(prefix: "")
        if !uploads.isEmpty {
            problems.append("\(uploads.count) uploads are left, such as \(uploads[0].key)")
        }
        let schemas = try await observer.rows(
            """
            SELECT nspname FROM pg_namespace WHERE nspname LIKE 'bda\\_run\\_%' AND nspname <> 'bda_run_' || (
                SELECT run_id FROM bda.run WHERE state = 'closed' ORDER BY published_at DESC LIMIT 1)
            """
        ).compactMap { $0[0] }
        if !schemas.isEmpty { problems.append("schemas are left: \(schemas.joined(separator: ", "))") }
        let deadline = ContinuousClock.now + patience
        while true {
            let sessions = try await observer.rows(
                """
                SELECT 'session ' || application_name FROM pg_stat_activity
                WHERE datname = current_database() AND usename = 'billing_aggregator'
                UNION ALL
                SELECT 'advisory lock ' || l.objid FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                WHERE l.locktype = 'advisory' AND a.datname = current_database() AND a.application_name <> 'bda gates'
                """
            ).compactMap { $0[0] }
            if sessions.isEmpty { return }
            guard ContinuousClock.now < deadline else {
                problems.append("left in the database: \(sessions.joined(separator: ", "))")
                return
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Every completed job and run was told at least once, always with the same id and the same words.
    private func judgeEvents(_ patience: Duration) async throws {
        let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
        let jobs = Set(
            try await observer.rows(
                """
                SELECT j.job_id FROM bda.job AS j JOIN bda.result USING (job_id) JOIN bda.run AS r USING (run_id)
                WHERE r.state = 'closed' AND j.partition_no >= 0
                """
            ).compactMap { $0[0] })
        let runs = Set(
            try await observer.rows("SELECT run_id FROM bda.run WHERE state = 'closed'").compactMap { $0[0] })
        let allRuns = Set(try await observer.rows("SELECT run_id FROM bda.run").compactMap { $0[0] })
        let deadline = ContinuousClock.now + patience
        while true {
            let completedJobs = await told(JobCompleted.self, on: topics.events) { $0.body.jobID.description }
            let completedRuns = await told(RunCompleted.self, on: topics.runs) { $0.run.runID.description }
                .filter { allRuns.contains($0.key) }
            var found: [String] = []
            let silent = jobs.subtracting(completedJobs.keys)
            if !silent.isEmpty {
                found.append("\(silent.count) completed jobs were not told, such as \(silent.min()!)")
            }
            if Set(completedRuns.keys) != runs {
                found.append("run.completed for \(completedRuns.keys.sorted()), complete are \(runs.sorted())")
            }
            for (name, tellings) in completedJobs.filter({ jobs.contains($0.key) }) where tellings.count > 1 {
                found.append("the completion of \(name) was told in \(tellings.count) ways: \(tellings)")
            }
            for (name, tellings) in completedRuns where tellings.count > 1 {
                found.append("the completion of run \(name) was told in \(tellings.count) ways: \(tellings)")
            }
            if found.isEmpty { return }
            guard ContinuousClock.now < deadline else {
                problems += found
                return
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Genuine events of a type by what they are about: the different ways in which it was told.
    private func told<Body: EventBody>(
        _ type: Body.Type, on topic: String, about: (Event<Body>) -> String
    ) async -> [String: Set<String>] {
        var told: [String: Set<String>] = [:]
        for message in await recorder.messages[topic] ?? [] where message.header("ce_source")?.text != Forger.source {
            guard let event = try? message.event(of: type) else { continue }
            let words = "\(message.header("ce_id")?.text ?? "no id"): \(String(decoding: message.value, as: UTF8.self))"
            told[about(event), default: []].insert(words)
        }
        return told
    }
}
