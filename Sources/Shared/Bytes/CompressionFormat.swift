import CZlib
import CZstd

/// How the bytes of a file are compressed.
package enum CompressionFormat: String, Sendable, Hashable, CaseIterable {
    /// gzip (RFC 1952): read by every tool.
    case gzip
    /// Zstandard (RFC 8878): smaller and several times faster than gzip.
    case zstd

    /// The levels that mean something, fastest first. zstd's levels below 1 and above 19 are left out: the former hardly
    /// compress, the latter take hundreds of megabytes.
    package var levels: ClosedRange<Int> {
        switch self {
        case .gzip: 1...9
        case .zstd: 1...19
        }
    }

    /// The library's own default level.
    package var defaultLevel: Int {
        switch self {
        case .gzip: 6
        case .zstd: 3
        }
    }
}

/// Why bytes could not be compressed or decompressed. Never worth a second try: the same bytes fail again.
package struct CompressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was being done: `compress` or `decompress`.
    package let operation: String
    /// The format in use.
    package let format: CompressionFormat
    /// The code of zlib (`Z_DATA_ERROR` is -3) or zstd; 0 when the fault was found here.
    package let code: Int
    /// The cause in the library's words.
    package let reason: String

    /// Always false.
    package var isRetryable: Bool { false }

    /// What failed and why; holds no data.
    package var description: String { "unable to \(operation) \(format.rawValue): \(reason)" }

    static func zlib(_ operation: String, _ code: Int32) -> CompressionError {
        CompressionError(operation: operation, format: .gzip, code: Int(code), reason: String(cString: zError(code)))
    }

    static func zstd(_ operation: String, _ code: Int) -> CompressionError {
        CompressionError(
            operation: operation, format: .zstd, code: code, reason: String(cString: ZSTD_getErrorName(code)))
    }
}
