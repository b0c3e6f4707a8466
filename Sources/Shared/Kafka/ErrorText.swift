/// The buffer for the error text that many functions of librdkafka write.
struct ErrorText {
    static let size = 512
    var buffer = [CChar](repeating: 0, count: size)

    var string: String { String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) }
}
