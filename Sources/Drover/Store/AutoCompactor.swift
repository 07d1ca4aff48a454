public import Logging

/// Compacts a store by itself. Source: etcd `server/etcdserver/api/v3compactor`; kine `--compact-interval`.
///
/// Several instances on one database may all do it: a revision that another has compacted already is no error.
public struct AutoCompactor: Sendable {
    /// What is kept.
    public enum Policy: Sendable, Hashable {
        /// What is younger than so many seconds. Looked at ten times in that time, and compacted once in it, at least
        /// once an hour.
        case age(seconds: Double)
        /// So many revisions, looked at every so many seconds. etcd looks every five minutes.
        case revisions(Int64, everySeconds: Double = 300)
    }

    private let store: Store
    private let policy: Policy
    private let logger: Logger

    /// A compactor that does nothing until it runs.
    public init(_ store: Store, _ policy: Policy, logger: Logger = Logger(label: "drover.compactor")) {
        self.store = store
        self.policy = policy
        self.logger = logger
    }

    /// Compacts until the task is cancelled or the store closed. What fails is logged and tried again with the next look.
    public func run() async {
        switch policy {
        case .age(let seconds): try? await keep(seconds: seconds)
        case .revisions(let count, let seconds): try? await keep(count, every: seconds)
        }
    }

    /// The store's revision; nil when it cannot be read now.
    ///
    /// - Throws: ``DroverError`` with `stopped`.
    private func revision() async throws -> Int64? {
        do {
            return try await store.revision()
        } catch let error as DroverError where error.code == .stopped {
            throw error
        } catch {
            return nil
        }
    }

    private func sleep(_ seconds: Double) async -> Bool {
        (try? await Task.sleep(nanoseconds: UInt64(max(0.01, min(seconds, 1e8)) * 1e9))) != nil
    }

    private func keep(seconds: Double) async throws {
        let seconds = seconds.isNaN ? 1e8 : max(0.1, min(seconds, 1e8))
        let step = min(seconds, 3_600) / 10
        let looks = max(1, Int((seconds / step).rounded()))
        // The store's revision at each of the last looks, the oldest first.
        var seen: [Int64] = []
        if let revision = try await revision() { seen.append(revision) }
        var sinceLast = 0
        while await sleep(step) {
            guard let revision = try await revision() else { continue }
            seen.append(revision)
            sinceLast += 1
            // One more than there are times between them: the first is as old as what is kept.
            if seen.count > looks + 1 { seen.removeFirst(seen.count - looks - 1) }
            if seen.count == looks + 1 && sinceLast >= min(looks, 10), await compact(seen[0]) { sinceLast = 0 }
        }
    }

    private func keep(_ count: Int64, every seconds: Double) async throws {
        var last: Int64 = 0
        while await sleep(seconds) {
            guard let revision = try await revision() else { continue }
            let target = revision - count
            if target <= 0 || target == last { continue }
            if await compact(target) { last = target }
        }
    }

    /// Whether the history up to `revision` is gone, by this or by somebody else.
    private func compact(_ revision: Int64) async -> Bool {
        do {
            try await store.compact(to: revision)
            logger.info("compacted", metadata: ["revision": "\(revision)"])
            return true
        } catch let error as DroverError where error.code == .compacted {
            return true
        } catch {
            logger.warning(
                "the history could not be compacted; it will be tried again",
                metadata: ["reason": "\(error)"]
            )
            return false
        }
    }
}
