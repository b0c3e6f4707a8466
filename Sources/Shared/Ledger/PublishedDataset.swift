package import JobModel

/// A dataset as the newest run that holds it published it.
package struct PublishedDataset: Sendable, Hashable {
    package var name: SegmentName
    package var runID: RunID
    /// Grows with the time of publication; equal for the datasets of one run.
    package var order: Int
    package var columns: [DatasetColumn]

    package init(name: SegmentName, runID: RunID, order: Int, columns: [DatasetColumn]) {
        self.name = name
        self.runID = runID
        self.order = order
        self.columns = columns
    }
}
