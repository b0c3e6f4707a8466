import Glibc
import JobModel
import Postgres

/// Sums the columns of an export from the very bytes that are exported, while they stream by.
///
/// `@unchecked Sendable`: during a COPY only the session's thread calls it; afterwards only the task that awaited the end.
final class ControlTotalCounter: CopyRowObserver, @unchecked Sendable {
    /// A value that cannot be summed.
    struct NotSummable: Error, CustomStringConvertible {
        let column: String
        let value: String

        var description: String { "unable to sum the column '\(column)': it holds '\(value.prefix(40))'" }
    }

    private struct Group {
        let currency: [UInt8]
        var sums: [ExactDecimal?]
    }

    private let names: [String]
    /// For each field of a row up to the last that matters: which sum it goes to.
    private let sumOfField: [Int?]
    private let currencyField: Int?
    private var groups: [Group] = []
    private var current = 0
    private var fields: [UnsafeRawBufferPointer]

    /// - Parameters:
    ///   - columns: the columns' names, in order.
    ///   - totals: which of them are summed.
    ///   - currency: which of them the sums are grouped by.
    init(columns: [String], totals: [String], currency: String?) throws {
        func position(_ name: String) throws -> Int {
            guard let index = columns.firstIndex(of: name) else {
                throw NotSummable(column: name, value: "no such column in the SELECT")
            }
            return index
        }
        names = totals
        currencyField = try currency.map(position)
        let positions = try totals.map(position)
        let width = ([currencyField ?? -1] + positions).max()! + 1
        var sumOfField = [Int?](repeating: nil, count: width)
        for (sum, field) in positions.enumerated() { sumOfField[field] = sum }
        self.sumOfField = sumOfField
        fields = Array(repeating: UnsafeRawBufferPointer(start: nil, count: 0), count: width)
    }

    /// The sums so far. A column without any value in a currency has none.
    var totals: [ControlTotal] {
        ControlTotal.sum(
            groups.flatMap { group in
                zip(names, group.sums).compactMap { name, sum in
                    sum.map {
                        ControlTotal(
                            name: name, currency: String(decoding: group.currency, as: UTF8.self), amount: $0)
                    }
                }
            }) ?? []
    }

    func observe(row: UnsafeRawBufferPointer) throws {
        if fields.isEmpty { return }
        split(row)
        let group = groupIndex()
        for (field, sum) in sumOfField.enumerated() {
            // NULL is an empty field, and adds nothing, as in SQL's sum().
            guard let sum, !fields[field].isEmpty else { continue }
            guard let value = ExactDecimal.parse(fields[field]) else {
                throw NotSummable(column: names[sum], value: String(decoding: fields[field], as: UTF8.self))
            }
            guard let before = groups[group].sums[sum] else {
                groups[group].sums[sum] = value
                continue
            }
            guard let after = before.adding(value) else {
                throw NotSummable(column: names[sum], value: "too large a sum")
            }
            groups[group].sums[sum] = after
        }
    }

    /// Finds the first fields of a CSV row (PostgreSQL, COPY, "CSV Format"): a field that begins with a quote ends at the
    /// next quote that is not doubled; any other ends at the next comma or at the end of the row.
    private func split(_ row: UnsafeRawBufferPointer) {
        let base = row.baseAddress!
        let end = row.last == UInt8(ascii: "\n") ? row.count - 1 : row.count
        var position = 0
        for field in fields.indices {
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
                if let comma = memchr(base + position, Int32(UInt8(ascii: ",")), end - position) {
                    position = UnsafeRawPointer(comma) - base
                } else {
                    position = end
                }
                fields[field] = UnsafeRawBufferPointer(start: base + start, count: position - start)
            }
            position += 1
            if position > end { position = end }
        }
    }

    /// The group of the row's currency. Rows of one currency mostly follow each other.
    private func groupIndex() -> Int {
        let currency = currencyField.map { fields[$0] } ?? UnsafeRawBufferPointer(start: nil, count: 0)
        if current < groups.count, Self.isSame(groups[current].currency, currency) { return current }
        if let index = groups.firstIndex(where: { Self.isSame($0.currency, currency) }) {
            current = index
        } else {
            groups.append(Group(currency: Array(currency), sums: Array(repeating: nil, count: names.count)))
            current = groups.count - 1
        }
        return current
    }

    private static func isSame(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
        left.count == right.count
            && left.withUnsafeBytes {
                memcmp(
                    $0.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!,
                    right.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, right.count) == 0
            }
    }
}
