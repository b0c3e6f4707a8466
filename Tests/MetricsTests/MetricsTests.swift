import Foundation
import Testing

@testable import Metrics

struct MetricsTests {
    private let registry = MetricsRegistry()

    /// The lines of one metric.
    private func lines(_ name: MetricName) -> [String] {
        registry.prometheusText().split(separator: "\n").map(String.init).filter {
            $0.hasPrefix(name.rawValue) || $0.hasPrefix("# HELP \(name.rawValue) ")
                || $0.hasPrefix("# TYPE \(name.rawValue) ")
        }
    }

    @Test func countersOfTheSameDimensionsAreOneSeries() {
        Counter(label: .jobs, dimensions: [("outcome", "retry")], registry: registry).increment()
        Counter(label: .jobs, dimensions: [("outcome", "completed")], registry: registry).increment(by: 41)
        Counter(label: .jobs, dimensions: [("outcome", "completed")], registry: registry).increment()
        #expect(
            lines(.jobs) == [
                "# HELP bda_jobs_total Attempts that ended, by outcome.", "# TYPE bda_jobs_total counter",
                #"bda_jobs_total{outcome="completed"} 42"#, #"bda_jobs_total{outcome="retry"} 1"#,
            ])
    }

    @Test func aCounterIsZeroAndAGaugeIsNotThereUntilRecorded() {
        let takeovers = Counter(label: .takeovers, registry: registry)
        let lag = Gauge(label: .kafkaLag, registry: registry)
        #expect(lines(.takeovers).last == "bda_takeovers_total 0")
        #expect(lines(.kafkaLag) == [])
        lag.record(7)
        takeovers.increment()
        #expect(lines(.kafkaLag).last == "bda_kafka_lag 7")
        lag.record(0.25)
        #expect(lines(.kafkaLag).last == "bda_kafka_lag 0.25")
        lag.clear()
        #expect(lines(.kafkaLag) == [])
        #expect(lines(.takeovers).last == "bda_takeovers_total 1")
    }

    @Test func bucketsOfAHistogramAreCumulative() {
        let duration = Histogram(label: .jobDuration, dimensions: [("segment", "tripica.charges")], registry: registry)
        for seconds in [0.1, 0.25, 4, 59.5, 7200] { duration.record(duration: .seconds(seconds)) }
        let counts = lines(.jobDuration).dropFirst(2).map { $0.split(separator: " ").map(String.init) }
        let name = "bda_job_duration_seconds"
        let label = #"segment="tripica.charges""#
        let buckets = [
            ("0.1", 1), ("0.5", 2), ("1", 2), ("5", 3), ("15", 3), ("60", 4), ("300", 4), ("900", 4), ("1800", 4),
            ("3600", 4), ("+Inf", 5),
        ]
        #expect(
            counts == buckets.map { [#"\#(name)_bucket{\#(label),le="\#($0)"}"#, "\($1)"] } + [
                ["\(name)_sum{\(label)}", "7263.85"], ["\(name)_count{\(label)}", "5"],
            ])
    }

    @Test func valuesOfDimensionsAreEscaped() {
        Counter(label: .rows, dimensions: [("dataset", "a\"b\\c\nd")], registry: registry).increment()
        #expect(lines(.rows).last == #"bda_rows_total{dataset="a\"b\\c\nd"} 1"#)
    }

    @Test func numbersThatAreNoneAreWrittenAsPrometheusReadsThem() {
        let lag = Gauge(label: .kafkaLag, registry: registry)
        for (value, text) in [
            (Double.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (1e300, "1e+300"),
            (1e15, "1000000000000000"),
        ] {
            lag.record(value)
            #expect(lines(.kafkaLag).last == "bda_kafka_lag \(text)")
        }
    }

    @Test func nothingIsLostBetweenThreads() async {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { [registry] in
                    let claims = Counter(label: .claims, dimensions: [("result", "won")], registry: registry)
                    let duration = Histogram(label: .jobDuration, dimensions: [("segment", "a.b")], registry: registry)
                    for _ in 0..<1000 {
                        claims.increment()
                        duration.record(duration: .seconds(1))
                    }
                }
            }
        }
        #expect(lines(.claims).last == #"bda_claims_total{result="won"} 8000"#)
        #expect(lines(.jobDuration).contains(#"bda_job_duration_seconds_sum{segment="a.b"} 8000"#))
    }

    @Test func processMetricsAreTheKernels() throws {
        func value(_ name: MetricName) throws -> Double {
            try #require(Double(lines(name).last?.split(separator: " ").last ?? ""))
        }
        // A Swift process with Foundation has some megabytes, and not all of the machine.
        #expect((4e6...64e9).contains(try value(.processMemory)))
        #expect(try value(.processCPU) > 0)
        let files = try value(.processFiles)
        #expect(files >= 3)
        let handle = try FileHandle(forReadingFrom: URL(filePath: "/dev/null"))
        let start = try value(.processStart)
        let now = Date().timeIntervalSince1970
        #expect(start <= now + 1 && start > now - 3600)
        try handle.close()
    }

    @Test func namesFollowPrometheusConventions() {
        for name in MetricName.allCases {
            let definition = name.definition
            #expect(name.rawValue.wholeMatch(of: #/[a-z][a-z0-9_]*/#) != nil)
            #expect(name.rawValue.hasSuffix("_total") == (definition.kind == .counter), "\(name.rawValue)")
            #expect(definition.buckets == definition.buckets.sorted())
            #expect(definition.buckets.isEmpty == (definition.kind != .histogram))
            #expect(definition.help.hasSuffix("."))
        }
    }

    @Test func aWrongDimensionOrKindIsABug() async {
        await #expect(processExitsWith: .failure) {
            _ = Counter(label: .jobs, dimensions: [("result", "won")], registry: MetricsRegistry())
        }
        await #expect(processExitsWith: .failure) {
            _ = Counter(label: .jobs, dimensions: [("outcome", "a"), ("more", "b")], registry: MetricsRegistry())
        }
        await #expect(processExitsWith: .failure) { _ = Gauge(label: .jobs, registry: MetricsRegistry()) }
    }
}
