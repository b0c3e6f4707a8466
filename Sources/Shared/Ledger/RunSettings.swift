package import JobModel

/// The settings that decide the bytes of a run's parts, and its limits. They are fixed when the run begins and recorded
/// in its row, so that workers with other settings write the same bytes.
package struct RunSettings: Sendable, Hashable, Codable {
    /// The number of customer buckets.
    package var partitionCount: Int
    /// The maximum number of data rows of a part.
    package var rowsPerPart: Int
    /// Bytes of one piece of a multipart upload.
    package var uploadPieceBytes: Int
    package var compression: Compression
    /// The compression method's own default if nil.
    package var compressionLevel: Int?
    /// The value of `BDA_OUTPUT`.
    package var output: String
    /// The prefix of every key.
    package var outputPrefix: String
    /// Counted attempts at one job, including the first.
    package var maxAttempts: Int
    /// The pause after the first failed attempt; it doubles up to `retryMaxSeconds`.
    package var retryBaseSeconds: Int
    package var retryMaxSeconds: Int
    package var jobTimeoutSeconds: Int

    package init(
        partitionCount: Int, rowsPerPart: Int, uploadPieceBytes: Int, compression: Compression,
        compressionLevel: Int?, output: String, outputPrefix: String, maxAttempts: Int, retryBaseSeconds: Int,
        retryMaxSeconds: Int, jobTimeoutSeconds: Int
    ) {
        self.partitionCount = partitionCount
        self.rowsPerPart = rowsPerPart
        self.uploadPieceBytes = uploadPieceBytes
        self.compression = compression
        self.compressionLevel = compressionLevel
        self.output = output
        self.outputPrefix = outputPrefix
        self.maxAttempts = maxAttempts
        self.retryBaseSeconds = retryBaseSeconds
        self.retryMaxSeconds = retryMaxSeconds
        self.jobTimeoutSeconds = jobTimeoutSeconds
    }
}
