package import Foundation

/// The parser of a setting's text, and the allowed values.
package struct SettingFormat<Value: Sendable>: Sendable {
    let allowed: String
    let placeholder: Value
    let parse: @Sendable (String) -> Value?
    let text: @Sendable (Value) -> String
}

extension SettingFormat where Value == String {
    package static var text: Self { Self("a text") { _ in true } }

    /// A word that is safe in object keys, topics and schema names.
    package static var name: Self {
        Self("letters, digits, '-', '_' and '.', at most 128") { value in
            value.utf8.count <= 128 && value.contains { $0 != "." }
                && value.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                    default: "-_.".utf8.contains(byte)
                    }
                }
        }
    }

    package static func oneOf(_ words: [String]) -> Self {
        Self(words.joined(separator: ", ")) { words.contains($0) }
    }

    /// A URL of one of these schemes, without user and password.
    package static func url(schemes: [String]) -> Self {
        Self(schemes.map { "\($0)://…" }.joined(separator: " or ") + " without user and password") { value in
            schemes.contains { value.hasPrefix("\($0)://") && value.utf8.count > $0.utf8.count + 3 }
                && !value.utf8.contains(UInt8(ascii: "@")) && !value.contains { $0.isWhitespace }
        }
    }

    private init(_ allowed: String, _ accepts: @escaping @Sendable (String) -> Bool) {
        self.init(allowed: allowed, placeholder: "", parse: { accepts($0) ? $0 : nil }, text: { $0 })
    }
}

extension SettingFormat where Value == Int {
    package static func integer(_ range: ClosedRange<Int>) -> Self {
        Self(
            allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)", placeholder: range.lowerBound,
            parse: { Int($0).flatMap { range.contains($0) ? $0 : nil } }, text: { "\($0)" })
    }
}

extension SettingFormat where Value == Bool {
    package static var boolean: Self {
        Self(
            allowed: "true or false", placeholder: false,
            parse: { $0 == "true" ? true : $0 == "false" ? false : nil }, text: { "\($0)" })
    }
}

extension SettingFormat where Value == [String] {
    /// Texts without surrounding spaces; empty ones are left out.
    package static var list: Self {
        Self(
            allowed: "texts separated by commas", placeholder: [],
            parse: { value in
                let texts = value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
                    .filter { !$0.isEmpty }
                return texts.isEmpty ? nil : texts
            }, text: { $0.joined(separator: ",") })
    }
}

extension SettingFormat where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the cases of an enumeration, by its raw value.
    package static var choice: Self {
        Self(
            allowed: Value.allCases.map(\.rawValue).joined(separator: ", "), placeholder: Value.allCases.first!,
            parse: { Value(rawValue: $0) }, text: { $0.rawValue })
    }
}

extension SettingFormat where Value == TimeZone {
    package static var timeZone: SettingFormat<TimeZone> {
        Self(
            allowed: "a time zone such as Europe/Berlin or UTC", placeholder: .gmt,
            parse: { TimeZone(identifier: $0) }, text: { $0.identifier })
    }
}

extension SettingFormat where Value == TimeOfDay {
    package static var timeOfDay: Self {
        Self(
            allowed: "a time of day as HH:MM, from 00:00 to 23:59", placeholder: TimeOfDay(hour: 0, minute: 0),
            parse: { TimeOfDay($0) }, text: { $0.description })
    }
}

extension SettingFormat where Value == Secret {
    package static var secret: Self {
        Self(allowed: "a text", placeholder: Secret(""), parse: { Secret($0) }, text: { "\($0)" })
    }
}

/// Hours and minutes of a local day.
package struct TimeOfDay: Sendable, Hashable, CustomStringConvertible {
    package let hour: Int
    package let minute: Int

    package init(hour: Int, minute: Int) {
        self.hour = hour
        self.minute = minute
    }

    /// Reads `HH:MM`.
    init?(_ text: String) {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.count == 2, text.utf8.count == 5, text.utf8.allSatisfy({ (0x30...0x3A).contains($0) }),
            let hour = Int(fields[0]), let minute = Int(fields[1]), hour < 24, minute < 60
        else { return nil }
        self.init(hour: hour, minute: minute)
    }

    package var description: String {
        [hour, minute].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }
}
