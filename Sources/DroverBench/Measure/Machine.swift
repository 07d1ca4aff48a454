#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the figures were measured on.
enum Machine {
    static var description: String {
        let cpu = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n")
            .first { $0.hasPrefix("model name") }?.split(separator: ":").last.map { String($0.drop { $0 == " " }) }
        let info = ProcessInfo.processInfo
        let memory = info.physicalMemory >> 30
        return
            "\(info.activeProcessorCount) cores (\(cpu ?? "unknown")), \(memory) GiB, \(info.operatingSystemVersionString)"
    }
}
