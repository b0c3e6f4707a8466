import Glibc
import JobModel
import Postgres

/// Sums the columns of an export from the bytes of its rows, while they are exported.
///
/// `@unchecked Sendable`: during a COPY only the session's thread calls it; afterwards only the task that awaited the
/// end.
final class ControlTotalCounter: CopyRowObserver, @unchecked Sendable {
    /// A value that cannot be summed.
    struct NotSummable: Error, CustomStringConvertible {
        let column: String
        let value: String

        var description: String { "unable to sum the column '\(column)': it holds '\(value.prefix(40))'" }
    }

    /// The sum of one column in one currency: an Int64 of one scale as long as it fits, and a wide sum for the rest.
    private struct Accumulator {
        var narrow: Int64 = 0
        var scale = -1
        var wide: ExactDecimal?

        var isEmpty: Bool { scale < 0 && wide == nil }

        /// Nil if it does not fit.
        var sum: ExactDecimal? {
            guard scale >= 0 else { return wide }
            let value = ExactDecimal(unscaled: Int128(narrow), scale: scale)
            guard let wide else { return value }
            return wide.adding(value)
        }

        /// Returns false if the sum does not fit.
        mutating func add(_ value: ExactDecimal) -> Bool {
            wide = isEmpty ? value : sum?.adding(value)
            scale = -1
            narrow = 0
            return wide != nil
        }
    }

    private let progress: RowProgress
    private var rows = 0
    private let names: [String]
    /// For each field of a row up to the last one that is needed: the index of its sum, or -1.
    private let sumOfField: [Int]
    private let currencyField: Int
    private var currencies: [[UInt8]] = []
    private var current = 0
    /// One for each currency and name, currency by currency.
    private var accumulators: [Accumulator] = []
    /// The position and the length of each field of the current row.
    private let fields: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>

    /// - Parameters:
    ///   - columns: the columns' names, in order.
    ///   - totals: the columns that are summed.
    ///   - currency: the column that the sums are grouped by.
    ///   - progress: counts the rows.
    init(
        columns: [String], totals: [String], currency: String?, progress: RowProgress = RowProgress()
    ) throws {
        self.progress = progress
        func position(_ name: String) throws -> Int {
            guard let index = columns.firstIndex(of: name) else {
                throw NotSummable(column: name, value: "no such column in the SELECT")
            }
            return index
        }
        names = totals
        currencyField = try currency.map(position) ?? -1
        let positions = try totals.map(position)
        let width = positions.isEmpty ? 0 : ([currencyField] + positions).max()! + 1
        var sumOfField = [Int](repeating: -1, count: width)
        for (sum, field) in positions.enumerated() { sumOfField[field] = sum }
        self.sumOfField = sumOfField
        fields = .allocate(capacity: width)
        fields.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    deinit { fields.deallocate() }

    /// The sums so far. A column without any value in a currency has no sum there. Throws if a sum does not fit.
    var totals: [ControlTotal] {
        get throws {
            var totals: [ControlTotal] = []
            for (index, accumulator) in accumulators.enumerated() where !accumulator.isEmpty {
                let name = names[index % names.count]
                guard let sum = accumulator.sum else { throw Self.tooLarge(name) }
                totals.append(
                    ControlTotal(name: name, currency: Self.text(of: currencies[index / names.count]), amount: sum))
            }
            // Sorts them; each column and currency occurs once.
            guard let sorted = ControlTotal.sum(totals) else { throw Self.tooLarge(names.joined(separator: ", ")) }
            return sorted
        }
    }

    /// The text of a field: a quote in it is still doubled, and a quote occurs in quoted fields only.
    private static func text(of field: [UInt8]) -> String {
        var bytes: [UInt8] = []
        var index = 0
        while index < field.count {
            bytes.append(field[index])
            index += field[index] == UInt8(ascii: "\"") ? 2 : 1
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func tooLarge(_ column: String) -> NotSummable {
        NotSummable(column: column, value: "more than 38 digits")
    }

    func observe(row: UnsafeRawBufferPointer) throws {
        rows += 1
        progress.set(rows)
        if fields.isEmpty { return }
        split(row)
        let first = currencyIndex() * names.count
        try accumulators.withUnsafeMutableBufferPointer { accumulators in
            for field in sumOfField.indices where sumOfField[field] >= 0 {
                // NULL is an empty field, and adds nothing, as in SQL's sum().
                let text = fields[field]
                if text.isEmpty { continue }
                let sum = sumOfField[field]
                if let (value, scale) = Self.narrow(text), scale == accumulators[first + sum].scale {
                    let (total, isTooLarge) = accumulators[first + sum].narrow.addingReportingOverflow(value)
                    if !isTooLarge {
                        accumulators[first + sum].narrow = total
                        continue
                    }
                }
                try add(text, to: &accumulators[first + sum], name: names[sum])
            }
        }
    }

    /// Adds a value that has another scale than the accumulator, or is too large for the fast path.
    private func add(_ text: UnsafeRawBufferPointer, to accumulator: inout Accumulator, name: String) throws {
        guard let value = ExactDecimal.parse(text) else {
            throw NotSummable(column: name, value: String(decoding: text, as: UTF8.self))
        }
        guard accumulator.add(value) else { throw Self.tooLarge(name) }
        // From here on values of this scale take the fast path.
        accumulator.scale = value.scale
    }

    /// A number of at most 18 digits without its point, and the number of digits after the point; nil for any other
    /// text.
    private static func narrow(_ text: UnsafeRawBufferPointer) -> (value: Int64, scale: Int)? {
        guard text.count <= 18 else { return nil }
        var index = text[0] == UInt8(ascii: "-") ? 1 : 0
        let isNegative = index == 1
        // A text that is no number (no digit before or after the point) is left to the slow path, which reports it.
        guard index < text.count, text[index] != UInt8(ascii: "."), text[text.count - 1] != UInt8(ascii: ".") else {
            return nil
        }
        var value: Int64 = 0
        var point = -1
        while index < text.count {
            let byte = text[index]
            let digit = byte &- 0x30
            if digit <= 9 {
                value = value &* 10 &+ Int64(digit)
            } else if byte == UInt8(ascii: "."), point < 0 {
                point = index
            } else {
                return nil
            }
            index += 1
        }
        return (isNegative ? -value : value, point < 0 ? 0 : text.count - point - 1)
    }

    /// Finds the first fields of a CSV row (PostgreSQL, COPY, "CSV Format"): a field that begins with a quote ends at the
    /// next quote that is not doubled; any other ends at the next comma or at the end of the row.
    private func split(_ row: UnsafeRawBufferPointer) {
        let base = row.baseAddress!
        let end = row[row.count - 1] == UInt8(ascii: "\n") ? row.count - 1 : row.count
        var position = 0
        for field in 0..<fields.count {
            let start = position
            if position < end, row[position] == UInt8(ascii: "\"") {
                position += 1
                while let quote = memchr(base + position, Int32(UInt8(ascii: "\"")), end - position) {
                    position = UnsafeRawPointer(quote) - base + 1
                    guard position < end, row[position] == UInt8(ascii: "\"") else { break }
                    position += 1
                }
                fields[field] = UnsafeRawBufferPointer(start: base + start + 1, count: max(0, position - start - 2))
            } else {
                // Fields are short: a plain loop is faster than a call of memchr for each.
                while position < end, row[position] != UInt8(ascii: ",") { position += 1 }
                fields[field] = UnsafeRawBufferPointer(start: base + start, count: position - start)
            }
            position = min(position + 1, end)
        }
    }

    /// The index of the row's currency. Consecutive rows mostly have the same currency.
    private func currencyIndex() -> Int {
        let currency = currencyField >= 0 ? fields[currencyField] : UnsafeRawBufferPointer(start: nil, count: 0)
        if current < currencies.count, Self.isSame(currencies[current], currency) { return current }
        if let index = currencies.firstIndex(where: { Self.isSame($0, currency) }) {
            current = index
        } else {
            currencies.append(Array(currency))
            accumulators += Array(repeating: Accumulator(), count: names.count)
            current = currencies.count - 1
        }
        return current
    }

    private static func isSame(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where left[index] != right[index] { return false }
        return true
    }
}
