extension Store {
    /// The alarms that are raised, as the database has them.
    public func alarms() async throws -> [Alarm] {
        try await onReader { store, reader in
            defer { reader.endSnapshot() }
            return try store.system(try reader.beginSnapshot(), reader)?.state.alarms ?? []
        }
    }

    /// Raises an alarm; nothing when it is raised already.
    public func activate(_ alarm: Alarm) async throws { _ = try await write(.system(.activate(alarm))) }

    /// Disarms an alarm; nothing when it is not raised. What has raised it is not mended by that: of a quota, delete,
    /// compact and defragment first.
    public func disarm(_ alarm: Alarm) async throws { _ = try await write(.system(.deactivate(alarm))) }

    /// Checks that the caller is anyone at all, or, where `administers`, has the role `root`. For servers.
    public func authorize(administers: Bool) async throws {
        let caller = Store.caller
        try await onReader { store, reader in
            defer { reader.endSnapshot() }
            let system = try store.system(try reader.beginSnapshot(), reader)
            if administers { try system?.checkAdministrator(caller) } else { try system?.checkUser(caller) }
        }
    }

    // MARK: - For servers

    /// Alarms, users and roles as a snapshot or a batch has them; nil while there were never any.
    public func system(_ meta: StoreMeta, _ view: any DriverView) throws -> LoadedSystem? {
        try system.load(meta, view)
    }

    /// Whether other instances may serve the database too.
    public var isShared: Bool { driver.isShared }

    /// The newest alarms, users and roles that this process has seen. Of an embedded database they are the newest there
    /// are; what another instance of a shared one has changed is seen within a poll of the database.
    public var currentSystem: LoadedSystem? { system.current }

    /// Checks a read of keys in its own snapshot. The alarm CORRUPT does not keep keys from being read, as in etcd.
    public func authorize(
        _ meta: StoreMeta,
        _ view: any DriverView,
        _ check: (LoadedSystem) throws -> Void
    ) throws {
        guard let system = try system.load(meta, view) else { return }
        try check(system)
    }
}
