#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a process has used. Linux: `proc(5)`; elsewhere nothing is known.
struct ProcessUsage: Sendable, Codable {
    /// Processor seconds, of the program and of the kernel for it.
    var processorSeconds: Double
    /// Bytes resident now, and at most since the peak was forgotten.
    var residentBytes: Int
    var peakBytes: Int

    init?(_ pid: Int32) {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let close = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        processorSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        func bytes(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
            let number = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
            return (number.flatMap { Int($0) } ?? 0) * 1_024
        }
        residentBytes = bytes("VmRSS:")
        peakBytes = bytes("VmHWM:")
    }

    /// Has the kernel forget the peak, where this user may; source: proc(5), `clear_refs`.
    static func forgetPeak(_ pid: Int32) {
        guard let file = fopen("/proc/\(pid)/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    /// The process that listens at an address of this machine; nil where it cannot be seen, or is one of several.
    ///
    /// - Parameter host: `127.0.0.1`, `::1` or `localhost`.
    static func listener(at host: String, port: Int) -> Int32? {
        // As the kernel writes them: words of four bytes in the machine's order. Little-endian machines alone.
        let any = ["00000000", String(repeating: "0", count: 32)]
        let four = ["0100007F", "0000000000000000FFFF00000100007F"]
        let six = ["00000000000000000000000001000000"]
        let addresses = Set(any + (host == "::1" ? [] : four) + (host == "127.0.0.1" ? [] : six))
        var inodes: Set<Substring> = []
        for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
            guard let table = try? String(contentsOfFile: path, encoding: .utf8) else { continue }
            for line in table.split(separator: "\n").dropFirst() {
                let fields = line.split(separator: " ")
                guard fields.count > 9, fields[3] == "0A", let colon = fields[1].lastIndex(of: ":"),
                    addresses.contains(String(fields[1][..<colon])),
                    Int(fields[1][fields[1].index(after: colon)...], radix: 16) == port
                else { continue }
                inodes.insert(fields[9])
            }
        }
        return holder(of: inodes)
    }

    /// The process that listens at a socket in the file system; nil where it cannot be seen, or is one of several.
    ///
    /// Source: proc_pid_net(5): the table has what a server bound as its own, relative paths too, and a flag of those that
    /// listen.
    static func listener(atSocket path: String) -> Int32? {
        // Names may hold any bytes.
        guard let bytes = FileManager.default.contents(atPath: "/proc/net/unix") else { return nil }
        var inodes: Set<Substring> = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ", maxSplits: 7)
            if fields.count == 8, fields[3] == "00010000", fields[7] == path { inodes.insert(fields[6]) }
        }
        return holder(of: inodes)
    }

    /// The one process that has sockets of these numbers open.
    private static func holder(of inodes: Set<Substring>) -> Int32? {
        if inodes.isEmpty { return nil }
        var found: Set<Int32> = []
        let wanted = Set(inodes.map { "socket:[\($0)]" })
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(name) else { continue }
            let folder = "/proc/\(pid)/fd"
            for descriptor in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                var buffer = [CChar](repeating: 0, count: 64)
                let length = readlink("\(folder)/\(descriptor)", &buffer, buffer.count - 1)
                if length > 0,
                    wanted.contains(
                        String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
                    )
                {
                    found.insert(pid)
                }
            }
        }
        return found.count == 1 ? found.first : nil
    }
}
