/// The two ways in which a value becomes part of a statement. No other code puts text into SQL.
///
/// Both are valid for sessions with `standard_conforming_strings` on and client encoding UTF-8, to which every session
/// of this module is pinned. They work on bytes: for Swift, a quote and a following accent are one character, which is
/// no quote, and for the server they are two.
package enum SQL {
    /// A quoted identifier, as libpq's `PQescapeIdentifier` writes it.
    package static func identifier(_ name: String) -> String {
        precondition(!name.utf8.contains(0), "an identifier cannot hold a zero byte")
        return "\"" + preceding("\"", with: "\"", in: name) + "\""
    }

    /// A quoted literal, as libpq's `PQescapeLiteral` writes it: with backslashes it takes the E'' form.
    package static func literal(_ text: String) -> String {
        precondition(!text.utf8.contains(0), "a literal cannot hold a zero byte")
        let quoted = preceding("'", with: "'", in: text)
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return "'" + quoted + "'" }
        return " E'" + preceding("\\", with: "\\", in: quoted) + "'"
    }

    /// An array literal of texts for a `text[]` parameter.
    package static func array(_ texts: [String]) -> String {
        "{"
            + texts.map { "\"" + preceding("\\\"", with: "\\", in: $0) + "\"" }.joined(separator: ",") + "}"
    }

    /// The text with a byte in front of each byte that is in `special`; all of them are ASCII.
    private static func preceding(_ special: StaticString, with escape: Unicode.Scalar, in text: String) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        special.withUTF8Buffer { special in
            for byte in text.utf8 {
                if special.contains(byte) { bytes.append(UInt8(ascii: escape)) }
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
