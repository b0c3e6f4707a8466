import JobModel
import Testing

@Suite struct JobGraphTests {
    private func segment(
        _ name: String, _ kind: SegmentKind = .`init`, needs: [String] = [], split: SegmentSplit = .bucket
    ) throws -> Segment {
        Segment(
            name: try SegmentName(name), kind: kind, needs: try needs.map { try SegmentName($0) }, split: split,
            reads: .run)
    }

    private func sample() throws -> [Segment] {
        [
            try segment("tripica.base", split: .none),
            try segment("tripica.data", needs: ["tripica.base"]),
            try segment("tripica.charges", .archive, needs: ["tripica.data"]),
            try segment("bookkeeper.data"),
            try segment("oibl.data", needs: ["tripica.data", "bookkeeper.data"]),
            try segment("oibl.customer", .archive, needs: ["oibl.data"]),
            try segment("tripica.loads", .precheck, split: .none),
        ]
    }

    @Test func needsHoldAtPartitionGrainWhereBothAreSplitByBucket() throws {
        let graph = JobGraph(segments: try sample(), systems: ["tripica", "bookkeeper"], partitionCount: 16)
        #expect(graph.jobCount == 5 * 16 + 1)
        let samePartition = Dictionary(
            uniqueKeysWithValues: graph.needs.map { ("\($0.segment) \($0.needs)", $0.isSamePartition) })
        #expect(
            samePartition == [
                "tripica.data tripica.base": false, "tripica.charges tripica.data": true,
                "oibl.data tripica.data": true, "oibl.data bookkeeper.data": true, "oibl.customer oibl.data": true,
            ])
    }

    @Test func orderFollowsNeeds() throws {
        let graph = JobGraph(segments: try sample().reversed(), systems: ["tripica", "bookkeeper"], partitionCount: 1)
        let position = Dictionary(uniqueKeysWithValues: graph.segments.enumerated().map { ($1.name, $0) })
        for need in graph.needs { #expect(position[need.needs]! < position[need.segment]!) }
    }

    @Test func oiblRunsOnlyWithAllThatItNeeds() throws {
        let one = JobGraph(segments: try sample(), systems: ["tripica"], partitionCount: 2)
        #expect(Set(one.segments.map(\.name.system)) == ["tripica"])
        let both = JobGraph(segments: try sample(), systems: ["tripica", "bookkeeper"], partitionCount: 2)
        #expect(Set(both.segments.map(\.name.system)) == ["tripica", "bookkeeper", "oibl"])
    }

    @Test func aSegmentThatIsNotSplitHasOneJob() throws {
        let graph = JobGraph(
            segments: [try segment("tripica.a", split: .none)], systems: ["tripica"], partitionCount: 16)
        #expect(graph.jobCount == 1)
    }

    @Test func allProblemsAreNamed() throws {
        let problems = JobGraph.problems(in: [
            try segment("tripica.a", needs: ["tripica.b"]), try segment("tripica.b", needs: ["tripica.c"]),
            try segment("tripica.c", needs: ["tripica.a", "tripica.gone"]), try segment("tripica.d"),
            try segment("tripica.d"),
            try segment("tripica.e", needs: ["tripica.check"]), try segment("tripica.check", .precheck, split: .none),
        ])
        #expect(problems.count == 4)
        #expect(problems.contains { $0.contains("tripica.gone") && $0.contains("no script declares") })
        #expect(problems.contains { $0.contains("cycle: tripica.a, tripica.b, tripica.c") })
        #expect(problems.contains { $0.contains("'tripica.d' is declared 2 times") })
        #expect(problems.contains { $0.contains("only init and archive segments can be needed") })
    }
}
