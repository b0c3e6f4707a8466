import TestSupport

/// Makes inputs from those of a corpus, always the same ones. It is not guided by coverage: `CoverageGuidedFuzzing` is.
struct Mutator {
    private var generator: SplitMix64
    private let corpus: [[UInt8]]
    private let words: [[UInt8]]

    init(corpus: [[UInt8]], words: [String], seed: UInt64) {
        self.corpus = corpus.isEmpty ? [[]] : corpus
        self.words = words.map { Array($0.utf8) }
        generator = SplitMix64(seed: seed)
    }

    mutating func next() -> [UInt8] {
        var input = pick(corpus)
        for _ in 0..<Int.random(in: 1...4, using: &generator) { mutate(&input) }
        return Array(input.prefix(4096))
    }

    private mutating func mutate(_ input: inout [UInt8]) {
        switch Int.random(in: 0..<8, using: &generator) {
        case 0 where !input.isEmpty:
            input[index(in: input)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1 where !input.isEmpty:
            input[index(in: input)] = UInt8.random(in: .min ... .max, using: &generator)
        case 2 where !input.isEmpty:
            let start = index(in: input)
            input.removeSubrange(start..<min(input.count, start + Int.random(in: 1...16, using: &generator)))
        case 3 where !input.isEmpty:
            // A piece once more, elsewhere.
            let start = index(in: input)
            let piece = Array(input[start..<min(input.count, start + Int.random(in: 1...32, using: &generator))])
            insert(piece, into: &input)
        case 4:
            let other = pick(corpus)
            if other.isEmpty { break }
            let start = index(in: other)
            insert(Array(other[start...].prefix(Int.random(in: 1...64, using: &generator))), into: &input)
        case 5: insert([UInt8.random(in: .min ... .max, using: &generator)], into: &input)
        default:
            if words.isEmpty { break }
            insert(pick(words), into: &input)
        }
    }

    private mutating func pick(_ choices: [[UInt8]]) -> [UInt8] { choices.randomElement(using: &generator)! }

    private mutating func index(in input: [UInt8]) -> Int { Int.random(in: 0..<input.count, using: &generator) }

    private mutating func insert(_ piece: [UInt8], into input: inout [UInt8]) {
        input.insert(contentsOf: piece, at: Int.random(in: 0...input.count, using: &generator))
    }
}
