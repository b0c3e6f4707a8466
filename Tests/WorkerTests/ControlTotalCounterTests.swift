import JobModel
import Testing
import TestSupport

@testable import Worker

@Suite struct ControlTotalCounterTests {
    private func totals(
        _ rows: [String], columns: [String] = ["id", "currency", "net"], totals: [String] = ["net"],
        by currency: String? = "currency"
    ) throws -> [String] {
        let counter = try ControlTotalCounter(columns: columns, totals: totals, currency: currency)
        for row in rows {
            var text = row + "\n"
            try text.withUTF8 { try counter.observe(row: UnsafeRawBufferPointer($0)) }
        }
        return try counter.totals.map { "\($0.name) \($0.currency) \($0.amount)" }
    }

    @Test func sumsByCurrency() throws {
        #expect(try totals(["1,EUR,1.10", "2,CHF,-5.00", "3,EUR,0.95"]) == ["net CHF -5.00", "net EUR 2.05"])
    }

    @Test func quotesCommasAndNewlinesBeforeTheColumnDoNotMatter() throws {
        #expect(
            try totals([
                #""a,""b"", ,c",EUR,1.00"#, "\"two\nlines\",EUR,2.00", "\"\"\",\"\",\",EUR,4.00",
                #"",EUR,9,9",EUR,8.00"#,
            ])
                == ["net EUR 15.00"])
    }

    @Test func currenciesAreWhatTheRowsMeanByThem() throws {
        #expect(
            try totals([#"1,"a""b",1.00"#, #"2,"""",2.00"#, "3,\"x,\ny\",4.00", #"4,"""""",8.00"#, #"5,"a""b",0.50"#])
                == [#"net " 2.00"#, #"net "" 8.00"#, #"net a"b 1.50"#, "net x,\ny 4.00"])
    }

    @Test func nullsAddNothingAndNoRowsHaveNoTotals() throws {
        #expect(try totals(["1,EUR,", "2,EUR,1.00"]) == ["net EUR 1.00"])
        #expect(try totals(["1,EUR,"]) == [])
        #expect(try totals([]) == [])
    }

    @Test func columnsInAnyOrderAndWithoutCurrency() throws {
        #expect(
            try totals(
                ["1.5,x,2", "0.25,y,3"], columns: ["gross", "text", "net"], totals: ["net", "gross"], by: nil)
                == ["gross  1.75", "net  5"])
    }

    @Test func moreThan64BitsAreSummedExactly() throws {
        #expect(
            try totals(["1,EUR,99999999999999999999.99", "2,EUR,0.01"]) == ["net EUR 100000000000000000000.00"])
    }

    @Test(arguments: ["NaN", "Infinity", "abc", "1e5", "-", ".", "1.", ".5"])
    func whatIsNoNumberStopsTheExport(_ value: String) {
        // Alone, and after a number, when sums of its scale take the fast way.
        for rows in [["1,EUR,\(value)"], ["1,EUR,7", "2,EUR,\(value)"], ["1,EUR,0.7", "2,EUR,\(value)"]] {
            let error = #expect(throws: ControlTotalCounter.NotSummable.self) { try totals(rows) }
            #expect(error?.description.contains("'net'") == true)
        }
    }

    /// Each value fits, the sum of those that took the fast way with those that did not has 39 digits.
    @Test func aSumThatDoesNotFitIsNeverLeftOut() {
        #expect(throws: ControlTotalCounter.NotSummable.self) {
            try totals(["1,EUR,0.\(String(repeating: "0", count: 36))1", "2,EUR,9", "3,EUR,9"])
        }
    }

    @Test func aCurrencyIsItsTextNotItsQuotes() throws {
        #expect(try totals([#"1,"a""b,""",1.00"#, #"2,"",2.00"#, "3,,4.00"]) == ["net  6.00", #"net a"b," 1.00"#])
    }

    @Test func anUnknownColumnIsNamed() {
        #expect(throws: ControlTotalCounter.NotSummable.self) {
            try ControlTotalCounter(columns: ["a"], totals: ["b"], currency: nil)
        }
    }

    /// The parser agrees with a plain one on random rows.
    @Test func agreesWithAPlainParser() throws {
        var generator = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            let pieces = ["a", ",", "\"\"", "\n", "ü", "", " "]
            let text = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                pieces.randomElement(using: &generator)!
            }.joined()
            let amount = Int.random(in: -99999...99999, using: &generator)
            let sign = amount < 0 ? "-" : ""
            let money = "\(sign)\(abs(amount) / 100).\(abs(amount) % 100 < 10 ? "0" : "")\(abs(amount) % 100)"
            #expect(
                try totals(["\"\(text)\",EUR,\(money),\"\(text)\""], columns: ["id", "currency", "net", "text"]) == [
                    "net EUR \(money)"
                ])
        }
    }
}
