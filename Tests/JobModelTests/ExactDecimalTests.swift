import JobModel
import Testing

@Suite struct ExactDecimalTests {
    @Test(arguments: [
        "0", "0.00", "-0.05", "12.30", "-99999999999999999999999999999999999999", "0.0000000000000000001",
        "123456789012345678.99",
    ])
    func textRoundTrips(_ text: String) throws {
        #expect(try ExactDecimal(text).description == text)
    }

    @Test(arguments: [
        "", "-", ".", "1.2.3", "NaN", "Infinity", "1e5", "+1", " 1", "1,5", "1.", ".5", "-.5",
        "1000000000000000000000.", "999999999999999999999999999999999999999",
    ])
    func whatIsNoNumberIsRefused(_ text: String) {
        #expect(throws: InvalidValue.self) { try ExactDecimal(text) }
    }

    @Test func sumsKeepTheLargerScale() throws {
        #expect(try ExactDecimal("0.10").adding(ExactDecimal("0.2"))?.description == "0.30")
        #expect(try ExactDecimal("0.01").adding(ExactDecimal("-0.03"))?.description == "-0.02")
    }

    /// A million cents are ten thousand, exactly; a double would be off.
    @Test func manySmallAmountsAddUp() throws {
        let cent = try ExactDecimal("0.01")
        var sum = try ExactDecimal("0.00")
        for _ in 0..<1_000_000 { sum = try #require(sum.adding(cent)) }
        #expect(sum.description == "10000.00")
    }

    @Test func overflowIsNoticed() throws {
        let large = ExactDecimal(unscaled: Int128.max, scale: 0)
        #expect(large.adding(ExactDecimal(unscaled: 1, scale: 0)) == nil)
        #expect(large.adding(try ExactDecimal("0.1")) == nil)
        // A sum of 39 digits fits 128 bits, and could be written, but not be read again.
        let nines = try ExactDecimal(String(repeating: "9", count: 38))
        #expect(nines.adding(try ExactDecimal("1")) == nil)
        #expect(nines.adding(try ExactDecimal("-1")) != nil)
    }

    @Test func sameNumberWhateverTheScale() throws {
        #expect(try ExactDecimal("1.0").isSameNumber(as: ExactDecimal("1.000")))
        #expect(try !ExactDecimal("1.0").isSameNumber(as: ExactDecimal("1.001")))
    }

    @Test func totalsAreSummedByNameAndCurrency() throws {
        func total(_ name: String, _ currency: String, _ amount: String) throws -> ControlTotal {
            ControlTotal(name: name, currency: currency, amount: try ExactDecimal(amount))
        }
        let sums = try ControlTotal.sum([
            total("net", "EUR", "1.10"), total("net", "CHF", "5"), total("net", "EUR", "2.05"),
            total("gross", "EUR", "7"),
        ])
        #expect(try sums == [total("gross", "EUR", "7"), total("net", "CHF", "5"), total("net", "EUR", "3.15")])
    }
}
