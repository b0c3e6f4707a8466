/// The jobs of a run and the segments that each segment waits for, derived from the segments' headers alone.
///
/// Needs hold for each partition: if both segments are split by bucket, bucket 7 waits for bucket 7 only. Otherwise a
/// job waits for all jobs of the segment that it needs.
package struct JobGraph: Sendable, Hashable {
    package struct Need: Sendable, Hashable {
        package var segment: SegmentName
        package var needs: SegmentName
        /// Whether bucket n waits for bucket n only.
        package var isSamePartition: Bool
    }

    /// The job segments, each after those that it needs.
    package let segments: [Segment]
    package let needs: [Need]
    /// The number of jobs of each split segment.
    package let partitionCount: Int

    /// The graph of the init and archive segments of the chosen systems.
    ///
    /// - Parameters:
    ///   - segments: all segments of the scripts, checked by `problems(in:)`.
    ///   - systems: the systems to run. `oibl` is added if a run has every system that its segments need.
    ///   - partitionCount: at least 1.
    package init(segments: [Segment], systems: Set<String>, partitionCount: Int) {
        let chosen = Self.selected(segments, systems: systems).filter(\.kind.isJob)
        let byName = Dictionary(uniqueKeysWithValues: chosen.map { ($0.name, $0) })
        self.segments = Self.ordered(chosen)
        self.partitionCount = partitionCount
        needs = self.segments.flatMap { segment in
            segment.needs.compactMap { name in
                byName[name].map {
                    Need(
                        segment: segment.name, needs: name,
                        isSamePartition: segment.split == .bucket && $0.split == .bucket)
                }
            }
        }
    }

    /// The segments of the chosen systems. `oibl`, which combines the others, is included if all systems are chosen
    /// that any of its segments needs, directly or indirectly.
    package static func selected(_ segments: [Segment], systems: Set<String>) -> [Segment] {
        var systems = systems
        let combined = segments.filter { $0.name.system == combiningSystem }
        let byName = Dictionary(segments.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var required: Set<String> = []
        var open = combined.flatMap(\.needs)
        var seen: Set<SegmentName> = []
        while let name = open.popLast() {
            guard seen.insert(name).inserted, let segment = byName[name] else { continue }
            required.insert(name.system)
            open += segment.needs
        }
        if required.subtracting([combiningSystem]).isSubset(of: systems) {
            systems.insert(combiningSystem)
        } else {
            systems.remove(combiningSystem)
        }
        return segments.filter { systems.contains($0.name.system) }
    }

    /// The system that combines the others.
    package static let combiningSystem = "oibl"

    package func jobCount(of segment: Segment) -> Int { segment.split == .none ? 1 : partitionCount }

    package var jobCount: Int { segments.reduce(0) { $0 + jobCount(of: $1) } }

    /// All problems of a set of segments: names declared twice, unknown needs, needs of segments without jobs, cycles. Each
    /// sentence names the segment.
    package static func problems(in segments: [Segment]) -> [String] {
        var problems: [String] = []
        let byName = Dictionary(segments.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (name, same) in Dictionary(grouping: segments, by: \.name) where same.count > 1 {
            problems.append("segment '\(name)' is declared \(same.count) times")
        }
        for segment in segments {
            for need in segment.needs {
                guard let needed = byName[need] else {
                    problems.append("segment '\(segment.name)' needs '\(need)', which no script declares")
                    continue
                }
                if !needed.kind.isJob {
                    problems.append(
                        "segment '\(segment.name)' needs '\(need)', which is a \(needed.kind.rawValue); only init and archive segments can be needed"
                    )
                }
            }
        }
        let jobs = segments.filter(\.kind.isJob)
        let cyclic = Set(jobs.map(\.name)).subtracting(ordered(jobs).map(\.name))
        if !cyclic.isEmpty {
            problems.append(
                "segments need each other in a cycle: \(cyclic.sorted().map(\.description).joined(separator: ", "))")
        }
        return problems.sorted()
    }

    /// Kahn's algorithm, ties in order of name, so that the same scripts always give the same order. Segments of a cycle
    /// are left out.
    private static func ordered(_ segments: [Segment]) -> [Segment] {
        let names = Set(segments.map(\.name))
        var waiting = segments.sorted { $0.name < $1.name }
        var done: Set<SegmentName> = []
        var order: [Segment] = []
        while true {
            let ready = waiting.filter { segment in
                segment.needs.allSatisfy { done.contains($0) || !names.contains($0) }
            }
            if ready.isEmpty { return order }
            order += ready
            done.formUnion(ready.map(\.name))
            waiting.removeAll { done.contains($0.name) }
        }
    }
}
