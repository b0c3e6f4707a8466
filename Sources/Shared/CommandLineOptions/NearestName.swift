/// Finds the name that a mistyped name most likely stands for.
package enum NearestName {
    /// The candidate nearest to `name`, if at most a third of the name is wrong. Letter case and `-` for `_` are
    /// ignored.
    package static func find(_ name: String, among candidates: some Sequence<String>) -> String? {
        let wanted = folded(name)
        let limit = max(1, wanted.count / 3)
        var best: (distance: Int, candidate: String)?
        for candidate in candidates {
            let distance = distance(wanted, folded(candidate))
            if distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
        }
        return best?.candidate
    }

    private static func folded(_ name: String) -> [UInt8] {
        name.lowercased().utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
    }

    /// The number of single-character insertions, deletions, replacements and swaps of neighbours that turn one into the
    /// other (the "optimal string alignment" distance).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for i in left.indices {
            var current = [i + 1]
            for j in right.indices {
                let replaced = previous[j] + (left[i] == right[j] ? 0 : 1)
                var cheapest = min(replaced, previous[j + 1] + 1, current[j] + 1)
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    cheapest = min(cheapest, beforePrevious[j - 1] + 1)
                }
                current.append(cheapest)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
