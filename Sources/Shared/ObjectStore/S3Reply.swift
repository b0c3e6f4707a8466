import Foundation
import FoundationXML

/// An element of an S3 or STS reply.
struct XMLElement {
    let name: String
    fileprivate(set) var text = ""
    fileprivate(set) var children: [XMLElement] = []

    /// The first child of that name.
    subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

    /// All children of that name.
    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// Reads a reply; nil when it is not well-formed XML, or holds what no such reply holds: a document type (which may
    /// define entities that unfold without end) or elements nested deeper than a reply's.
    static func parse(_ bytes: [UInt8]) -> XMLElement? {
        let document = Data(bytes)
        guard document.range(of: Data("<!DOCTYPE".utf8)) == nil else { return nil }
        let reader = Reader()
        let parser = XMLParser(data: document)
        parser.shouldResolveExternalEntities = false
        parser.delegate = reader
        guard parser.parse() else { return nil }
        return reader.root
    }

    private final class Reader: NSObject, XMLParserDelegate {
        private static let maximumDepth = 16
        private var open: [XMLElement] = []
        private(set) var root: XMLElement?

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            if open.count == Self.maximumDepth { parser.abortParsing() }
            open.append(XMLElement(name: name))
        }

        func parser(_ parser: XMLParser, foundCharacters text: String) {
            if !open.isEmpty { open[open.count - 1].text += text }
        }

        func parser(
            _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
        ) {
            guard let element = open.popLast() else { return }
            if open.isEmpty { root = element } else { open[open.count - 1].children.append(element) }
        }
    }
}

/// What S3 says of a fault: `<Error><Code>…</Code><Message>…</Message>…</Error>`.
struct S3Fault: Hashable {
    let code: String
    let message: String

    /// The fault in a reply's body; nil when it holds none. STS wraps it in `<ErrorResponse>`.
    init?(_ body: [UInt8]) {
        // Most good replies are empty; only what may be XML is parsed.
        guard body.contains(UInt8(ascii: "<")), let root = XMLElement.parse(body) else { return nil }
        let wrapped = root.name == "ErrorResponse" ? root["Error"] : root
        guard let error = wrapped, error.name == "Error", let code = error["Code"]?.text, !code.isEmpty else {
            return nil
        }
        self.code = Self.clip(code, to: 64)
        message = Self.clip(error["Message"]?.text ?? "", to: 300)
    }

    /// A text from the wire, made fit for a log line.
    private static func clip(_ text: String, to limit: Int) -> String {
        let printable = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
        return String(printable.prefix(limit)).trimmingCharacters(in: .whitespaces)
    }
}

extension Date {
    /// A time as AWS writes it (ISO 8601, UTC), with or without fractions of a second.
    init?(aws text: String) {
        guard let date = try? Date(text.replacing(/\.[0-9]+/, with: ""), strategy: .iso8601) else { return nil }
        self = date
    }
}
