import Foundation
import Testing

/// libFuzzer in this test program: `scripts/dev/fuzz.sh` builds it with coverage counters, links the toolchain's libFuzzer
/// into it and says in the environment which target is wanted. In any other build there is no libFuzzer, and nothing of
/// this runs.
@Suite struct CoverageGuidedFuzzing {
    private static let environment = ProcessInfo.processInfo.environment

    /// Ends the process: with 0 when libFuzzer's time is up, else with another code, the input in a file and its name on
    /// standard error.
    @Test(.enabled(if: environment["BDA_TEST_FUZZ_TARGET"] != nil, "scripts/dev/fuzz.sh runs it")) func run() throws {
        let name = try #require(Self.environment["BDA_TEST_FUZZ_TARGET"])
        let target = try #require(
            FuzzTarget.all.first { $0.name == name },
            "no target '\(name)'; there are \(FuzzTarget.all.map(\.name).joined(separator: ", "))")
        let driver = try #require(LibFuzzer.driver, "built without libFuzzer: use scripts/dev/fuzz.sh")
        LibFuzzer.target = target

        // libFuzzer starts its first argument again, with other options, to merge and to minimise.
        var arguments = [try #require(Self.environment["BDA_TEST_FUZZ_PROGRAM"])]
        let dictionary = FileManager.default.temporaryDirectory.appending(path: "\(name).dict")
        try LibFuzzer.dictionary(of: target).write(to: dictionary, atomically: true, encoding: .utf8)
        arguments.append("-dict=\(dictionary.path)")
        arguments += (Self.environment["BDA_TEST_FUZZ_ARGUMENTS"] ?? "").split(separator: "\n").map(String.init)

        var count = Int32(arguments.count)
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        let status = pointers.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return driver(
                &count, &start,
                { bytes, size in
                    LibFuzzer.check(UnsafeBufferPointer(start: bytes, count: size))
                    return 0
                })
        }
        exit(status)
    }
}

private enum LibFuzzer {
    typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
    typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    typealias Driver = @convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Arguments?>, Callback) -> Int32

    /// `LLVMFuzzerRunDriver` ("Using libFuzzer as a library"), where it is linked in.
    static let driver = dlsym(nil, "LLVMFuzzerRunDriver").map { unsafeBitCast($0, to: Driver.self) }

    /// Set once, before the driver starts; a C callback cannot capture it.
    nonisolated(unsafe) static var target: FuzzTarget?

    static func check(_ input: UnsafeBufferPointer<UInt8>) {
        do { try target!.check(Array(input)) } catch { fatalError("\(error)") }
    }

    /// The target's words in libFuzzer's format: one quoted text a line.
    static func dictionary(of target: FuzzTarget) -> String {
        target.words.map { word in
            "\"" + word.utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\"\n"
        }.joined()
    }
}
