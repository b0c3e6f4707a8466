import Bytes
import Testing

@Suite struct DigestTests {
    // FIPS 180-4 examples.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `a text has its published digest`(text: String, hex: String) {
        #expect(SHA256.hash(text).hex == hex)
    }

    @Test func `pieces give the digest of the whole, and the state lives on`() {
        var hash = SHA256()
        Array("ab".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.digest() == SHA256.hash("ab"))
        Array("c".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.digest() == SHA256.hash("abc"))
    }

    // RFC 4231, test cases 1, 2 and 6.
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0b, count: 20), "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func `HMAC gives the published codes`(key: [UInt8], message: String, hex: String) {
        #expect(SHA256.hmac(key: key, message: Array(message.utf8)).hex == hex)
    }

    @Test func `a digest survives each of its texts`() throws {
        let digest = SHA256.hash("abc")
        #expect(digest.base64 == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
        #expect(Digest(base64: digest.base64) == digest)
        #expect(Digest(hex: digest.hex) == digest)
        #expect(Digest(hex: digest.hex.uppercased()) == digest)
        #expect(Digest(bytes: digest.bytes) == digest)
    }

    @Test(arguments: ["", "0", "zz", String(repeating: "0", count: 62), String(repeating: "0", count: 66)])
    func `what is no digest in hexadecimal is refused`(text: String) {
        #expect(Digest(hex: text) == nil)
    }

    @Test(arguments: [
        "", "AAAA", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=-2", " ngWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa==",
    ])
    func `what is no digest in base64 is refused`(text: String) {
        #expect(Digest(base64: text) == nil)
    }

    @Test func `hexadecimal goes both ways`() {
        #expect(Hex.encode([0x00, 0x0f, 0xf0, 0xff]) == "000ff0ff")
        #expect(Hex.decode("000FF0ff") == [0x00, 0x0f, 0xf0, 0xff])
        #expect(Hex.decode("") == [])
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }
}
