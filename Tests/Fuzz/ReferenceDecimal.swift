/// A decimal number as a list of digits: slow, of any length, and nothing like the code that it is compared with.
struct ReferenceDecimal: Equatable {
    var isNegative: Bool
    /// Before and after the point, as written.
    var digits: [Int]
    var scale: Int

    static let zero = ReferenceDecimal(isNegative: false, digits: [0], scale: 0)

    init(isNegative: Bool, digits: [Int], scale: Int) {
        self.isNegative = isNegative
        self.digits = digits
        self.scale = scale
    }

    /// Nil unless the text is `-?digits[.digits]`.
    init?(_ text: String) {
        guard
            let match = text.wholeMatch(
                of: /(-?)([0-9]+)(?:\.([0-9]+))?/.asciiOnlyDigits().matchingSemantics(.unicodeScalar))
        else { return nil }
        let fraction = match.3 ?? ""
        self.init(
            isNegative: !match.1.isEmpty, digits: (match.2 + fraction).map { $0.wholeNumberValue! },
            scale: fraction.utf8.count)
    }

    /// The same number, whatever zeros stand around it.
    static func == (left: ReferenceDecimal, right: ReferenceDecimal) -> Bool {
        let common = max(left.scale, right.scale)
        let (one, other) = (left.magnitude(scale: common), right.magnitude(scale: common))
        return one == other && (left.isNegative == right.isNegative || one.isEmpty)
    }

    static func + (left: ReferenceDecimal, right: ReferenceDecimal) -> ReferenceDecimal {
        let common = max(left.scale, right.scale)
        let (one, other) = (left.magnitude(scale: common), right.magnitude(scale: common))
        if left.isNegative == right.isNegative {
            return ReferenceDecimal(isNegative: left.isNegative, digits: sum(one, other), scale: common)
        }
        let isLess = one.count != other.count ? one.count < other.count : one.lexicographicallyPrecedes(other)
        return isLess
            ? ReferenceDecimal(isNegative: right.isNegative, digits: difference(other, one), scale: common)
            : ReferenceDecimal(isNegative: left.isNegative, digits: difference(one, other), scale: common)
    }

    var absolute: ReferenceDecimal { ReferenceDecimal(isNegative: false, digits: digits, scale: scale) }

    /// How many digits it has without zeros in front.
    var length: Int { magnitude(scale: scale).count }

    private func magnitude(scale wanted: Int) -> [Int] {
        Array((digits + Array(repeating: 0, count: wanted - scale)).drop { $0 == 0 })
    }

    private static func sum(_ one: [Int], _ other: [Int]) -> [Int] {
        let width = max(one.count, other.count) + 1
        var result = [Int](repeating: 0, count: width)
        for place in 1...width {
            let total = digit(one, place) + digit(other, place) + result[width - place]
            result[width - place] = total % 10
            if total > 9 { result[width - place - 1] = 1 }
        }
        return result
    }

    /// `larger` is not the smaller one.
    private static func difference(_ larger: [Int], _ smaller: [Int]) -> [Int] {
        var result = larger
        for place in 1...max(larger.count, 1) where place <= larger.count {
            let index = larger.count - place
            result[index] -= digit(smaller, place)
            if result[index] < 0 {
                result[index] += 10
                result[index - 1] -= 1
            }
        }
        return result
    }

    /// The digit at a place counted from the right, from 1.
    private static func digit(_ digits: [Int], _ place: Int) -> Int {
        place <= digits.count ? digits[digits.count - place] : 0
    }
}
