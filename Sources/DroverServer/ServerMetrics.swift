import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the server counts. Counters are atomic; nothing is allocated on the hot path.
final class ServerMetrics: Sendable {
    /// Per route: calls started, and calls ended by status code.
    final class Calls: Sendable {
        let started = Atomic<Int>(0)
        let ok = Atomic<Int>(0)
        let failed = Mutex<[Int: Int]>([:])
    }

    private let calls: [Calls] = Route.allCases.map { _ in Calls() }
    private static let position = Dictionary(
        uniqueKeysWithValues: Route.allCases.enumerated().map { ($1, $0) }
    )
    /// Bytes over HTTP/2.
    let receivedBytes = Atomic<Int>(0)
    let sentBytes = Atomic<Int>(0)
    let connections = Atomic<Int>(0)
    /// When the server was started, in seconds since 1970.
    let startedAt = time(nil)

    func calls(_ route: Route) -> Calls { calls[Self.position[route]!] }

    func ended(_ route: Route, code: Int) {
        let calls = calls(route)
        if code == 0 {
            calls.ok.add(1, ordering: .relaxed)
        } else {
            calls.failed.withLock { $0[code, default: 0] += 1 }
        }
    }
}
