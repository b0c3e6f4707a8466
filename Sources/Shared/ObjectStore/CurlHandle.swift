import BlockingIO
import Bytes
import CLibCurl
import Timing

/// One libcurl connection on a thread of its own, one transfer at a time; between transfers the connection stays open.
///
/// A transfer runs in libcurl's multi interface, although it is the only one, because another thread can wake that
/// interface: a cancelled transfer ends immediately and not with the server's next packet.
actor CurlHandle {
    private let thread: BlockingThread
    private let easy: UnsafeMutableRawPointer
    private let multi: UnsafeMutableRawPointer
    /// libcurl writes into it until the handle is freed.
    private let errorText: UnsafeMutablePointer<CChar>
    private let caFile: String?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Starts the thread. `caFile` replaces the system's list of certificate authorities.
    init(name: String, caFile: String?) {
        precondition(CurlLibrary.isReady)
        guard let easy = curl_easy_init(), let multi = curl_multi_init() else {
            preconditionFailure("libcurl has no memory for a handle")
        }
        self.easy = easy
        self.multi = multi
        self.caFile = caFile
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        thread = BlockingThread(name: name)
    }

    isolated deinit {
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
        errorText.deallocate()
    }

    /// Sends a request and waits for the complete answer, of any status. Throws `CurlError`, or `CancellationError`
    /// soon after the task was cancelled.
    nonisolated func send(_ request: HTTPRequest) async throws -> HTTPReply {
        let cancellation = TransferCancellation()
        return try await withTaskCancellationHandler {
            try await transfer(request, cancellation)
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// The digest of a buffer, computed here and not on a thread of the pool.
    func sha256(of buffer: ByteBuffer) -> Digest { SHA256.hash(buffer.bytes) }

    private func transfer(_ request: HTTPRequest, _ cancellation: TransferCancellation) throws -> HTTPReply {
        let collector = ReplyCollector(request.sink)
        // libcurl holds plain pointers to both until the transfer is removed.
        defer { withExtendedLifetime((request, collector)) {} }
        curl_easy_reset(easy)
        errorText[0] = 0
        try setUp(request, collector)
        let headers = headerList(request)
        defer { curl_slist_free_all(headers) }
        bda_curl_setopt_pointer(easy, CURLOPT_HTTPHEADER, headers)

        let added = curl_multi_add_handle(multi, easy)
        guard added == CURLM_OK else { throw CurlError(multi: added) }
        defer { curl_multi_remove_handle(multi, easy) }
        cancellation.attach(multi)
        defer { cancellation.detach() }

        var running: Int32 = 0
        while true {
            let performed = curl_multi_perform(multi, &running)
            guard performed == CURLM_OK else { throw CurlError(multi: performed) }
            if running == 0 { break }
            if cancellation.isCancelled { throw CancellationError() }
            let polled = curl_multi_poll(multi, nil, 0, 1000, nil)
            guard polled == CURLM_OK else { throw CurlError(multi: polled) }
        }

        var left: Int32 = 0
        guard let message = curl_multi_info_read(multi, &left), message.pointee.msg == CURLMSG_DONE else {
            preconditionFailure("libcurl has ended a transfer without a result")
        }
        let code = message.pointee.data.result
        if collector.hasOverflowed { throw CurlError.replyTooLong }
        guard code == CURLE_OK else { throw CurlError(code, detail: String(cString: errorText)) }
        return collector.reply
    }

    /// Sets every option of a transfer. The collector must exist until the transfer has ended.
    private func setUp(_ request: HTTPRequest, _ collector: ReplyCollector) throws(CurlError) {
        func check(_ code: CURLcode) throws(CurlError) {
            guard code == CURLE_OK else { throw CurlError(code, detail: "") }
        }
        func set(_ option: CURLoption, _ value: Int) throws(CurlError) {
            try check(bda_curl_setopt_long(easy, option, value))
        }
        func set(_ option: CURLoption, _ value: String) throws(CurlError) {
            try check(bda_curl_setopt_string(easy, option, value))
        }
        func set(_ option: CURLoption, pointer: UnsafeRawPointer?) throws(CurlError) {
            try check(bda_curl_setopt_pointer(easy, option, pointer))
        }

        try set(CURLOPT_URL, request.url)
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        // The path that was signed is the path that is sent.
        try set(CURLOPT_PATH_AS_IS, 1)
        try set(CURLOPT_FOLLOWLOCATION, 0)
        try set(CURLOPT_NOSIGNAL, 1)
        // An abort does not wait for a name server.
        try set(CURLOPT_QUICK_EXIT, 1)
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_ERRORBUFFER, pointer: errorText)
        try set(CURLOPT_USERAGENT, "billing-data-aggregator")
        try set(CURLOPT_CONNECTTIMEOUT_MS, request.connectLimit.milliseconds)
        try set(CURLOPT_LOW_SPEED_LIMIT, 1)
        try set(CURLOPT_LOW_SPEED_TIME, request.stallLimit.milliseconds / 1000)
        if let totalLimit = request.totalLimit { try set(CURLOPT_TIMEOUT_MS, totalLimit.milliseconds) }
        if request.isDirect { try set(CURLOPT_NOPROXY, "*") }
        if let caFile { try set(CURLOPT_CAINFO, caFile) }

        switch request.method {
        case .get:
            try set(CURLOPT_HTTPGET, 1)
        case .head:
            try set(CURLOPT_NOBODY, 1)
        case .delete:
            try set(CURLOPT_HTTPGET, 1)
            try set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        case .put, .post:
            // A body in memory, which libcurl can send again by itself if a kept connection was closed.
            try set(CURLOPT_POST, 1)
            try set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
            let bytes = request.body?.bytes
            try check(bda_curl_setopt_off(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes?.count ?? 0)))
            try set(CURLOPT_POSTFIELDS, pointer: bytes?.baseAddress ?? UnsafeRawPointer(errorText))
            try set(CURLOPT_UPLOAD_BUFFERSIZE, 512 * 1024)
            // Above 1 MiB libcurl asks before it sends (Expect: 100-continue); with a server that does not answer that,
            // the default would cost a second for each part.
            try set(CURLOPT_EXPECT_100_TIMEOUT_MS, 300)
        }

        let context = Unmanaged.passUnretained(collector).toOpaque()
        try check(
            bda_curl_setopt_write(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
                // `transfer` holds the collector until the transfer has ended.
                let collector = Unmanaged<ReplyCollector>.fromOpaque(context!).takeUnretainedValue()
                return collector.addHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
            })
        try set(CURLOPT_HEADERDATA, pointer: context)
        try check(
            bda_curl_setopt_write(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
                let collector = Unmanaged<ReplyCollector>.fromOpaque(context!).takeUnretainedValue()
                return collector.addBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
            })
        try set(CURLOPT_WRITEDATA, pointer: context)
    }

    /// The request's headers in libcurl's form, to be freed after the transfer.
    private func headerList(_ request: HTTPRequest) -> UnsafeMutablePointer<curl_slist>? {
        var lines = request.headers.map { "\($0.name): \($0.value)" }
        if !request.headers.contains(where: { $0.name == "content-type" }) {
            // Otherwise libcurl declares a body as a web form.
            lines.append("content-type:")
        }
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines {
            precondition(!line.utf8.contains { $0 < 0x20 || $0 == 0x7f }, "a header with a control character")
            guard let longer = curl_slist_append(list, line) else { preconditionFailure("libcurl has no memory") }
            list = longer
        }
        return list
    }
}

/// Ends a transfer from another thread.
private final class TransferCancellation: Sendable {
    private struct State {
        var isCancelled = false
        var multi: Multi?
    }

    /// `@unchecked Sendable`: used for `curl_multi_wakeup` only, the one call that libcurl allows from other threads,
    /// and only between `attach` and `detach`, while the handle's actor runs the transfer and cannot be freed.
    private struct Multi: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private let state = Mutex(State())

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    func attach(_ multi: UnsafeMutableRawPointer) {
        let multi = Multi(pointer: multi)
        state.withLock { $0.multi = multi }
    }

    func detach() { state.withLock { $0.multi = nil } }

    func cancel() {
        state.withLock {
            $0.isCancelled = true
            if let multi = $0.multi { curl_multi_wakeup(multi.pointer) }
        }
    }
}

/// The answer so far. Used on the handle's thread only, by libcurl's callbacks.
private final class ReplyCollector {
    private let sink: HTTPRequest.Sink
    private(set) var reply = HTTPReply(status: 0, headers: [:], body: [])
    private(set) var hasOverflowed = false

    init(_ sink: HTTPRequest.Sink) {
        self.sink = sink
        if case .buffer(let buffer) = sink { buffer.removeAll() }
    }

    func addHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        let line = String(decoding: bytes, as: UTF8.self)
        if line.hasPrefix("HTTP/") {
            // A new answer; the previous one was "100 Continue".
            let status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            reply = HTTPReply(status: status, headers: [:], body: [])
        } else if let colon = line.firstIndex(of: ":") {
            let name = line[..<colon].lowercased()
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            reply.headers[name] = String(value.reversed().drop { $0.isWhitespace }.reversed())
        }
        return bytes.count
    }

    func addBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        switch sink {
        case .buffer(let buffer) where reply.isSuccess:
            hasOverflowed = buffer.append(bytes) < bytes.count
        case .buffer:
            append(bytes, limit: 64 * 1024)
        case .memory(let limit):
            append(bytes, limit: reply.isSuccess ? limit : max(limit, 64 * 1024))
        }
        // A smaller number than was given makes libcurl end the transfer.
        return hasOverflowed ? 0 : bytes.count
    }

    private func append(_ bytes: UnsafeRawBufferPointer, limit: Int) {
        hasOverflowed = reply.body.count + bytes.count > limit
        if !hasOverflowed { reply.body.append(contentsOf: bytes) }
    }
}

/// A transfer without a complete answer.
struct CurlError: Error {
    /// The answer exceeds the limit of the request.
    static let replyTooLong = CurlError(CURLE_FILESIZE_EXCEEDED, detail: "the answer exceeds its size limit")

    let code: CURLcode
    let detail: String

    init(_ code: CURLcode, detail: String) {
        self.code = code
        self.detail = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    }

    init(multi code: CURLMcode) {
        self.init(CURLE_FAILED_INIT, detail: String(cString: curl_multi_strerror(code)))
    }
}

/// libcurl's global state, set up before the first handle.
private enum CurlLibrary {
    static let isReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK
}
