/// The system state as the database had it, with what is worked out of it once for all requests.
public final class LoadedSystem: Sendable {
    /// The system revision it belongs to.
    public let revision: Int64
    /// The state itself.
    public let state: SystemState
    private let users: PermissionTable

    /// - Parameter before: the state before it, whose permissions are kept where users and roles are the same.
    init(revision: Int64, state: SystemState, after before: LoadedSystem? = nil) {
        self.revision = revision
        self.state = state
        users = before.flatMap { $0.state.auth == state.auth ? $0.users : nil } ?? PermissionTable(state.auth)
    }

    /// Refuses what changes while the data is not to be trusted. Source: etcd `apply/corrupt.go`.
    func checkCorruption() throws(DroverError) {
        for alarm in state.alarms where alarm.kind == .corrupt { throw DroverError(.corrupt) }
    }

    /// Whether the quota has been reached and the alarm not disarmed.
    var isOutOfSpace: Bool { state.alarms.contains { $0.kind == .noSpace } }

    // MARK: - Who may do what

    /// The permissions of the caller; nil when everything is permitted.
    ///
    /// - Throws: ``DroverError`` with `userEmpty`, `invalidToken` or `permissionDenied`.
    private func permissions(of caller: Caller) throws(DroverError) -> UserPermissions? {
        if !state.auth.isEnabled { return nil }
        switch settled(caller) {
        case .trusted:
            return nil
        case .anonymous:
            throw DroverError(.userEmpty)
        case .refused, .bearer:
            throw DroverError(.invalidToken)
        case .user(let identity):
            let user = users.permissions(of: identity.name)
            switch identity.proof {
            case .token(let issuedAt):
                guard let user, issuedAt >= state.auth.enabledAt, issuedAt >= user.changedAt else {
                    throw DroverError(.invalidToken)
                }
                return user
            case .claims, .certificate:
                guard let user else { throw DroverError(.permissionDenied) }
                return user
            }
        }
    }

    /// Who the caller is by this state: known once for all that a call asks for.
    func settled(_ caller: Caller) -> Caller {
        guard case .bearer(let bearer) = caller, state.auth.isEnabled else { return caller }
        return bearer.identity(state.auth).map { .user($0) } ?? .refused
    }

    /// As ``permissions(of:)``, for keys: there claims of before the last change of auth count no longer. What
    /// administrators ask for goes by the user alone. Source: etcd `server/auth/store.go`, `isOpPermitted` and
    /// `IsAdminPermitted`.
    private func keyPermissions(of caller: Caller) throws(DroverError) -> UserPermissions? {
        let caller = settled(caller)
        if state.auth.isEnabled, case .user(let identity) = caller,
            case .claims(let revision) = identity.proof,
            revision < state.auth.revision
        {
            throw DroverError(.oldAuthRevision)
        }
        return try permissions(of: caller)
    }

    /// Whether the keys of a call decide what the caller may do. The bearer of a false token is refused at once; who shows
    /// none is refused by the first key that is asked for.
    private func keysDecide(_ caller: Caller) throws(DroverError) -> Bool {
        do {
            return try keyPermissions(of: caller) != nil
        } catch let error where error.code == .invalidToken {
            throw error
        } catch {
            return true
        }
    }

    /// Whether the caller is one whose permission depends on keys, for what is fetched ahead.
    func isAsked(_ caller: Caller) -> Bool { (try? mustWriteKeysOfLeases(caller)) == true }

    /// Whether the caller is anyone at all.
    public func checkUser(_ caller: Caller) throws(DroverError) {
        _ = try permissions(of: caller)
    }

    /// Whether the caller has the role `root`. Source: etcd `server/auth/store.go`, `IsAdminPermitted`: a user that does not
    /// exist is told so.
    public func checkAdministrator(_ caller: Caller) throws(DroverError) {
        let caller = settled(caller)
        if state.auth.isEnabled, case .user(let identity) = caller, state.auth.user(identity.name) == nil {
            switch identity.proof {
            case .token: break
            case .claims, .certificate: throw DroverError(.userNotFound)
            }
        }
        guard let user = try permissions(of: caller) else { return }
        if !user.isRoot { throw DroverError(.permissionDenied) }
    }

    /// Whether the caller may read every key of the range.
    public func checkRead(_ range: KeyRange, _ caller: Caller) throws(DroverError) {
        guard let user = try keyPermissions(of: caller) else { return }
        if !user.mayRead(range) { throw DroverError(.permissionDenied) }
    }

    /// Whether a watch that was permitted may go on: its user is still there and may read. That a token has become too old
    /// meanwhile does not end it.
    func mayStillRead(_ range: KeyRange, _ caller: Caller) -> Bool {
        if !state.auth.isEnabled { return true }
        switch settled(caller) {
        case .trusted: return true
        case .anonymous, .refused, .bearer: return false
        case .user(let identity): return users.permissions(of: identity.name)?.mayRead(range) ?? false
        }
    }

    /// Whether the caller may write every key of the range.
    public func checkWrite(_ range: KeyRange, _ caller: Caller) throws(DroverError) {
        guard let user = try keyPermissions(of: caller) else { return }
        if !user.mayWrite(range) { throw DroverError(.permissionDenied) }
    }

    /// Whether the caller is the user, or has the role `root`. Source: etcd lets users look at themselves.
    public func checkSelf(_ name: String, _ caller: Caller) throws(DroverError) {
        guard let user = try permissions(of: caller) else { return }
        if case .user(let identity) = settled(caller), ExactName(identity.name) == ExactName(name) { return }
        if !user.isRoot { throw DroverError(.permissionDenied) }
    }

    /// Whether the caller has the role, or that of `root`.
    public func checkOwnRole(_ role: String, _ caller: Caller) throws(DroverError) {
        guard let user = try permissions(of: caller) else { return }
        if !user.isRoot && !user.roles.contains(ExactName(role)) { throw DroverError(.permissionDenied) }
    }

    /// Whether the caller may carry the transaction out, whichever branch is taken.
    ///
    /// - Parameter attached: the keys of a lease. Source: etcd `apply/auth.go`.
    public func check(
        _ txn: TxnRequest,
        _ caller: Caller,
        attached: (Int64) throws -> [Bytes]
    ) throws {
        // Nothing is asked for where there is nothing to be done: etcd answers an empty transaction to anybody.
        if try !keysDecide(caller) { return }
        for compare in txn.compares { try checkRead(compare.range, caller) }
        for branch in [txn.success, txn.failure] {
            for operation in branch {
                switch operation {
                case .range(let request): try checkRead(request.range, caller)
                case .put(let request): try check(request, caller, attached: attached)
                case .deleteRange(let request): try check(request, caller)
                case .txn(let request): try check(request, caller, attached: attached)
                case .missing: break
                }
            }
        }
    }

    func check(_ put: PutRequest, _ caller: Caller, attached: (Int64) throws -> [Bytes]) throws {
        let range = KeyRange(lower: put.key, upper: .single)
        try checkWrite(range, caller)
        if put.wantsPrevious { try checkRead(range, caller) }
        // Whoever may put a key on a lease can have every other key of it deleted by letting it expire.
        if put.lease != 0 { try checkLease(put.lease, caller, attached: attached) }
    }

    func check(_ delete: DeleteRangeRequest, _ caller: Caller) throws(DroverError) {
        try checkWrite(delete.range, caller)
        if delete.wantsPrevious { try checkRead(delete.range, caller) }
    }

    /// Whether the caller may attach to the lease: whoever may write each of its keys, so that one without keys, and one that
    /// is not there, is anybody's but the bearer's of a false token. Source: etcd `apply/auth.go`, `checkLeasePuts`.
    private func checkLease(_ id: Int64, _ caller: Caller, attached: (Int64) throws -> [Bytes]) throws {
        if try !keysDecide(caller) { return }
        if let user = try? permissions(of: caller), user.isRoot { return }
        for key in try attached(id) { try checkWrite(KeyRange(lower: key, upper: .single), caller) }
    }

    /// Whether only its keys tell if the caller may renew or revoke a lease; false where it may whatever they are.
    ///
    /// - Throws: ``DroverError`` when the caller is nobody.
    public func mustWriteKeysOfLeases(_ caller: Caller) throws(DroverError) -> Bool {
        guard let user = try permissions(of: caller) else { return false }
        return !user.isRoot
    }

    /// Whether the caller may renew or revoke a lease: anyone who may write each of its keys. Source: etcd
    /// `server/etcdserver/v3_server.go`, `LeaseRevoke` and `checkLeaseRenew` (3.6.9 and later; before, whoever was nobody
    /// might do both).
    ///
    /// - Parameter attached: its keys.
    /// - Throws: ``DroverError`` with `userEmpty`, `invalidToken`, `oldAuthRevision` or `permissionDenied`; what `attached` throws.
    public func checkHolder(_ caller: Caller, attached: () throws -> [Bytes]) throws {
        let caller = settled(caller)
        if try !mustWriteKeysOfLeases(caller) { return }
        for key in try attached() { try checkWrite(KeyRange(lower: key, upper: .single), caller) }
    }

    /// Whether the caller may see which leases there are: anyone who may read all their keys. Source: etcd
    /// `server/etcdserver/v3_server.go`, `checkLeaseLeases`.
    ///
    /// - Throws: as ``checkHolder(_:attached:)``.
    public func checkLeases(_ leases: [Int64], _ caller: Caller, _ view: any DriverView) throws {
        let caller = settled(caller)
        if try !mustWriteKeysOfLeases(caller) { return }
        try view.forEachAttached(to: leases) { _, keys in
            for key in keys { try checkRead(KeyRange(lower: key, upper: .single), caller) }
        }
    }
}
