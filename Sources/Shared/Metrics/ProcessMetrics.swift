import Glibc

/// The kernel's figures of this process (proc(5)), under the names that Prometheus's own clients use.
enum ProcessMetrics {
    /// Leaves out the figures that cannot be read.
    static func read() -> [(MetricName, Double)] {
        var values: [(MetricName, Double)] = []
        if let fields = statFields() {
            let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
            values.append((.processMemory, fields[21] * Double(sysconf(Int32(_SC_PAGESIZE)))))
            values.append((.processCPU, (fields[11] + fields[12]) / ticks))
            var now = timespec()
            var sinceBoot = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
            values.append((.processStart, Double(now.tv_sec - sinceBoot.tv_sec) + fields[19] / ticks))
        }
        if let files = openFiles() { values.append((.processFiles, files)) }
        return values
    }

    /// The fields of `/proc/self/stat` after the name, which may hold spaces and brackets: field 3 of proc(5) is 0 here.
    private static func statFields() -> [Double]? {
        guard let file = fopen("/proc/self/stat", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 2048)
        let count = fread(&bytes, 1, bytes.count, file)
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        guard let bracket = text.lastIndex(of: ")") else { return nil }
        let fields = text[bracket...].dropFirst(2).split(separator: " ").map { Double($0) ?? 0 }
        return fields.count > 21 ? fields : nil
    }

    private static func openFiles() -> Double? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            // The entries "." and ".." and the descriptor of this listing are not the program's.
            if entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
        }
        return Double(count - 1)
    }
}
