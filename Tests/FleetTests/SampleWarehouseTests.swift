import Bytes
import Postgres
import Testing
import TestSupport

extension WholeSystem {
    @Suite struct SampleWarehouseTests {
        @Test("the sample warehouse is a function of scale, seed and date")
        func isDeterministic() async throws {
            let first = try await digest(of: ["--seed", "5"])
            #expect(try await digest(of: ["--seed", "5"]) == first)
            #expect(try await digest(of: ["--seed", "6"]) != first)
        }

        /// SHA-256 of what COPY writes of all vault tables.
        private func digest(of options: [String]) async throws -> String {
            try await TestPostgres.withDatabase { _, administrator in
                let folder = try TemporaryFolder()
                let psql = Fleet.inherited.merging(administrator.libpqEnvironment) { $1 }
                let load = try Program(
                    "/usr/bin/env",
                    [
                        "\(Fleet.scripts)/sample/load.sh", "--scale", "0.05", "--date", SampleWarehouse.date, "--days",
                        "60",
                    ] + options,
                    environment: psql, name: "load", in: folder)
                try await load.succeeds()
                let session = try await PostgresSession.connect(administrator, purpose: "test")
                let tables = try await session.execute(
                    """
                    SELECT format('COPY %I.%I TO STDOUT;', n.nspname, c.relname) FROM pg_class AS c
                    JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE n.nspname LIKE '%\\_vault' AND c.relkind = 'r' ORDER BY n.nspname, c.relname
                    """, action: "list the vault tables"
                ).rows.compactMap { $0[0] }
                await session.close()
                #expect(tables.count == 31)
                let copy = try Program(
                    "/usr/bin/env", ["psql", "--no-psqlrc", "--quiet"] + tables.map { "--command=\($0)" },
                    environment: psql, name: "copy", in: folder)
                try await copy.succeeds()
                let text = copy.outputText
                #expect(text.utf8.count > 100_000)
                folder.remove()
                return SHA256.hash(text).hex
            }
        }
    }
}
