/// A text that is not a value of the expected kind. `description` is safe to log: one line, with at most 80 characters
/// of the text.
package struct InvalidValue: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind, the text, and the allowed values.
    package let description: String

    init(_ kind: String, _ given: some StringProtocol, allowed: String) {
        description = "invalid \(kind) '\(given.loggable(atMost: 80))': \(allowed.loggable(atMost: 300))"
    }
}

extension StringProtocol {
    /// A text from outside in a form that is safe in one line of output: at most `count` Unicode scalars (a character
    /// may consist of any number of them), and none that ends the line, hides or reverses the rest of it, or controls a
    /// terminal.
    package func loggable(atMost count: Int) -> String {
        var result = ""
        for scalar in unicodeScalars.prefix(count) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: result += scalar.escaped(asASCII: true)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return String(result.unicodeScalars.prefix(count))
    }
}

/// A value whose only form is one checked text, also in JSON.
package protocol TextIdentifier: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
    /// Throws `InvalidValue` for any other text.
    init(_ text: String) throws(InvalidValue)
}

extension TextIdentifier {
    package init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of their texts.
    package static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}

/// The id of one run, such as `20260401t031500123z_7f3a`: the UTC time of its start to the millisecond and four random
/// characters. It sorts by time, and it is safe in a schema name, an object key and a URL.
package struct RunID: TextIdentifier {
    package let description: String

    package init(_ text: String) throws(InvalidValue) {
        let bytes = Array(text.utf8)
        let isDigit: (UInt8) -> Bool = { (0x30...0x39).contains($0) }
        let isValid =
            bytes.count == 24 && bytes[0..<8].allSatisfy(isDigit) && bytes[8] == UInt8(ascii: "t")
            && bytes[9..<18].allSatisfy(isDigit) && bytes[18] == UInt8(ascii: "z") && bytes[19] == UInt8(ascii: "_")
            && bytes[20...].allSatisfy { isDigit($0) || (0x61...0x7A).contains($0) }
        guard isValid else {
            throw InvalidValue("run id", text, allowed: "yyyymmddthhmmssmmmz_xxxx, as in 20260401t031500123z_7f3a")
        }
        description = text
    }

    /// The id of a run that starts at the given time.
    ///
    /// - Parameters:
    ///   - millisecondsSince1970: the start in UTC.
    ///   - generator: the source of the four random characters.
    package init(millisecondsSince1970: Int64, using generator: inout some RandomNumberGenerator) {
        let seconds = millisecondsSince1970 / 1000
        let date = BusinessDate(daysSince1970: Int(seconds / 86_400))
        let second = seconds % 86_400
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
        let random = String((0..<4).map { _ in alphabet.randomElement(using: &generator)! })
        description =
            date.description.filter { $0 != "-" } + "t" + padded(Int(second / 3600), 2)
            + padded(Int(second / 60 % 60), 2) + padded(Int(second % 60), 2)
            + padded(Int(millisecondsSince1970 % 1000), 3) + "z_" + random
    }

    /// The schema that holds the run's own tables.
    package var schemaName: String { "bda_run_\(description)" }
}

/// A segment's name, `system.name`, such as `tripica.charges`. For an archive segment it is the dataset's name too.
package struct SegmentName: TextIdentifier {
    /// The part before the dot.
    package let system: String
    package let name: String

    package init(_ text: String) throws(InvalidValue) {
        let halves = text.split(separator: ".", omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy(isPlainName) else {
            throw InvalidValue(
                "segment name", text,
                allowed: "system.name, each of a-z, 0-9 and _ with a letter first, at most 40 characters")
        }
        system = String(halves[0])
        name = String(halves[1])
    }

    package var description: String { "\(system).\(name)" }
}

/// One segment for one partition of one run: the unit of work that a worker claims.
package struct JobID: TextIdentifier {
    package let run: RunID
    package let segment: SegmentName
    /// From 0; 0 for a segment that is not split.
    package let partition: Int

    package init(run: RunID, segment: SegmentName, partition: Int) {
        self.run = run
        self.segment = segment
        self.partition = partition
    }

    package init(_ text: String) throws(InvalidValue) {
        let allowed = "run id/segment/partition of four digits"
        let fields = text.split(separator: "/", omittingEmptySubsequences: false)
        guard text.utf8.count <= 128, fields.count == 3, fields[2].utf8.count == 4,
            fields[2].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(fields[2])
        else { throw InvalidValue("job id", text, allowed: allowed) }
        run = try RunID(String(fields[0]))
        segment = try SegmentName(String(fields[1]))
        partition = number
    }

    package var description: String { "\(run)/\(segment)/\(padded(partition, 4))" }
}

/// Whether a text is a lower-case name that needs no quotes in SQL, keys and topics.
func isPlainName(_ text: some StringProtocol) -> Bool {
    let bytes = Array(text.utf8)
    guard let first = bytes.first, bytes.count <= 40, (0x61...0x7A).contains(first) else { return false }
    return bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_") }
}

/// A number in decimal digits with leading zeros.
func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
