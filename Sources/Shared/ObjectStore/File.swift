import Bytes
import Foundation
import Timing

/// An open file. Its calls block.
final class File {
    private let descriptor: Int32
    private let operation: String
    private let subject: String

    /// Opens a file with these flags. Errors name `operation` and `subject`.
    init(opening path: String, flags: Int32, _ operation: String, _ subject: String) throws(ObjectStoreError) {
        let descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ObjectStoreError(errno: errno, operation, subject) }
        self.descriptor = descriptor
        self.operation = operation
        self.subject = subject
    }

    /// Opens a file for reading. Returns nil if it does not exist.
    convenience init?(reading path: String, _ operation: String, _ subject: String) throws(ObjectStoreError) {
        do throws(ObjectStoreError) {
            try self.init(opening: path, flags: O_RDONLY, operation, subject)
        } catch {
            if error.isMissingFile { return nil }
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Reads from `offset` on until the buffer is full or the file ends.
    func read(at offset: Int, into buffer: ByteBuffer) throws(ObjectStoreError) {
        var offset = offset
        while buffer.free > 0 {
            var failure: Int32 = 0
            var count = 0
            buffer.append { room in
                count = pread(descriptor, room.baseAddress, room.count, off_t(offset))
                if count < 0 { failure = errno }
                return max(count, 0)
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw fault(failure) }
            if count == 0 { return }
            offset += count
        }
    }

    /// Writes all bytes at `offset`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(ObjectStoreError) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + written))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw fault(count < 0 ? errno : EIO) }
            written += count
        }
    }

    /// Requests that the kernel begins to write a range to the device, so that the final sync is short, and drops it
    /// from memory, because an export is not read again here. The call is only advice, so its result is ignored.
    func beginWriteback(offset: Int, count: Int) {
        posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
    }

    /// Waits until all bytes are on the device.
    func sync() throws(ObjectStoreError) {
        while fsync(descriptor) != 0 {
            if errno != EINTR { throw fault(errno) }
        }
    }

    /// Waits for the lock on the file, which ends when the file is closed. Throws if the lock is not granted within
    /// `limit`: its holder may have been stopped.
    func lock(within limit: Duration = .seconds(60)) throws(ObjectStoreError) {
        let deadline = Deadline.after(limit)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            switch errno {
            case EINTR: continue
            case EWOULDBLOCK where !deadline.hasPassed: usleep(2000)
            case EWOULDBLOCK:
                throw ObjectStoreError(
                    .conflict, operation, subject, reason: "another process has held the store's lock for \(limit)",
                    isRetryable: true, hint: "find the stopped process that writes to the same BDA_OUTPUT")
            case let code: throw fault(code)
            }
        }
    }

    func status() throws(ObjectStoreError) -> FileStatus {
        var raw = stat()
        guard fstat(descriptor, &raw) == 0 else { throw fault(errno) }
        return FileStatus(raw)
    }

    private func fault(_ code: Int32) -> ObjectStoreError { ObjectStoreError(errno: code, operation, subject) }
}

extension File {
    /// The status of the file at a path. Returns nil if there is no file.
    static func status(_ path: String, _ operation: String, _ subject: String) throws(ObjectStoreError) -> FileStatus? {
        var raw = stat()
        if stat(path, &raw) == 0 { return FileStatus(raw) }
        let error = ObjectStoreError(errno: errno, operation, subject)
        if error.isMissingFile { return nil }
        throw error
    }

    /// Removes a file; a missing file is not an error.
    static func remove(_ path: String, _ operation: String, _ subject: String) throws(ObjectStoreError) {
        if unlink(path) == 0 { return }
        let error = ObjectStoreError(errno: errno, operation, subject)
        // A directory is no object.
        if !error.isMissingFile, error.systemError != EISDIR { throw error }
    }

    /// The entries of a directory; empty for a missing directory.
    static func entries(
        _ path: String, _ operation: String, _ subject: String
    ) throws(ObjectStoreError) -> [(name: String, isDirectory: Bool)] {
        guard let directory = opendir(path) else {
            let error = ObjectStoreError(errno: errno, operation, subject)
            if error.isMissingFile { return [] }
            throw error
        }
        defer { closedir(directory) }
        var entries: [(name: String, isDirectory: Bool)] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { break }
            let offset = MemoryLayout<dirent>.offset(of: \.d_name)!
            let name = String(cString: UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self))
            if name == "." || name == ".." { continue }
            var isDirectory = entry.pointee.d_type == UInt8(DT_DIR)
            // Some file systems do not report the type, and a link may lead to either.
            if entry.pointee.d_type == UInt8(DT_UNKNOWN) || entry.pointee.d_type == UInt8(DT_LNK) {
                isDirectory = try status(path + "/" + name, operation, subject)?.isDirectory ?? false
            }
            entries.append((name, isDirectory))
        }
        guard errno == 0 else { throw ObjectStoreError(errno: errno, operation, subject) }
        return entries
    }

    /// The directory of a path's last component.
    static func directory(of path: String) -> String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(decoding: path.utf8[..<$0], as: UTF8.self) } ?? ""
    }
}

/// The status of a file in the file system.
struct FileStatus {
    private let raw: stat

    init(_ raw: stat) { self.raw = raw }

    var isDirectory: Bool { raw.st_mode & S_IFMT == S_IFDIR }
    var isFile: Bool { raw.st_mode & S_IFMT == S_IFREG }
    var size: Int { Int(raw.st_size) }
    var changedAt: Date {
        Date(timeIntervalSince1970: Double(raw.st_mtim.tv_sec) + Double(raw.st_mtim.tv_nsec) / 1_000_000_000)
    }

    /// The file as an object. A replaced file has another inode, so the ETag changes with it.
    func info(_ key: String) -> ObjectInfo {
        let parts = [Int(raw.st_ino), size, raw.st_mtim.tv_sec, raw.st_mtim.tv_nsec]
        let etag = parts.map { String($0, radix: 16) }.joined(separator: "-")
        return ObjectInfo(key: key, size: size, etag: "\"\(etag)\"")
    }
}

extension ObjectStoreError {
    init(errno code: Int32, _ operation: String, _ subject: String) {
        let kind: Kind
        var isRetryable = false
        var hint: String?
        switch code {
        case ENOSPC, EDQUOT:
            kind = .noSpace
            isRetryable = true
            hint = "make room on the device of BDA_OUTPUT; `bda-coordinator clean` removes files that no run needs"
        case EACCES, EPERM, EROFS:
            kind = .accessDenied
            hint = "allow this process to write in BDA_OUTPUT"
        case EFBIG:
            kind = .noSpace
            hint = "this process may not write files of that size: check 'ulimit -f', or lower BDA_MAX_ROW_SIZE_FILE"
        case ENOENT, ENOTDIR:
            kind = .noSuchPlace
            hint = "create the directory, or correct BDA_OUTPUT"
        default:
            kind = .fileSystem
            isRetryable = [EAGAIN, EBUSY, EMFILE, ENFILE, ENOMEM, ENOLCK, ESTALE, ETIMEDOUT].contains(code)
        }
        self.init(
            kind, operation, subject, reason: String(cString: strerror(code)), isRetryable: isRetryable, hint: hint)
        systemError = code
    }

    fileprivate var isMissingFile: Bool { systemError == ENOENT || systemError == ENOTDIR }
}
