import Bytes
import Glibc

/// A file that is written under a hidden name in the directory of its final path. Its calls block.
final class TemporaryFile {
    /// The longest last component of a key: the hidden name is longer, and Linux allows 255 bytes.
    static let longestName = 200

    /// The final path.
    let path: String
    let operation: String
    private let subject: String
    private let hiddenPath: String
    private let file: File
    /// Directories with a new entry, outermost first.
    private let changedDirectories: [String]
    private var isThere = true

    /// Creates the file, and the missing directories above it, below `root`.
    init(root: String, path: String, _ operation: String, _ subject: String) throws(ObjectStoreError) {
        self.path = path
        self.operation = operation
        self.subject = subject
        let directory = File.directory(of: path)
        let name = path.after(directory + "/") ?? ""
        let unique = Hex.encode((0..<8).map { _ in UInt8.random(in: 0...255) })
        hiddenPath = "\(directory)/\(FileObjectStore.uploadPrefix)\(unique)-\(name)"
        var changed: Set<String> = [directory]
        var opened: File?
        // Another process may remove a new directory that it finds empty.
        for attempt in 1...10 where opened == nil {
            do throws(ObjectStoreError) {
                try Self.makeDirectories(directory, below: root, &changed, operation, subject)
                opened = try File(opening: hiddenPath, flags: O_WRONLY | O_CREAT | O_EXCL, operation, subject)
            } catch {
                if error.systemError != ENOENT || attempt == 10 { throw error }
            }
        }
        file = opened!
        changedDirectories = changed.sorted { $0.utf8.count < $1.utf8.count }
    }

    /// The name of the object that a hidden name belongs to. Returns nil for any other name.
    static func target(ofHidden name: String) -> String? {
        guard let rest = name.after(FileObjectStore.uploadPrefix)?.utf8, rest.count > 17,
            rest.dropFirst(16).first == UInt8(ascii: "-"),
            Hex.decode(String(decoding: rest.prefix(16), as: UTF8.self)) != nil
        else { return nil }
        return String(decoding: rest.dropFirst(17), as: UTF8.self)
    }

    /// Writes bytes and begins their transfer to the device.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(ObjectStoreError) {
        try file.write(bytes, at: offset)
        file.beginWriteback(offset: offset, count: bytes.count)
    }

    /// Waits until the bytes are on the device.
    func sync() throws(ObjectStoreError) { try file.sync() }

    func status() throws(ObjectStoreError) -> FileStatus { try file.status() }

    /// Gives the file its name and replaces an existing file of that name.
    func rename() throws(ObjectStoreError) {
        guard Glibc.rename(hiddenPath, path) == 0 else {
            if errno == ENOENT {
                throw ObjectStoreError(
                    .conflict, operation, subject, reason: "the upload was ended from outside", isRetryable: true)
            }
            throw ObjectStoreError(errno: errno, operation, subject)
        }
        isThere = false
    }

    /// Waits until the directory entries are on the device.
    func syncDirectories() throws(ObjectStoreError) {
        for directory in changedDirectories {
            try File(opening: directory, flags: O_RDONLY | O_DIRECTORY, operation, subject).sync()
        }
    }

    /// Removes the file if it still has its hidden name.
    func remove() throws(ObjectStoreError) {
        if isThere { try File.remove(hiddenPath, operation, subject) }
        isThere = false
    }

    private static func makeDirectories(
        _ directory: String, below root: String, _ changed: inout Set<String>, _ operation: String, _ subject: String
    ) throws(ObjectStoreError) {
        var missing: [String] = []
        var above = directory
        while above.utf8.count > root.utf8.count, mkdir(above, 0o755) != 0 {
            if errno == EEXIST { break }
            guard errno == ENOENT else { throw ObjectStoreError(errno: errno, operation, subject) }
            missing.append(above)
            above = File.directory(of: above)
        }
        for directory in missing.reversed() {
            if mkdir(directory, 0o755) != 0, errno != EEXIST {
                throw ObjectStoreError(errno: errno, operation, subject)
            }
        }
        // Their own entries lie in the directories above them.
        for made in missing + [above] where made.utf8.count > root.utf8.count {
            changed.insert(File.directory(of: made))
        }
    }
}
