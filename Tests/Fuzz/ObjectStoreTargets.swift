import Foundation

@testable import ObjectStore

extension FuzzTarget {
    /// The body of a reply of S3.
    static let s3Reply = FuzzTarget(
        name: "s3-reply",
        words: [
            "<Error>", "</Error>", "<Code>", "</Code>", "<Message>", "</Message>", "<ListBucketResult>",
            "</ListBucketResult>", "<Contents>", "</Contents>", "<Key>", "</Key>", "<Size>", "</Size>", "<ETag>",
            "<IsTruncated>true</IsTruncated>", "<NextContinuationToken>", "<ListMultipartUploadsResult>", "<Upload>",
            "</Upload>", "<UploadId>", "<Initiated>", "<NextKeyMarker>", "2026-04-01T03:15:00.123Z", "<!DOCTYPE a [",
            "<!ENTITY a \"aaaaaaaaaaaaaaaa\">", "&a;", "&#1114111;", "&amp;", "<![CDATA[", "]]>",
            "<?xml version=\"1.0\"",
            " encoding=\"UTF-16\"", " encoding=\"UTF-7\"", "?>", "<a>", "</a>", "%2F", "%", "\u{FEFF}", "\u{0}",
        ]
    ) { input in
        if let root = XMLElement.parse(input) {
            try hold(depth(of: root) <= 16, "elements are nested 16 deep at most")
            try hold(textBytes(of: root) <= 2 * input.count, "a text does not grow when it is read")
            if let page = try? ObjectPage(root) {
                try hold(page.objects.allSatisfy { $0.size >= 0 }, "no object has less than no bytes")
                try hold(page.next == nil || page.next?.isEmpty == false, "a next page begins somewhere")
                for object in page.objects { try checkKey(object.fullKey) }
            }
            if let page = try? UploadPage(root) {
                try hold(page.uploads.allSatisfy { !$0.id.isEmpty }, "each upload has an id")
            }
        }
        if let fault = S3Fault(input) {
            try hold(!fault.code.isEmpty, "a fault has a code")
            try hold(
                fault.code.unicodeScalars.count <= 64 && fault.message.unicodeScalars.count <= 300, "a fault is short")
            try holdLoggable(fault.code, most: 256)
            try holdLoggable(fault.message, most: 1200)
        }
        let reply = HTTPReply(
            status: 400 + (input.first.map(Int.init) ?? 0) % 200,
            headers: ["x-amz-request-id": input.text, "x-amz-bucket-region": input.text], body: input)
        let error = ObjectStoreError(reply, fault: S3Fault(input), "get", "s3://bucket/key")
        try holdLoggable(error.description, most: 2400)
        if let hint = error.hint { try holdLoggable(hint, most: 400) }
        if let date = Date(aws: input.text) { _ = date.addingTimeInterval(-900) }
    }

    private static func depth(of element: XMLElement) -> Int { 1 + (element.children.map(depth).max() ?? 0) }

    private static func textBytes(of element: XMLElement) -> Int {
        element.children.reduce(element.text.utf8.count + element.name.utf8.count) { $0 + textBytes(of: $1) }
    }

    /// Whatever a listing says, a key that is taken from it stays below the store's own prefix.
    private static func checkKey(_ full: String) throws {
        let space = try ObjectKeySpace(prefix: "billing")
        guard let key = space.key(ofFull: full) else { return }
        try hold(try Array(space.fullKey(key).utf8) == Array(full.utf8), "a full key is prefix and key")
        try hold(full.utf8.count <= ObjectKeySpace.maximumBytes, "a key has at most 1024 bytes")
        try hold(
            !full.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).contains {
                $0.isEmpty || $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8)
            }, "a key stays below its prefix")
    }

    /// A text as an address, a prefix, a key and a percent-encoded text.
    static let places = FuzzTarget(
        name: "places",
        words: [
            "s3://", "file://", "https://", "http://", "/", "..", "%2e", "%2F", "%", "?", "#", "@", ":", "[::1]",
            "127.0.0.1",
            "localhost", ":99999", "\u{301}", "+",
        ]
    ) { input in
        let text = input.text
        try checkKey(text)
        if let decoded = PercentEncoding.decode(text) {
            let encoded = PercentEncoding.encode(decoded)
            try hold(
                PercentEncoding.decode(encoded).map { Array($0.utf8) } == Array(decoded.utf8),
                "decoding undoes encoding")
        }
        try hold(
            PercentEncoding.decode(PercentEncoding.encode(text, keeping: "/"), plus: true).map { Array($0.utf8) }
                == Array(text.utf8), "decoding undoes encoding")
        if let server = HTTPServer(url: text) {
            try hold(HTTPServer(url: server.url) == server, "a server's address is read again")
            try hold(server.url.utf8.allSatisfy { $0 > 0x20 }, "an address holds no white space")
        }
        if let space = try? ObjectKeySpace(prefix: text) {
            try hold(space.key(ofFull: try space.fullKey("a/b")) == "a/b", "a key is found below its prefix")
        }
    }

    /// The answers of STS, of a container's and of an instance's service.
    static let credentials = FuzzTarget(
        name: "credentials",
        words: [
            "{\"AccessKeyId\":\"", "\",\"SecretAccessKey\":\"", "\",\"Token\":\"", "\",\"Expiration\":\"", "\"}",
            "null",
            "2026-04-01T03:15:00Z", "99999-12-31T23:59:60Z", "<AssumeRoleWithWebIdentityResponse>",
            "<AssumeRoleWithWebIdentityResult>", "<Credentials>", "<AccessKeyId>", "</AccessKeyId>",
            "<SecretAccessKey>",
            "</SecretAccessKey>", "<SessionToken>", "<Expiration>", "\\n", "\\u0000", "\u{301}",
        ]
    ) { input in
        let reply = HTTPReply(status: 200, headers: [:], body: input)
        let isXML = input.contains(UInt8(ascii: "<"))
        do {
            let found =
                isXML
                ? try WebIdentityCredentials.credentials(in: reply, "web identity")
                : try MetadataCredentials.parse(reply, "container")
            let parts = [found.accessKeyID, found.secretAccessKey] + (found.sessionToken.map { [$0] } ?? [])
            for part in parts {
                try hold(
                    !part.isEmpty && part.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f },
                    "credentials can stand in a header")
            }
            var dumped = ""
            dump(found, to: &dumped)
            for text in ["\(found)", String(reflecting: found), dumped] where found.secretAccessKey.utf8.count > 24 {
                try hold(!text.contains(found.secretAccessKey), "credentials print without their secrets")
            }
        } catch let error as ObjectStoreError {
            try holdLoggable(error.description, most: 300)
            try hold(error.kind == .credentials, "a failure is one of credentials")
        }
    }

    /// A shared file of AWS.
    static let profile = FuzzTarget(
        name: "profile",
        words: [
            "[default]\n", "[profile x]\n", "aws_access_key_id = ", "aws_secret_access_key=", "\n", "\r\n", " #", " ;",
            "#", "[",
            "]", "=", "\t", " ", "\u{2028}", "\u{85}", "\u{A0}", "\u{301}", "\u{FEFF}",
        ]
    ) { input in
        let file = ProfileFile(input.text)
        for (name, values) in file.sections {
            try hold(!name.contains(where: \.isNewline), "a section's name is one line")
            for (key, value) in values {
                try hold(!(key + value).contains(where: \.isNewline), "a value is one line")
            }
        }
        // Nothing else can stand in credentials; to Swift, a sign with an accent is another character.
        guard input.allSatisfy({ $0 < 0x80 }) else { return }
        let written = file.sections.map { name, values in
            "[\(name)]\n" + values.map { "\($0.key)=\($0.value)\n" }.joined()
        }
        try hold(ProfileFile(written.joined()).sections == file.sections, "a file that is written again says the same")
    }
}
