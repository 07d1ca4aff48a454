/// When how much of the write-ahead log goes to the database file while batches go on.
///
/// One checkpoint of the whole log holds every writer up for as long as it takes to copy and sync all of it. So it is
/// copied a slice at a time and synced beside the next batches; what is left for the end is what came after the last
/// slice. A slice ends where a snapshot was taken: SQLite leaves the sync out then, since a log of which frames are
/// still to be copied cannot be begun anew (`walCheckpoint` in wal.c), and what is not synced is in the log as well.
struct CheckpointSchedule {
    enum Action: Equatable {
        case nothing
        /// Take a snapshot: the slice ends here.
        case pin
        /// Copy what is before the snapshot, give it back, and begin a sync on another thread.
        case copy
        /// Copy the rest and wait for its sync: the next batch may begin the log anew.
        case finish
    }

    private enum State {
        case waiting
        case pinned(at: Int32)
        case syncing
    }

    private var state = State.waiting
    private var seen: Int32 = 0
    /// Frames at which the next slice is due.
    private var sliceAt: Int32 = 0
    /// Where the last slice ended.
    private var copied: Int32 = 0

    /// What is to be done after a batch.
    ///
    /// - Parameters:
    ///   - frames: the log's.
    ///   - slice: how many a slice has.
    ///   - due: how many make the end of the whole due.
    ///   - isSyncing: the sync of the last slice goes on.
    mutating func next(frames: Int32, slice: Int32, due: Int32, isSyncing: Bool) -> Action {
        if frames < seen { self = CheckpointSchedule() }
        seen = frames
        switch state {
        case .waiting:
            if frames < max(slice, sliceAt) { return .nothing }
            state = .pinned(at: frames)
            return .pin
        case .pinned(let end):
            if frames == end { return .nothing }
            state = .syncing
            copied = end
            sliceAt = frames + slice
            return .copy
        case .syncing:
            if isSyncing { return .nothing }
            state = .waiting
            return copied >= due ? .finish : .nothing
        }
    }

    /// No snapshot could be taken, or it was given back.
    mutating func interrupt() { state = .waiting }
}
