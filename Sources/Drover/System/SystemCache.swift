import Synchronization

/// The newest system state that this process has seen.
final class SystemCache: Sendable {
    private let loaded = Mutex<LoadedSystem?>(nil)
    private let observer = Mutex<(@Sendable () -> Void)?>(nil)

    /// Has `body` called after every change of users and roles that is seen.
    func observe(_ body: @escaping @Sendable () -> Void) { observer.withLock { $0 = body } }

    /// What was loaded last; nil when nothing was ever written.
    var current: LoadedSystem? { loaded.withLock { $0 } }

    /// The state of a snapshot, or a newer one; nil when nothing was ever written. Costs a comparison unless the state has
    /// changed.
    func load(_ meta: StoreMeta, _ view: any DriverView) throws -> LoadedSystem? {
        if meta.systemRevision == 0 { return nil }
        if let current, current.revision >= meta.systemRevision { return current }
        // Outside a snapshot it may be newer than `meta` says, which is taken for the older one and read once more later.
        let state = try SystemState(decoding: try view.systemState())
        return keep(LoadedSystem(revision: meta.systemRevision, state: state, after: current))
    }

    /// Another instance has changed the state: it is read before a request asks for it, for the sake of open watches.
    func notice(_ meta: StoreMeta, _ readers: ReaderPool) {
        if meta.systemRevision <= current?.revision ?? 0 { return }
        _ = readers.submit { reader in
            defer { reader.endSnapshot() }
            guard let now = try? reader.beginSnapshot() else { return }
            _ = try? self.load(now, reader)
        }
    }

    /// Keeps what a batch has come to.
    @discardableResult
    func keep(_ system: LoadedSystem) -> LoadedSystem {
        let (kept, isNews) = loaded.withLock { loaded in
            if let loaded, loaded.revision >= system.revision { return (loaded, false) }
            let isNews = loaded?.state.auth != system.state.auth
            loaded = system
            return (system, isNews)
        }
        if isNews { observer.withLock { $0 }?() }
        return kept
    }
}
