import CLibCrypto

/// An incremental SHA-256 (FIPS 180-4) over OpenSSL's libcrypto. One instance belongs to one task at a time.
public struct SHA256: ~Copyable {
    private let context: OpaquePointer

    public init() {
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Adds bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The digest of all bytes so far. Further bytes may follow: the state is copied.
    public func digest() -> Digest {
        let copy = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(copy) }
        EVP_MD_CTX_copy_ex(copy, context)
        return Digest { EVP_DigestFinal_ex(copy, $0, nil) }
    }

    /// The digest of one block of bytes.
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
        Digest { EVP_Digest(bytes.baseAddress, bytes.count, $0, nil, EVP_sha256(), nil) }
    }

    /// The digest of one block of bytes.
    public static func hash(_ bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { hash($0) } }

    /// The digest of a text's UTF-8 bytes.
    public static func hash(_ text: String) -> Digest { hash(Array(text.utf8)) }

    /// HMAC-SHA-256 (RFC 2104) of a message under a key.
    public static func hmac(key: [UInt8], message: [UInt8]) -> Digest {
        Digest { HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, $0, nil) }
    }
}

/// The 32 bytes of a SHA-256.
public struct Digest: Sendable, Hashable {
    /// The bytes, in order.
    public let bytes: [UInt8]

    init(_ fill: (UnsafeMutablePointer<UInt8>?) -> Void) {
        bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            fill(buffer.baseAddress)
            count = 32
        }
    }

    /// Lower-case hexadecimal, 64 characters.
    public var hex: String { Hex.encode(bytes) }
}

/// Hexadecimal text of bytes.
public enum Hex {
    /// Two lower-case digits a byte.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
