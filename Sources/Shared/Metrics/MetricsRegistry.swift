import BlockingIO

/// All series of a program, and their text for Prometheus.
package final class MetricsRegistry: Sendable {
    private struct Key: Hashable {
        let name: MetricName
        let values: [String]
    }

    private let all = Mutex<[Key: MetricSeries]>([:])

    package init() {}

    /// The one series of these dimensions. It is a bug of the caller if kind or dimensions are not the metric's.
    func series(_ name: MetricName, _ kind: MetricName.Kind, _ dimensions: [(String, String)]) -> MetricSeries {
        let definition = name.definition
        precondition(definition.kind == kind, "\(name.rawValue) is a \(definition.kind)")
        let given = Dictionary(dimensions) { $1 }
        let values = definition.dimensions.compactMap { given[$0] }
        precondition(
            values.count == definition.dimensions.count && given.count == values.count,
            "the dimensions of \(name.rawValue) are \(definition.dimensions)")
        return all.withLock { all in
            let key = Key(name: name, values: values)
            if let series = all[key] { return series }
            let series = MetricSeries(definition: definition)
            all[key] = series
            return series
        }
    }

    /// Every series in Prometheus's text format 0.0.4 ("Exposition formats"), in a fixed order: by metric, then by the
    /// values of its dimensions. The figures of the process are read by this call.
    package func prometheusText() -> String {
        var readings: [MetricName: [(values: [String], reading: MetricSeries.Reading)]] = [:]
        for (key, series) in all.withLock({ $0 }) {
            readings[key.name, default: []].append((key.values, series.reading))
        }
        for (name, value) in ProcessMetrics.read() {
            readings[name] = [([], MetricSeries.Reading(value: value, buckets: []))]
        }
        var text = ""
        for name in MetricName.allCases {
            guard let series = readings[name]?.filter({ $0.reading.value != nil }), !series.isEmpty else { continue }
            let definition = name.definition
            text += "# HELP \(name.rawValue) \(Self.escaped(definition.help))\n"
            text += "# TYPE \(name.rawValue) \(definition.kind.rawValue)\n"
            for one in series.sorted(by: { $0.values.lexicographicallyPrecedes($1.values) }) {
                Self.append(one.reading, of: name.rawValue, definition, one.values, to: &text)
            }
        }
        return text
    }

    private static func append(
        _ reading: MetricSeries.Reading, of name: String, _ definition: MetricName.Definition, _ values: [String],
        to text: inout String
    ) {
        let labels = Array(zip(definition.dimensions, values))
        func line(_ suffix: String, _ labels: [(String, String)], _ value: Double) {
            text += name + suffix
            if !labels.isEmpty {
                let pairs = labels.map { "\($0)=\"\(escaped($1, quotes: true))\"" }
                text += "{" + pairs.joined(separator: ",") + "}"
            }
            text += " " + number(value) + "\n"
        }
        guard definition.kind == .histogram else { return line("", labels, reading.value ?? .nan) }
        var count = 0
        for (bound, inBucket) in zip(definition.buckets + [.infinity], reading.buckets) {
            count += inBucket
            line("_bucket", labels + [("le", number(bound))], Double(count))
        }
        line("_sum", labels, reading.value ?? .nan)
        line("_count", labels, Double(count))
    }

    /// Works on Unicode scalars: for Swift, a quote and a following accent are one character.
    private static func escaped(_ text: String, quotes: Bool = false) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.description
    }
}

/// The numbers of one metric with one set of dimension values.
final class MetricSeries: Sendable {
    struct Reading: Sendable {
        /// A counter's or gauge's value, nil while a gauge's is unknown; a histogram's sum.
        var value: Double?
        /// The number of a histogram's values in each bucket; the last bucket has no upper bound.
        var buckets: [Int]
    }

    private let bounds: [Double]
    private let state: Mutex<Reading>

    init(definition: MetricName.Definition) {
        bounds = definition.buckets
        state = Mutex(
            Reading(
                value: definition.kind == .gauge ? nil : 0,
                buckets: [Int](repeating: 0, count: definition.buckets.count + 1)))
    }

    var reading: Reading { state.withLock { $0 } }

    func add(_ amount: Double) { state.withLock { $0.value = ($0.value ?? 0) + amount } }

    func set(_ value: Double?) { state.withLock { $0.value = value } }

    func observe(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.value = (state.value ?? 0) + value
            state.buckets[bucket] += 1
        }
    }
}
