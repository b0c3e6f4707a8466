import JobModel
import Ledger
import Testing

@testable import Coordinator

/// What differs from the datasets that were published last.
@Suite struct SchemaDriftTests {
    private static func columns(_ names: String...) -> [DatasetColumn] {
        names.map { DatasetColumn(name: $0, type: "text") }
    }

    private static func published(_ name: String, order: Int, _ columns: [DatasetColumn]) throws -> PublishedDataset {
        var generator = SystemRandomNumberGenerator()
        return PublishedDataset(
            name: try SegmentName(name), runID: RunID(millisecondsSince1970: Int64(order), using: &generator),
            order: order,
            columns: columns)
    }

    private func drifts(
        of datasets: [String: [DatasetColumn]], after published: [PublishedDataset], systems: [String] = ["a", "b"],
        isCompleteSet: Bool = true
    ) throws -> [String] {
        var run = RunRecord.example()
        run.systems = systems
        run.isCompleteSet = isCompleteSet
        return SchemaDriftCheck(published: published).drifts(
            of: try datasets.sorted { $0.key < $1.key }.map { (try SegmentName($0.key), $0.value) }, in: run
        ).map(\.reason)
    }

    @Test func aChangedColumnIsFoundAlsoIfOtherRunsCameBetween() throws {
        // Run 1 published both systems, run 2 only b.
        let published = [
            try Self.published("a.one", order: 1, Self.columns("k", "x")),
            try Self.published("b.two", order: 2, Self.columns("k")),
        ]
        let found = try drifts(
            of: ["a.one": Self.columns("k", "y"), "b.two": Self.columns("k")], after: published)
        #expect(found.count == 1)
        #expect(found[0].contains("a.one") && found[0].contains("from (k text, x text) to (k text, y text)"))
    }

    @Test func aDatasetThatIsGoneIsDrift() throws {
        let published = [
            try Self.published("a.one", order: 1, Self.columns("k")),
            try Self.published("a.two", order: 1, Self.columns("k")),
        ]
        let found = try drifts(of: ["a.one": Self.columns("k")], after: published)
        #expect(found.count == 1 && found[0].contains("the dataset a.two"))
    }

    @Test func aDatasetThatWasAcceptedAsGoneIsNotMissedAgain() throws {
        let published = [
            try Self.published("a.one", order: 2, Self.columns("k")),
            try Self.published("a.two", order: 1, Self.columns("k")),
        ]
        #expect(try drifts(of: ["a.one": Self.columns("k")], after: published).isEmpty)
    }

    @Test func aRunOfFewerSystemsMissesNothingOfTheOthers() throws {
        let published = [
            try Self.published("a.one", order: 1, Self.columns("k")),
            try Self.published("b.two", order: 1, Self.columns("k")),
        ]
        #expect(
            try drifts(
                of: ["a.one": Self.columns("k")], after: published, systems: ["a"], isCompleteSet: false
            ).isEmpty)
    }

    @Test func aNewDatasetIsNoDrift() throws {
        #expect(try drifts(of: ["a.new": Self.columns("k")], after: []).isEmpty)
    }
}
