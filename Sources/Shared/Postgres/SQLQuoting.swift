/// The two ways in which a value becomes part of a statement. Nothing else puts text into SQL.
///
/// Both are valid for any session with `standard_conforming_strings` on, which every session of ours is pinned to, and
/// for client encoding UTF-8.
public enum SQL {
    /// A quoted identifier, as libpq's `PQescapeIdentifier` writes it.
    public static func identifier(_ name: String) -> String {
        precondition(!name.utf8.contains(0), "an identifier cannot hold a zero byte")
        return "\"" + name.replacing("\"", with: "\"\"") + "\""
    }

    /// A quoted literal, as libpq's `PQescapeLiteral` writes it: with backslashes it takes the E'' form.
    public static func literal(_ text: String) -> String {
        precondition(!text.utf8.contains(0), "a literal cannot hold a zero byte")
        let quoted = text.replacing("'", with: "''")
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return "'" + quoted + "'" }
        return " E'" + quoted.replacing("\\", with: "\\\\") + "'"
    }

    /// An array literal of texts for a `text[]` parameter.
    public static func array(_ texts: [String]) -> String {
        "{"
            + texts.map { "\"" + $0.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\"" }
            .joined(separator: ",") + "}"
    }
}
