import Foundation

/// The JSON of messages and files: snake_case keys in a fixed order, so that equal values have equal bytes.
package enum WireFormat {
    /// The maximum number of bytes of a message that is read or written: intermediaries must forward 64 KiB
    /// (CloudEvents 1.0, "Size Limits").
    package static let maximumMessageBytes = 65_536

    /// The value as one line of JSON.
    package static func encode(_ value: some Encodable) throws -> [UInt8] { try encode(value, formatting: []) }

    /// The value as indented JSON, with a newline at the end.
    package static func encodePretty(_ value: some Encodable) throws -> [UInt8] {
        try encode(value, formatting: .prettyPrinted) + [UInt8(ascii: "\n")]
    }

    private static func encode(_ value: some Encodable, formatting: JSONEncoder.OutputFormatting) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
        return Array(try encoder.encode(value))
    }

    /// Reads a value from outside. Throws `InvalidValue` for too many bytes and for any text that is not the value's
    /// JSON; unknown keys are ignored, so that the messages of a newer sender can be read.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: some Collection<UInt8>, maximumBytes: Int = maximumMessageBytes
    ) throws(InvalidValue) -> Value {
        guard bytes.count <= maximumBytes else {
            throw InvalidValue("JSON", "", allowed: "at most \(maximumBytes) bytes, not \(bytes.count)")
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .custom { WireKey(stringValue: camelCase($0.last!.stringValue)) }
        do {
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw InvalidValue(
                "JSON of \(type)", String(decoding: bytes.prefix(80), as: UTF8.self), allowed: Self.reason(of: error))
        }
    }

    private static func reason(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        switch error {
        case .keyNotFound(let key, _): return "the key '\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "at '\(path)': \(context.debugDescription)"
        @unknown default: return "it cannot be read"
        }
    }
}

/// `run_id` becomes `runID`. Foundation's own conversion gives `runId`.
private func camelCase(_ key: String) -> String {
    let words = key.split(separator: "_")
    let rest = words.dropFirst().map { ["id", "uri", "sha256"].contains($0) ? $0.uppercased() : $0.capitalized }
    return ([String(words.first ?? "")] + rest).joined()
}

private struct WireKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
