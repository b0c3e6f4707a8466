import Foundation
import JobModel

@testable import Kafka

extension FuzzTarget {
    /// A message: header lines `name: value`, an empty line, the value. The reader is the one of the type that the
    /// message says it has.
    static let event = FuzzTarget(
        name: "event",
        words: eventReaders.map(\.type) + [
            "ce_specversion: 1.0\n", "ce_type: ", "\n\n", "content-type: application/json", "\"run_id\":", "\"runID\":",
            "\"business_date\":", "\"client_id\":", "\"environment\":", "\"job_id\":", "\"segment\":", "\"partition\":",
            "\"attempt\":", "\"worker_id\":", "\"rows\":", "\"bytes\":", "\"part_count\":", "\"totals\":",
            "\"amount\":",
            "\"currency\":", "\"datasets\":", "\"manifest_uri\":", "\"manifest_sha256\":", "\"replaces_run_id\":",
            "\"failed_jobs\":", "\"exit_code\":", "null", "1e400", "-1", "[[[[", "{{", "\\u0000", "\\ud800", "\u{301}",
        ]
    ) { input in
        let (head, value) = input.cut(at: "\n\n")
        let headers = head.split(separator: UInt8(ascii: "\n")).compactMap { line -> (name: String, value: String)? in
            let (name, value) = Array(line).cut(at: ": ")
            return KafkaHeader(name: name.text, value: value).text.map { (name.text, $0) }
        }
        let named = headers.first { $0.name == "ce_type" }?.value
        for reader in eventReaders { try reader.check(headers, value, named == reader.type) }
    }

    private struct EventReader: Sendable {
        let type: String
        let check: @Sendable ([(name: String, value: String)], [UInt8], _ isNamed: Bool) throws -> Void

        init<Body: EventBody>(_ body: Body.Type) {
            type = Body.type
            check = { try checkEvent(Body.self, $0, $1, isNamed: $2) }
        }
    }

    private static let eventReaders = [
        EventReader(JobRequested.self), EventReader(JobStarted.self), EventReader(JobCompleted.self),
        EventReader(JobFailed.self), EventReader(RunStarted.self), EventReader(RunCompleted.self),
        EventReader(RunFailed.self), EventReader(RunLate.self),
    ]

    private static func checkEvent<Body: EventBody>(
        _ type: Body.Type, _ headers: [(name: String, value: String)], _ value: [UInt8], isNamed: Bool
    ) throws {
        let event: Event<Body>
        do throws(InvalidValue) {
            event = try CloudEvent.decode(type, headers: headers, value: value)
        } catch {
            return try holdLoggable(error.description, most: 1600)
        }
        try hold(isNamed, "an event is of the type that its header says")
        let version = headers.first { $0.name == "ce_specversion" }?.value
        try hold(version == "1.0", "an event is of version 1.0")
        try hold(value.count <= WireFormat.maximumMessageBytes, "a message has at most 64 KiB")
        try checkRun(event.run)
        if let request = event.body as? JobRequested {
            try hold(request.jobID.description.utf8.count <= 128, "a job's id has at most 128 bytes")
            try hold((0...9999).contains(request.jobID.partition), "a partition has at most four digits")
        }
        try holdRoundTrip(event)
        // Published again, it is read again.
        let again = try CloudEvent(event, source: "/bda/fuzz", at: Date(timeIntervalSince1970: 0))
        if again.data.count <= WireFormat.maximumMessageBytes {
            let back = try CloudEvent.decode(type, headers: again.headers, value: again.data)
            try hold(back == event, "an event that is published again is the same")
        }
    }

    /// A manifest as `verify` reads it: of a run or of a dataset.
    static let manifest = FuzzTarget(
        name: "manifest",
        words: [
            "\"entries\":", "\"url\":", "\"mandatory\":", "\"meta\":", "\"content_length\":", "\"record_count\":",
            "\"sha256\":", "\"partition\":", "\"schema\":", "\"elements\":", "\"type\":", "\"base\":", "\"author\":",
            "\"dataset\":", "\"run\":", "\"key\":", "\"csv\":", "\"compression\":", "\"none\"", "\"zstd\"",
            "\"totals\":",
            "\"load_mode\":", "\"replaces_run_id\":", "\"generated_at\":", "\"datasets\":", "\"warnings\":",
            "\"check\":",
            "\"manifest_uri\":", "\"manifest_sha256\":", "null", "true", "1e400", "-1", "\"x.y\"", "[", "{",
        ]
    ) { input in
        try checkManifest(RunManifest.self, input) { try checkRun($0.run) }
        try checkManifest(DatasetManifest.self, input) { try checkRun($0.run) }
    }

    private static func checkManifest<Manifest: Codable & Equatable>(
        _ type: Manifest.Type, _ input: [UInt8], _ check: (Manifest) throws -> Void
    ) throws {
        let manifest: Manifest
        do throws(InvalidValue) {
            manifest = try WireFormat.decode(type, from: input, maximumBytes: 64 << 20)
        } catch {
            return try holdLoggable(error.description, most: 1600)
        }
        try check(manifest)
        try holdRoundTrip(manifest)
        let pretty = try WireFormat.encodePretty(manifest)
        let back = try WireFormat.decode(type, from: pretty, maximumBytes: .max)
        try hold(back == manifest, "a manifest for people is the same manifest")
    }

    private static func checkRun(_ run: RunContext) throws {
        try hold(run.runID.description.utf8.count == 24, "a run's id has 24 bytes")
        try hold((1900...9999).contains(run.businessDate.year), "a date lies between 1900 and 9999")
    }

    /// What is written is read as the same, and equal values are equal bytes.
    private static func holdRoundTrip<Value: Codable & Equatable>(_ value: Value) throws {
        let bytes = try WireFormat.encode(value)
        let back = try WireFormat.decode(Value.self, from: bytes, maximumBytes: .max)
        try hold(back == value, "what is written is read as the same")
        try hold(try WireFormat.encode(back) == bytes, "equal values are equal bytes")
    }

    /// A text that is read as each kind of identifier, date and number.
    static let identifiers = FuzzTarget(
        name: "identifiers",
        words: [
            "20260401t031500123z_7f3a", "tripica.charges", "/0007", "2026-03-31", "2024-02-29", "-", ".", "0", "9",
            "00000000", "99999999999999999999", "\u{301}", "\u{661}", "-0.00",
        ]
    ) { input in
        let text = input.text
        if let id = try parsed(RunID.self, text) {
            try hold(id.schemaName.utf8.count <= 63, "a schema's name has at most 63 bytes")
            try hold(id.description.utf8.allSatisfy { $0 < 0x80 }, "a run's id is ASCII")
        }
        _ = try parsed(JobID.self, text)
        if let name = try parsed(SegmentName.self, text) {
            let isPlain = { (part: String) in part.utf8.count <= 40 && part.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil }
            try hold(isPlain(name.system) && isPlain(name.name), "both halves of a name are plain")
        }
        if let date = try parsed(BusinessDate.self, text) {
            try hold(BusinessDate(daysSince1970: date.daysSince1970) == date, "a date has its number of days")
            try hold(date.adding(days: 1).daysSince1970 == date.daysSince1970 + 1, "the next day is one day later")
            try hold(date.adding(days: 400).adding(days: -400) == date, "400 days there and back are none")
        }
        if let number = try parsed(ExactDecimal.self, text, isCanonical: false) {
            let known = ReferenceDecimal(text)
            try hold(known?.digits.count ?? 0 > 0, "a number is -?digits[.digits]")
            try hold(known.map { $0 == ReferenceDecimal(number.description) } == true, "a number keeps its value")
            try hold(number.isSameNumber(as: number), "a number is itself")
        } else {
            try hold(ReferenceDecimal(text).map { $0.digits.count > 38 } ?? true, "up to 38 digits are a number")
        }
    }

    /// The value of a text; what is accepted is written as it was read, also in JSON.
    private static func parsed<Value: TextIdentifier>(
        _ type: Value.Type, _ text: String, isCanonical: Bool = true
    ) throws -> Value? {
        let value: Value
        do throws(InvalidValue) {
            value = try Value(text)
        } catch {
            try holdLoggable(error.description, most: 1600)
            return nil
        }
        if isCanonical { try hold(Array(value.description.utf8) == Array(text.utf8), "an identifier is its text") }
        try holdRoundTrip([value])
        let again = try Value(value.description)
        try hold(again == value && again.description == value.description, "what is written is read as the same")
        return value
    }
}
