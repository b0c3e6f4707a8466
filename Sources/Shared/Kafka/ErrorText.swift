/// Room for the sentence that many functions of librdkafka write about a failure.
struct ErrorText {
    static let size = 512
    var buffer = [CChar](repeating: 0, count: size)

    var string: String { String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
}
