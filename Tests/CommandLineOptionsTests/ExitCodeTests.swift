import Foundation
import TestSupport
import Testing

@testable import CommandLineOptions

struct ExitCodeTests {
    @Test func isTheDesignsTable() {
        let again: [Int32: Bool?] = [
            0: nil, 1: false, 2: false, 3: false, 10: false, 11: false, 12: false, 13: true, 14: true, 20: true,
            21: true, 22: true, 30: false, 31: true, 32: true, 40: false,
        ]
        #expect(Set(ExitCode.allCases.map(\.rawValue)) == Set(again.keys))
        for code in ExitCode.allCases {
            #expect(code.isWorthSchedulingAgain == again[code.rawValue]!, "\(code)")
            #expect(!code.meaning.isEmpty)
        }
    }

    /// The table of exit codes in README is the one that `ExitCode` makes. When it differs, the message holds the text.
    @Test func readmeHasTheTableOfExitCodes() throws {
        let readme = try String(contentsOfFile: Repository.path("README.md"), encoding: .utf8)
        #expect(
            readme.contains(ExitCode.markdownTable),
            "put this table under 'Exit codes' in README.md:\n\(ExitCode.markdownTable)")
    }
}

struct NearestNameTests {
    @Test(arguments: [
        ("--partitons", "--partitions"), ("--partitions ", "--partitions"), ("--sytsem", "--systems"),
        ("--dtae", "--date"),
        ("--DATE", "--date"), ("-date", "--date"), ("--no-such-thing", nil), ("", nil),
    ])
    func findsWhatIsNear(_ typed: String, _ meant: String?) {
        #expect(NearestName.find(typed, among: ["--date", "--partitions", "--systems"]) == meant)
    }

    @Test func distanceCountsEdits() {
        func distance(_ left: String, _ right: String) -> Int {
            NearestName.distance(Array(left.utf8), Array(right.utf8))
        }
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "") == 3)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("ab", "ba") == 1)
        #expect(distance("same", "same") == 0)
    }
}
