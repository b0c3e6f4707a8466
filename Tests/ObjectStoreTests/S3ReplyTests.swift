import Bytes
import Testing

@testable import ObjectStore

@Suite struct S3ReplyTests {
    @Test func `each request has a limit that its bytes fit into`() {
        let small = S3Request(method: .head, operation: "head", key: "k")
        #expect(small.totalLimit == .seconds(121))
        let piece = S3Request(
            method: .put, operation: "put", key: "k", body: ByteBuffer([UInt8](repeating: 0, count: 8 << 20)))
        #expect(piece.totalLimit == .seconds(120 + 128))
    }

    @Test(arguments: ["<a></b>", "<a><b></a>", "<a/><a/>", "<a>", "<!DOCTYPE a><a/>", "<a/>\0", "<a><b x></b></a>"])
    func `what is not well-formed XML is no reply`(_ body: String) {
        #expect(XMLElement.parse(Array(body.utf8)) == nil)
    }

    @Test func `what is not UTF-8 is no reply`() {
        #expect(XMLElement.parse([0x3C, 0xC9] + Array("Tok".utf8)) == nil)
        #expect(XMLElement.parse([0xFF, 0xFE] + "<a/>".utf8.flatMap { [$0, 0] }) == nil)
        #expect(XMLElement.parse(Array("<ä/>".utf8))?.name == "ä")
    }

    @Test func `a fault is short and on one line`() throws {
        let long = String(repeating: "e\u{301}\n", count: 1000)
        let fault = try #require(S3Fault(Array("<Error><Code>C</Code><Message>\(long)</Message></Error>".utf8)))
        #expect(fault.message.unicodeScalars.count <= 300 && !fault.message.contains("\n"))
        #expect(S3Fault(Array("<Error><Code> \t</Code></Error>".utf8)) == nil)
    }
}
