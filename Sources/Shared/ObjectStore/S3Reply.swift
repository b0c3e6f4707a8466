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

    /// Parses a reply. Returns nil if it is not well-formed XML in UTF-8, or holds a document type (which may define
    /// entities that expand without end) or elements nested deeper than a reply's.
    static func parse(_ bytes: [UInt8]) -> XMLElement? {
        // XMLParser traps on a name that is not UTF-8. A zero byte occurs in UTF-16 only, which would hide the document
        // type from the search below.
        guard String(validating: bytes, as: UTF8.self) != nil, !bytes.contains(0) else { return nil }
        let document = Data(bytes)
        guard document.range(of: Data("<!DOCTYPE".utf8)) == nil else { return nil }
        let reader = Reader()
        let parser = XMLParser(data: document)
        parser.shouldResolveExternalEntities = false
        parser.delegate = reader
        guard parser.parse(), reader.isWellFormed else { return nil }
        return reader.root
    }

    private final class Reader: NSObject, XMLParserDelegate {
        private static let maximumDepth = 16
        private var open: [XMLElement] = []
        private(set) var root: XMLElement?
        /// `parse()` is true for some malformed documents, such as `<a></b>`.
        private(set) var isWellFormed = true

        func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) { isWellFormed = false }

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

/// The error in a reply of S3: `<Error><Code>…</Code><Message>…</Message>…</Error>`.
struct S3Fault: Hashable {
    let code: String
    let message: String

    /// The error in a reply's body. Returns nil if there is none. STS wraps it in `<ErrorResponse>`.
    init?(_ body: [UInt8]) {
        // Most successful replies are empty; only a body that may be XML is parsed.
        guard body.contains(UInt8(ascii: "<")), let root = XMLElement.parse(body) else { return nil }
        let wrapped = root.name == "ErrorResponse" ? root["Error"] : root
        guard let error = wrapped, error.name == "Error" else { return nil }
        code = Self.clip(error["Code"]?.text ?? "", to: 64)
        message = Self.clip(error["Message"]?.text ?? "", to: 300)
        if code.isEmpty { return nil }
    }

    /// A text of a reply, shortened and made safe for a log line.
    static func clip(_ text: String, to limit: Int) -> String {
        let printable = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
        return String(printable.prefix(limit)).trimmingCharacters(in: .whitespaces)
    }
}

/// One page of the answer to ListObjectsV2, requested with `encoding-type=url`.
struct ObjectPage {
    let objects: [(fullKey: String, size: Int, etag: String?)]
    /// The beginning of the next page; nil after the last one.
    let next: String?

    init(_ page: XMLElement) throws(BadPage) {
        var objects: [(fullKey: String, size: Int, etag: String?)] = []
        for entry in page.all("Contents") {
            guard let key = entry.decodedKey, let size = entry["Size"].flatMap({ Int($0.text) }), size >= 0 else {
                throw BadPage(reason: "an entry without key or size")
            }
            objects.append((key, size, entry["ETag"]?.text))
        }
        self.objects = objects
        next = page.isTruncated ? try page.text("NextContinuationToken") : nil
    }
}

/// One page of the answer to ListMultipartUploads, requested with `encoding-type=url`.
struct UploadPage {
    let uploads: [(fullKey: String, id: String, startedAt: Date)]
    /// The key and the upload before the next page; nil after the last one.
    let next: (key: String, uploadID: String)?

    init(_ page: XMLElement) throws(BadPage) {
        var uploads: [(fullKey: String, id: String, startedAt: Date)] = []
        for entry in page.all("Upload") {
            guard let key = entry.decodedKey, let id = entry["UploadId"]?.text, !id.isEmpty,
                let startedAt = entry["Initiated"].flatMap({ Date(aws: $0.text) })
            else { throw BadPage(reason: "an entry without key, id or time") }
            uploads.append((key, id, startedAt))
        }
        self.uploads = uploads
        guard page.isTruncated else {
            next = nil
            return
        }
        let key = try page.text("NextKeyMarker")
        next = (PercentEncoding.decode(key, plus: true) ?? key, page["NextUploadIdMarker"]?.text ?? "")
    }
}

/// The reason why a page of a listing cannot be used.
struct BadPage: Error {
    let reason: String
}

extension XMLElement {
    fileprivate var isTruncated: Bool { self["IsTruncated"]?.text == "true" }

    /// The beginning of the next page. It is required, because a listing that ends too early would be taken for
    /// complete.
    fileprivate func text(_ name: String) throws(BadPage) -> String {
        guard let text = self[name]?.text, !text.isEmpty else {
            throw BadPage(reason: "the list is truncated and holds no \(name)")
        }
        return text
    }

    fileprivate var decodedKey: String? { self["Key"].flatMap { PercentEncoding.decode($0.text, plus: true) } }
}

extension Date {
    /// A time as AWS writes it (ISO 8601, UTC), with or without fractions of a second.
    init?(aws text: String) {
        guard let date = try? Date(text.replacing(/\.[0-9]+/, with: ""), strategy: .iso8601) else { return nil }
        self = date
    }
}
