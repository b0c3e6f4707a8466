import CLibPQ

/// The rows of a small result, copied out of libpq. Values have PostgreSQL's text form.
package struct PostgresResult: Sendable {
    package let columns: [String]
    /// The values of the rows; nil is NULL.
    package let rows: [[String?]]
    /// The number of rows that the command changed or returned.
    package let affectedRows: Int

    init(copying result: OpaquePointer) {
        let width = PQnfields(result)
        columns = (0..<width).map { String(cString: PQfname(result, $0)) }
        rows = (0..<PQntuples(result)).map { row in
            (0..<width).map { column in
                if PQgetisnull(result, row, column) == 1 { return nil }
                let bytes = UnsafeRawBufferPointer(
                    start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
                return String(decoding: bytes, as: UTF8.self)
            }
        }
        affectedRows = Int(String(cString: PQcmdTuples(result))) ?? 0
    }

    /// The rows with access by column name.
    package var records: [PostgresRecord] {
        let index = Dictionary(columns.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return rows.map { PostgresRecord(index: index, values: $0) }
    }

    /// The first value of the first row.
    package var firstValue: String? { rows.first?.first ?? nil }
}

package struct PostgresRecord: Sendable {
    private let index: [String: Int]
    private let values: [String?]

    init(index: [String: Int], values: [String?]) {
        self.index = index
        self.values = values
    }

    /// The value of an existing column; nil is NULL.
    package func optional(_ column: String) -> String? {
        guard let position = index[column] else { preconditionFailure("the result has no column '\(column)'") }
        return values[position]
    }

    /// The value of a column that is NOT NULL.
    package func text(_ column: String) throws -> String {
        guard let value = optional(column) else { throw unexpected(column, "NULL") }
        return value
    }

    package func integer(_ column: String) throws -> Int {
        let value = try text(column)
        guard let number = Int(value) else { throw unexpected(column, "'\(value)'") }
        return number
    }

    package func boolean(_ column: String) throws -> Bool { try text(column) == "t" }

    private func unexpected(_ column: String, _ what: String) -> PostgresError {
        PostgresError(sqlState: nil, message: "column '\(column)' holds \(what)", action: "read a result")
    }
}

/// One column of a statement's result, as the server describes it.
package struct PostgresColumn: Sendable, Hashable {
    package let name: String
    /// The type's name with its modifier, such as `numeric(14,2)`.
    package let type: String
}
