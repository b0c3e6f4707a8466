import JobModel

@testable import Worker

extension FuzzTarget {
    /// Rows of four fields: a text, a currency and two numbers in an order that the first byte says. A byte 2 ends a row, a
    /// byte 1 a field, and a field that is one byte 0 is NULL. They are written as PostgreSQL writes CSV, and read by the
    /// counter.
    static let totals = FuzzTarget(
        name: "totals",
        words: [
            "\u{1}", "\u{2}", "\u{0}", "EUR", "CHF", "\"", "\"\"", ",", "\n", "\\.", "1.00", "-0.05", ".", "-", "NaN",
            "1e5", "0",
            "999999999999999999", "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001",
            "9223372036854775807", "-9223372036854775808", " ", "\u{301}",
        ]
    ) { input in
        // Whatever is in a row, it is read within its bounds.
        if !input.isEmpty {
            let counter = try ControlTotalCounter(columns: ["a", "b", "c"], totals: ["a", "c"], currency: "b")
            try? input.withUnsafeBytes { try counter.observe(row: $0) }
            try? (input + [UInt8(ascii: "\n")]).withUnsafeBytes { try counter.observe(row: $0) }
        }

        let order = orders[Int(input.first ?? 0) % orders.count]
        let counter = try ControlTotalCounter(columns: order, totals: ["net", "gross"], currency: "currency")
        var reference = ReferenceTotals()
        do {
            for row in input.dropFirst().split(separator: 2).prefix(64) {
                var fields = row.split(separator: 1, omittingEmptySubsequences: false).map {
                    Array(Array($0).text.utf8) as [UInt8]?
                }
                fields = (fields + Array(repeating: nil, count: 4)).prefix(4).map { $0 == [0] ? nil : $0 }
                var byName: [String: [UInt8]?] = [:]
                for (name, field) in zip(order, fields) { byName[name] = field }
                reference.add(byName)
                try csv(fields).withUnsafeBytes { try counter.observe(row: $0) }
            }
            let totals = try counter.totals
            try hold(!reference.hasOtherText, "what is no number stops the export")
            try hold(totals.count == reference.sums.count, "as many totals as columns with values in each currency")
            for total in totals {
                let sum = reference.sums[.init(name: total.name, currency: Array(total.currency.utf8))]
                try hold(
                    sum == ReferenceDecimal(total.amount.description),
                    "the sum is exact: \(total), not \(String(describing: sum))")
            }
        } catch is ControlTotalCounter.NotSummable {
            try hold(reference.hasOtherText || reference.isLarge, "what is a number is summed")
        }
    }

    private static let orders = [
        ["text", "currency", "net", "gross"], ["net", "gross", "currency", "text"],
        ["gross", "text", "net", "currency"],
        ["currency", "net", "text", "gross"],
    ]

    /// One row as CopyAttributeOutCSV writes it (src/backend/commands/copyto.c).
    private static func csv(_ fields: [[UInt8]?]) -> [UInt8] {
        let quote = UInt8(ascii: "\"")
        let row = fields.map { field -> [UInt8] in
            guard let field else { return [] }
            let isQuoted =
                field.isEmpty || field == Array("\\.".utf8) && fields.count == 1
                || field.contains { [UInt8(ascii: ","), quote, UInt8(ascii: "\n"), UInt8(ascii: "\r")].contains($0) }
            return isQuoted ? [quote] + field.flatMap { $0 == quote ? [quote, quote] : [$0] } + [quote] : field
        }
        return Array(row.joined(separator: [UInt8(ascii: ",")])) + [UInt8(ascii: "\n")]
    }
}

/// Sums of the values themselves, digit by digit.
private struct ReferenceTotals {
    struct Key: Hashable {
        var name: String
        var currency: [UInt8]
    }

    private(set) var sums: [Key: ReferenceDecimal] = [:]
    /// Whether some value is no number of at most 38 digits.
    private(set) var hasOtherText = false
    /// Whether a sum may be refused for its size: when the values without their signs come near to 38 digits.
    private(set) var isLarge = false
    private var sizes: [Key: ReferenceDecimal] = [:]

    mutating func add(_ row: [String: [UInt8]?]) {
        for name in ["net", "gross"] {
            // NULL adds nothing, and so does an empty text, which no numeric column holds.
            guard let field = row[name] ?? nil, !field.isEmpty else { continue }
            let key = Key(name: name, currency: (row["currency"] ?? nil) ?? [])
            guard let number = ReferenceDecimal(field.text), number.digits.count <= 38, Array(field.text.utf8) == field
            else {
                hasOtherText = true
                continue
            }
            sums[key] = (sums[key] ?? .zero) + number
            sizes[key] = (sizes[key] ?? .zero) + number.absolute
            if sizes[key]!.length >= 37 { isLarge = true }
        }
    }
}
