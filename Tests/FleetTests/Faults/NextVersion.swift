import Foundation

/// The scripts folder of a next version of the programs: one more migration and a ledger function with another text.
struct NextVersion {
    /// Its scripts folder.
    let scripts: String

    /// What its `setup` is told beside a fleet's settings. Topics are as they were.
    var setupSettings: [String: String] { ["BDA_SCRIPTS_DIR": scripts, "BDA_KAFKA_BOOTSTRAP_SERVERS": ""] }

    /// Makes it from the folder that is shipped. `isCompatible`: programs of the version before work with its ledger.
    init(in folder: TemporaryFolder, isCompatible: Bool) throws {
        scripts = "\(folder.path)/next/scripts"
        let files = FileManager.default
        try files.createDirectory(atPath: "\(folder.path)/next", withIntermediateDirectories: true)
        try files.copyItem(atPath: Fleet.scripts, toPath: scripts)
        let present = try files.contentsOfDirectory(atPath: "\(scripts)/migrations").count { $0.hasSuffix(".sql") }
        let number = String("000\(present + 1)".suffix(4))
        try folder.write(
            """
            -- @oldest-program \(isCompatible ? present : present + 1)
            -- What the next version keeps about a job.

            ALTER TABLE bda.job ADD COLUMN next_version_note text;

            """, to: "next/scripts/migrations/\(number)_next_version.sql")
        let claim = try String(contentsOfFile: "\(scripts)/ledger/claim.sql", encoding: .utf8)
        try folder.write(
            claim.replacing("\nBEGIN\n", with: "\nBEGIN\n    -- As the next version has it.\n"),
            to: "next/scripts/ledger/claim.sql")
    }
}
