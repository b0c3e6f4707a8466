package import Settings

package enum WorkerSetting {
    package static let workerID = Setting(
        "BDA_WORKER_ID", .name, whenUnset: "host name and process id",
        "name of the worker in ledger, events and logs; each worker needs its own")
    package static let slots = Setting(
        "BDA_WORKER_SLOTS", .integer(1...64), default: 2, "number of jobs that a worker runs at the same time")
    package static let leaseSeconds = Setting(
        "BDA_LEASE_SECONDS", .integer(1...3600), default: 30,
        "lease duration: a job whose worker has not renewed its claim for this long is taken over")
    package static let drainSeconds = Setting(
        "BDA_DRAIN_SECONDS", .integer(0...3600), default: 30,
        "time that running jobs have to finish after SIGTERM; must be shorter than the platform's grace period")

    static let section = SettingSection("Worker", [workerID, slots, leaseSeconds, drainSeconds])
}
