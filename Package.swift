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
        // Programs: options, wiring, the flow of a run and of a job.
        .executableTarget(
            name: "Coordinator",
            dependencies: [
                "Warehouse", "Postgres", "Kafka", "ObjectStore", "Service", "JobModel", "Bytes",
                "BlockingIO",
            ],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "Worker",
            dependencies: [
                "Warehouse", "Postgres", "Kafka", "ObjectStore", "Service", "JobModel", "Bytes",
                "BlockingIO",
            ],
            swiftSettings: swiftSettings),

        // Ledger, claims, scripts, snapshot, run tables.
        shared("Warehouse", ["Postgres", "Service", "JobModel", "Bytes", "BlockingIO"]),

        // One C library each; rows, messages and bytes, not jobs.
        shared("Postgres", ["Service", "Bytes", "BlockingIO", "CLibPQ"]),
        shared("Kafka", ["Service", "JobModel", "BlockingIO", "CLibRdKafka"]),
        shared("ObjectStore", ["Service", "Bytes", "BlockingIO", "CLibCurl"]),

        // Settings, options, logs, metrics, health endpoint, life cycle.
        shared("Service", ["BlockingIO", "CMicroHTTPD"]),

        // Pure values.
        shared("JobModel", []),

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
            dependencies: ["Postgres", "Kafka", "ObjectStore", "Service", "JobModel", "Bytes", "BlockingIO"],
            path: "Tests/TestSupport",
            // It holds the model of the ledger, of which hundreds of thousands of states are explored.
            swiftSettings: swiftSettings + [.unsafeFlags(["-O"])]),
        tests("BlockingIOTests", ["BlockingIO"]),
        tests("BytesTests", ["Bytes"]),
        tests("JobModelTests", ["JobModel"]),
        tests("ServiceTests", ["Service", "TestSupport"]),
        tests("PostgresTests", ["Postgres", "TestSupport"]),
        tests("KafkaTests", ["Kafka", "BlockingIO", "TestSupport"]),
        tests("ObjectStoreTests", ["ObjectStore", "TestSupport"]),
        tests("WarehouseTests", ["Warehouse", "TestSupport"]),
        tests("CoordinatorTests", ["Coordinator", "TestSupport"]),
        tests("WorkerTests", ["Worker", "TestSupport"]),
        // Audit and Schemas: Python, which the tests start.
        tests("FleetTests", ["Warehouse", "TestSupport"], exclude: ["Audit", "Schemas"]),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "Worker", "Warehouse", "Postgres", "Kafka", "ObjectStore", "Service", "JobModel", "TestSupport",
            ],
            path: "Tests/Fuzz", exclude: ["corpus"], swiftSettings: swiftSettings),
    ],
    swiftLanguageModes: [.v6]
)
