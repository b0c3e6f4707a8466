import CZlib
import CZstd

package enum CompressionFormat: String, Sendable, Hashable, CaseIterable {
    /// gzip (RFC 1952): read by every tool.
    case gzip
    /// Zstandard (RFC 8878): smaller and several times faster than gzip.
    case zstd

    /// The useful levels, fastest first. zstd's levels below 1 and above 19 are left out: the former hardly compress,
    /// the latter need hundreds of megabytes.
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

/// Bytes that cannot be compressed or decompressed. A retry is of no use, because the same bytes fail again.
package struct CompressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// `compress` or `decompress`.
    package let operation: String
    package let format: CompressionFormat
    /// The code of zlib (`Z_DATA_ERROR` is -3) or zstd; 0 if this module found the fault.
    package let code: Int
    /// The text of the library, if it reported the fault.
    package let reason: String

    package var isRetryable: Bool { false }

    /// Holds no data.
    package var description: String { "unable to \(operation) \(format.rawValue): \(reason)" }

    static func zlib(_ operation: String, _ code: Int32) -> CompressionError {
        CompressionError(operation: operation, format: .gzip, code: Int(code), reason: String(cString: zError(code)))
    }

    static func zstd(_ operation: String, _ code: Int) -> CompressionError {
        CompressionError(
            operation: operation, format: .zstd, code: code, reason: String(cString: ZSTD_getErrorName(code)))
    }
}
