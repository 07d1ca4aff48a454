import Synchronization

/// Notices a shared database that has lost what this instance has seen: one restored from a backup, or a standby that
/// was promoted before it had everything.
///
/// To go on would issue revisions twice. Once noticed, every call is refused until somebody has looked at it. What no
/// instance that still runs has seen cannot be noticed.
public final class HistoryGuard: Sendable {
    /// What was known at a moment.
    public struct Floor: Sendable, Hashable {
        /// The newest revision.
        public var revision: Int64 = 0
        /// The newest batch.
        public var batch: Int64 = 0
        /// The start of the newest generation of the history, if any was seen.
        public var generationStart: Int64?
        /// The newest event that was seen, or committed here.
        public var witness: HistoryWitness?

        /// Nothing seen.
        public init() {}

        /// Takes an event as the witness where it is newer than the one that is known; it is copied only then.
        fileprivate mutating func keep(_ place: LogPosition, _ event: @autoclosure () -> HistoryWitness) {
            if let known = witness?.place, known >= place { return }
            witness = event()
        }
    }

    private struct State {
        var floor = Floor()
        var fault: DriverFailure?
    }

    private let state = Mutex(State())

    /// Nothing seen yet.
    public init() {}

    /// What is known now. Take it before the statement whose answer is checked.
    public func floor() throws -> Floor {
        try state.withLock { state in
            if let fault = state.fault { throw fault }
            return state.floor
        }
    }

    /// Checks a row of `meta` against what was known before it was asked for.
    ///
    /// - Parameters:
    ///   - floor: what was known before the row was asked for.
    ///   - connectedAt: what was known before its connection was made. A connection may be to a server that others have
    ///     turned away from since, such as a primary that was made a replica: it proves a loss only of what was known
    ///     when that server was found to be the one to use.
    /// - Throws: ``DriverFailure`` of kind `forked`, and `unavailable` when the connection must be given up.
    public func check(_ meta: StoreMeta, since floor: Floor, connectedAt: Floor) throws {
        try state.withLock { state in
            if let fault = state.fault { throw fault }
            let isBehind = meta.revision < floor.revision || meta.batch < floor.batch
            let known = state.floor.generationStart
            let isOther = known != nil && known != meta.generationStart
            let isProof =
                isBehind
                ? meta.revision < connectedAt.revision || meta.batch < connectedAt.batch
                : connectedAt.generationStart == known
            if (isBehind || isOther) && !isProof {
                throw DriverFailure(
                    .unavailable,
                    "the server of this connection is not the one that others write to now"
                )
            }
            if isBehind {
                throw Self.fork(&state, now: meta.revision, seen: floor.revision)
            }
            if isOther && state.floor.revision > meta.generationStart {
                // Others have gone on from less than this instance has seen.
                throw Self.fork(&state, now: meta.generationStart, seen: state.floor.revision)
            }
            state.floor.generationStart = meta.generationStart
            state.floor.revision = max(state.floor.revision, meta.revision)
            state.floor.batch = max(state.floor.batch, meta.batch)
        }
    }

    /// A batch of this instance was committed: what comes out of it is known from here on.
    public func didCommit(_ changes: ChangeSet) {
        state.withLock { state in
            state.floor.revision = max(state.floor.revision, changes.revision)
            state.floor.batch = max(state.floor.batch, changes.base.batch + 1)
            if let event = changes.events.last {
                state.floor.keep(LogPosition(main: event.main, sub: event.sub), HistoryWitness(event))
            }
        }
    }

    /// A row of the log was read, with its value or, where that was too long to come with others, its length.
    public func didSee(_ row: RowView) {
        state.withLock { $0.floor.keep(LogPosition(main: row.main, sub: row.sub), HistoryWitness(row)) }
    }

    /// Checks what a connection that was just made shows where the newest event known before lay: others may have written
    /// past a copy that was put back, so that no number shows it.
    ///
    /// - Parameters:
    ///   - witness: the event.
    ///   - found: the row at its place; nil when there is none.
    ///   - meta: read after the row.
    /// - Throws: ``DriverFailure`` of kind `forked`.
    public func check(_ witness: HistoryWitness, found: HistoryWitness?, meta: StoreMeta) throws {
        if let found {
            if found.isSame(as: witness) { return }
        } else if witness.place.main <= meta.compacted {
            // Something newer may have taken its place.
            return
        }
        try state.withLock { state in
            if let fault = state.fault { throw fault }
            throw Self.fork(
                &state,
                "revision \(witness.place.main) is \(found == nil ? "not there" : "another one") now, its history stands at \(meta.revision)"
            )
        }
    }

    private static func fork(_ state: inout State, now: Int64, seen: Int64) -> DriverFailure {
        fork(&state, "its history stands at \(now), this instance has seen \(seen)")
    }

    private static func fork(_ state: inout State, _ reason: String) -> DriverFailure {
        let fault = DriverFailure(
            .forked,
            "drover: the database has lost revisions that were acknowledged: \(reason). Restore the newest copy, or restart all instances to accept the loss"
        )
        state.fault = fault
        return fault
    }
}
