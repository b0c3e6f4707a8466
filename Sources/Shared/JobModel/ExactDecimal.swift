/// A decimal number of a 128-bit integer and a power of ten, exact for amounts of money.
///
/// Sums keep the larger scale of both sides, as PostgreSQL's `numeric` does, so `0.10 + 0.2` is `0.30`.
package struct ExactDecimal: TextIdentifier {
    /// The number without its decimal point.
    package let unscaled: Int128
    /// The number of digits after the decimal point.
    package let scale: Int

    /// The number `unscaled` / 10^`scale`.
    package init(unscaled: Int128, scale: Int) {
        self.unscaled = unscaled
        self.scale = scale
    }

    /// Throws `InvalidValue` for a text of more than 38 digits or of another form.
    package init(_ text: String) throws(InvalidValue) {
        var copy = text
        let parsed = copy.withUTF8 { Self.parse(UnsafeRawBufferPointer($0)) }
        guard let parsed else {
            throw InvalidValue("number", text, allowed: "digits with at most one decimal point, at most 38 digits")
        }
        self = parsed
    }

    /// Parses PostgreSQL's form of a finite `numeric`: `-?digits[.digits]`. Returns nil for any other text (`NaN` too)
    /// and for more than 38 digits.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> ExactDecimal? {
        var index = 0
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { index = 1 }
        // Eighteen digits fit an Int64: the wide arithmetic is only for longer numbers.
        guard bytes.count - index <= 18 else { return parseWide(bytes, from: index, isNegative: isNegative) }
        var value: Int64 = 0
        var scale = -1
        var digits = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: ".") {
                guard scale < 0 else { return nil }
                scale = 0
            } else {
                let digit = byte &- 0x30
                guard digit <= 9 else { return nil }
                value = value &* 10 &+ Int64(digit)
                digits += 1
                if scale >= 0 { scale += 1 }
            }
            index += 1
        }
        guard digits > max(scale, 0), scale != 0 else { return nil }
        return ExactDecimal(unscaled: Int128(isNegative ? -value : value), scale: max(scale, 0))
    }

    private static func parseWide(
        _ bytes: UnsafeRawBufferPointer, from start: Int, isNegative: Bool
    ) -> ExactDecimal? {
        var value: Int128 = 0
        var scale = -1
        var digits = 0
        for byte in bytes[start...] {
            if byte == UInt8(ascii: ".") {
                guard scale < 0 else { return nil }
                scale = 0
            } else {
                let digit = byte &- 0x30
                guard digit <= 9, digits < 38 else { return nil }
                value = value * 10 + Int128(digit)
                digits += 1
                if scale >= 0 { scale += 1 }
            }
        }
        guard digits > max(scale, 0), scale != 0 else { return nil }
        return ExactDecimal(unscaled: isNegative ? -value : value, scale: max(scale, 0))
    }

    /// The sum. Returns nil if it has more than 38 digits.
    package func adding(_ other: ExactDecimal) -> ExactDecimal? {
        let common = max(scale, other.scale)
        guard let left = rescaled(to: common), let right = other.rescaled(to: common) else { return nil }
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow || sum.magnitude >= Self.limit ? nil : ExactDecimal(unscaled: sum, scale: common)
    }

    /// 10^38, the smallest number of 39 digits.
    private static let limit: UInt128 = 100_000_000_000_000_000_000_000_000_000_000_000_000

    private func rescaled(to wanted: Int) -> Int128? {
        var value = unscaled
        for _ in scale..<wanted {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product
        }
        return value
    }

    package var description: String {
        let digits = String(unscaled.magnitude)
        let sign = unscaled < 0 ? "-" : ""
        guard scale > 0 else { return sign + digits }
        let whole = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
        return sign + whole.dropLast(scale) + "." + whole.suffix(scale)
    }

    /// Whether both numbers are equal regardless of their scales: 1.0 and 1.00 are.
    package func isSameNumber(as other: ExactDecimal) -> Bool {
        let common = max(scale, other.scale)
        guard let left = rescaled(to: common), let right = other.rescaled(to: common) else { return false }
        return left == right
    }
}

/// One control total: the sum of one column of a dataset over the rows of one currency.
package struct ControlTotal: Sendable, Hashable, Codable {
    /// The column that is summed.
    package var name: String
    /// The currency of the rows; empty for rows without one.
    package var currency: String
    /// The sum, exact, as text in JSON.
    package var amount: ExactDecimal

    package init(name: String, currency: String, amount: ExactDecimal) {
        self.name = name
        self.currency = currency
        self.amount = amount
    }

    /// Adds up totals of the same column and currency, in order of column and currency. Returns nil if a sum overflows.
    package static func sum(_ totals: some Sequence<ControlTotal>) -> [ControlTotal]? {
        // By bytes: Swift compares texts by canonical equivalence, SQL by their bytes.
        var sums: [[[UInt8]]: ControlTotal] = [:]
        for total in totals {
            let key = [Array(total.name.utf8), Array(total.currency.utf8)]
            guard let before = sums[key] else {
                sums[key] = total
                continue
            }
            guard let sum = before.amount.adding(total.amount) else { return nil }
            sums[key]!.amount = sum
        }
        return sums.sorted { left, right in
            left.key.lexicographicallyPrecedes(right.key) { $0.lexicographicallyPrecedes($1) }
        }.map(\.value)
    }
}
