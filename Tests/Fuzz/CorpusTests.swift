import Foundation
import Testing

/// Every target over its stored inputs and some mutations of them; `scripts/dev/fuzz.sh` searches longer.
@Suite struct CorpusTests {
    /// Enough for a second or two a target.
    private static let mutations = 400

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "corpus")

    /// The stored inputs of a target, in order of name.
    private static func inputs(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = folder.appending(path: target.name)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
            ($0, Array(try Data(contentsOf: folder.appending(path: $0))))
        }
    }

    @Test(arguments: FuzzTarget.all) func storedInputsBreakNothing(_ target: FuzzTarget) throws {
        let inputs = try Self.inputs(of: target)
        #expect(!inputs.isEmpty)
        for input in inputs {
            do { try target.check(input.bytes) } catch { Issue.record("corpus/\(target.name)/\(input.name): \(error)") }
        }
    }

    @Test(arguments: FuzzTarget.all) func mutationsOfStoredInputsBreakNothing(_ target: FuzzTarget) throws {
        var mutator = Mutator(corpus: try Self.inputs(of: target).map(\.bytes), words: target.words, seed: 1)
        for number in 0..<Self.mutations {
            let input = mutator.next()
            do { try target.check(input) } catch {
                Issue.record(
                    "mutation \(number) of corpus/\(target.name), base64 \(Data(input).base64EncodedString()): \(error)"
                )
                return
            }
        }
    }

    @Test func everyFolderOfTheCorpusHasItsTarget() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
    }
}
