import JobModel
package import Ledger

extension RunSettings {
    /// Small files, no compression, short pauses.
    package static func test(partitionCount: Int, maxAttempts: Int) -> RunSettings {
        RunSettings(
            partitionCount: partitionCount, rowsPerPart: 10, uploadPieceBytes: 5 << 20, compression: .none,
            compressionLevel: nil, output: "file:///x", outputPrefix: "billing", maxAttempts: maxAttempts,
            retryBaseSeconds: 1, retryMaxSeconds: 1, jobTimeoutSeconds: 60)
    }
}
