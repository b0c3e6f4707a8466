import CLibCrypto

/// An incremental SHA-256 (FIPS 180-4) over OpenSSL's libcrypto. One instance belongs to one task at a time.
package struct SHA256: ~Copyable {
    private let context: OpaquePointer

    package init() {
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit { EVP_MD_CTX_free(context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The digest of all bytes so far. Further bytes may follow: the state is copied.
    package func digest() -> Digest {
        let copy = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(copy) }
        EVP_MD_CTX_copy_ex(copy, context)
        return Digest { EVP_DigestFinal_ex(copy, $0, nil) }
    }

    package static func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
        Digest { EVP_Digest(bytes.baseAddress, bytes.count, $0, nil, EVP_sha256(), nil) }
    }

    package static func hash(_ bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { hash($0) } }

    /// The digest of the UTF-8 bytes.
    package static func hash(_ text: String) -> Digest { hash(Array(text.utf8)) }

    /// HMAC-SHA-256 (RFC 2104) of a message under a key.
    package static func hmac(key: [UInt8], message: [UInt8]) -> Digest {
        Digest { HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, $0, nil) }
    }
}

/// The 32 bytes of a SHA-256.
package struct Digest: Sendable, Hashable {
    package let bytes: [UInt8]

    init(_ fill: (UnsafeMutablePointer<UInt8>?) -> Void) {
        bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            fill(buffer.baseAddress)
            count = 32
        }
    }

    /// Returns nil unless there are exactly 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// A digest as 64 hexadecimal digits, upper or lower case.
    package init?(hex: some StringProtocol) {
        guard let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes: bytes)
    }

    /// A digest in base64 (RFC 4648), 44 characters.
    package init?(base64: some StringProtocol) {
        let text = Array(base64.utf8)
        // EVP_DecodeBlock also accepts spaces and missing padding; only the output of an encoder is accepted here.
        guard text.count == 44, text.last == UInt8(ascii: "=") else { return nil }
        var decoded = [UInt8](repeating: 0, count: 33)
        guard EVP_DecodeBlock(&decoded, text, 44) == 33 else { return nil }
        self.init(bytes: Array(decoded.prefix(32)))
        guard self.base64 == base64 else { return nil }
    }

    /// Lower-case hexadecimal, 64 characters.
    package var hex: String { Hex.encode(bytes) }

    /// Base64 (RFC 4648), 44 characters.
    package var base64: String {
        var text = [UInt8](repeating: 0, count: 45)
        let length = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix(Int(length)), as: UTF8.self)
    }
}

package enum Hex {
    /// Two lower-case digits a byte.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text of two digits a byte, upper or lower case. Returns nil for any other text.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
