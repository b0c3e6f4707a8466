// swift-tools-version: 6.2
import PackageDescription

// Module borders are in docs/architecture.md: a target may depend on rows below its own only.
// Every C library comes from the distribution by pkg-config; no Swift package is fetched.

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

func systemLibrary(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/Shared/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

func shared(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/Shared/\(name)",
        swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

let package = Package(
    name: "billing-data-aggregator",
    products: [
        .executable(name: "bda-coordinator", targets: ["Coordinator"]),
        .executable(name: "bda-worker", targets: ["Worker"]),
    ],
    targets: [
        // Programs: options, wiring, the steps of a run and of a job.
        .executableTarget(
            name: "Coordinator",
            dependencies: [
                "ProgramSettings",
                "Warehouse", "Ledger", "CloudEventsKafka", "Scripts", "Postgres", "Kafka", "ObjectStore",
                "HealthEndpoint", "ServiceLifecycle", "Settings", "Logging", "Metrics", "CommandLineOptions",
                "JobModel", "Timing",
                "Bytes", "BlockingIO",
            ],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "Worker",
            dependencies: [
                "ProgramSettings",
                "Warehouse", "Ledger", "CloudEventsKafka", "Scripts", "Postgres", "Kafka", "ObjectStore",
                "HealthEndpoint", "ServiceLifecycle", "Settings", "Logging", "Metrics", "CommandLineOptions",
                "JobModel", "Timing",
                "Bytes", "BlockingIO",
            ],
            swiftSettings: swiftSettings),

        // The settings of both programs: they share an environment, so each accepts the other's.
        shared("ProgramSettings", ["Postgres", "Kafka", "ObjectStore", "Settings", "Logging", "JobModel"]),
        // The snapshot, the run's tables, the transaction of an attempt.
        shared("Warehouse", ["Ledger", "Scripts", "Postgres", "JobModel"]),
        // Schema `bda`: what is to be done, who does it, what is done.
        shared("Ledger", ["Scripts", "Postgres", "CommandLineOptions", "JobModel", "Bytes", "BlockingIO", "Timing"]),
        // Events of the job model as Kafka messages.
        shared("CloudEventsKafka", ["Kafka", "JobModel"]),
        // SQL scripts: header, parameters, set.
        shared("Scripts", ["Postgres", "JobModel", "Bytes"]),

        // One C library each; rows, messages and bytes, not jobs.
        shared("Postgres", ["Settings", "CommandLineOptions", "Bytes", "BlockingIO", "Timing", "CLibPQ"]),
        shared(
            "Kafka",
            [
                "ServiceLifecycle", "Settings", "Logging", "Metrics", "CommandLineOptions", "Timing", "BlockingIO",
                "CLibRdKafka",
            ]),
        shared(
            "ObjectStore",
            ["Settings", "Logging", "Metrics", "CommandLineOptions", "Timing", "Bytes", "BlockingIO", "CLibCurl"]),

        // What a package would give elsewhere, each in that package's call shape.
        shared("HealthEndpoint", ["ServiceLifecycle", "Metrics", "CommandLineOptions", "BlockingIO", "CMicroHTTPD"]),
        shared("ServiceLifecycle", ["Logging", "BlockingIO"]),
        shared("Settings", ["CommandLineOptions"]),
        shared("Logging", ["BlockingIO"]),
        shared("Metrics", ["BlockingIO"]),
        shared("CommandLineOptions", ["BlockingIO"]),

        // Pure values.
        shared("JobModel", ["Timing"]),

        // Deadlines, time limits, pauses between tries.
        shared("Timing", ["BlockingIO"]),

        // Digests and compression; one thread per blocking handle.
        shared("Bytes", ["CLibCrypto", "CZlib", "CZstd"]),
        shared("BlockingIO", []),

        systemLibrary("CLibPQ", pkgConfig: "libpq", apt: "libpq-dev"),
        systemLibrary("CLibRdKafka", pkgConfig: "rdkafka", apt: "librdkafka-dev"),
        systemLibrary("CLibCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
        systemLibrary("CLibCrypto", pkgConfig: "libcrypto", apt: "libssl-dev"),
        systemLibrary("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        systemLibrary("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        systemLibrary("CMicroHTTPD", pkgConfig: "libmicrohttpd", apt: "libmicrohttpd-dev"),

        .target(
            name: "TestSupport",
            dependencies: [
                "Ledger", "Postgres", "Kafka", "ObjectStore", "Logging", "Metrics", "ServiceLifecycle", "Settings",
                "CommandLineOptions", "Timing", "JobModel", "Bytes",
                "BlockingIO",
            ],
            path: "Tests/TestSupport",
            // It holds the model of the ledger, of which hundreds of thousands of states are explored.
            swiftSettings: swiftSettings + [.unsafeFlags(["-O"])]),
        tests("BlockingIOTests", ["BlockingIO", "Timing"]),
        tests("BytesTests", ["Bytes"]),
        tests("JobModelTests", ["JobModel"]),
        tests("TimingTests", ["Timing", "BlockingIO"]),
        tests("CommandLineOptionsTests", ["CommandLineOptions", "TestSupport"]),
        tests("MetricsTests", ["Metrics", "TestSupport"]),
        tests("LoggingTests", ["Logging", "ServiceLifecycle", "TestSupport"]),
        tests(
            "SettingsTests",
            ["Settings", "ProgramSettings", "Postgres", "Kafka", "ObjectStore", "Logging", "TestSupport"]),
        tests(
            "ServiceLifecycleTests", ["ServiceLifecycle", "Logging", "CommandLineOptions", "BlockingIO", "TestSupport"]),
        tests("HealthEndpointTests", ["HealthEndpoint", "Metrics", "TestSupport"]),
        tests("PostgresTests", ["Postgres", "Settings", "CommandLineOptions", "Bytes", "BlockingIO", "TestSupport"]),
        tests("KafkaTests", ["Kafka", "CommandLineOptions", "BlockingIO", "TestSupport"]),
        tests("ObjectStoreTests", ["ObjectStore", "CommandLineOptions", "TestSupport"]),
        tests("WarehouseTests", ["Warehouse", "Ledger", "Scripts", "TestSupport"]),
        // FormerMigrations: the migrations of a ledger that is upgraded.
        tests(
            "LedgerTests", ["Ledger", "BlockingIO", "Warehouse", "Scripts", "CommandLineOptions", "TestSupport"],
            exclude: ["FormerMigrations"]),
        tests("CoordinatorTests", ["Coordinator", "TestSupport"]),
        tests("WorkerTests", ["Worker", "TestSupport"]),
        // Audit and Schemas: Python, which the tests start.
        tests(
            "FleetTests", ["Warehouse", "Ledger", "CloudEventsKafka", "Scripts", "TestSupport"],
            exclude: ["Audit", "Schemas"]),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "Worker", "ProgramSettings", "Warehouse", "Ledger", "Scripts", "Postgres", "Kafka", "ObjectStore",
                "Logging",
                "Metrics",
                "ServiceLifecycle", "Settings", "CommandLineOptions", "Timing",
                "JobModel", "TestSupport",
            ],
            path: "Tests/Fuzz", exclude: ["corpus"], swiftSettings: swiftSettings),
    ],
    swiftLanguageModes: [.v6]
)
