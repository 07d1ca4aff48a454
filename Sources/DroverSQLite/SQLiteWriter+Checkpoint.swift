import CSQLite
import CWriteAheadVFS
import Drover

extension SQLiteWriter {
    /// What the writer knows of the checkpoints that went before.
    struct Checkpoints {
        /// Frames in the write-ahead log at which the next whole one is due.
        var dueAt: Int32 = 0
        /// When new snapshots may be kept out again.
        var gatedAgainAt: Int64 = 0
        /// Slices could not be had: no thread, or no connection for the snapshot. The next log tries again.
        var areWhole = false
        var hasWarned = false
    }

    /// Bytes by which the log grows before a checkpoint that a snapshot has cut short is tried again.
    private static let retryBytes: Int64 = 4 << 20
    /// Slices in which a log that is due is copied. Measured: the longest puts with 4, 8 and 16 of them are 0.45, 0.4 and
    /// 0.36 times those with one; a million keys written at random are copied the more often the more there are.
    private static let slices: Int32 = 8
    /// How long snapshots that are open are waited for while new ones are kept out, in milliseconds, and how long it is before
    /// that is tried again, in nanoseconds.
    private static let gatedMilliseconds: Int32 = 100
    private static let gatedPause: Int64 = 1_000_000_000
    /// Bytes that are copied at most while they are kept out, unless the log has become a multiple of its limit.
    private static let gatedBytes: Int64 = 64 << 20
    private static let overgrown: Int64 = 4

    func upkeep(idle: Bool) {
        guard let open, !driver.gate.isOver else { return }
        let sync = drover_sync_state(open.connection.handle)
        if sync == DROVER_SYNC_FAILED { return giveUp(open) }
        if idle {
            reserve.grow()
            open.pin?.release()
            open.schedule.interrupt()
        }
        let frames = open.frames.count
        let threshold = max(Self.slices, Int32(clamping: driver.configuration.checkpointBytes / open.pageBytes))
        // The log has begun anew: what kept the last checkpoint is over.
        if frames < threshold { checkpoints.dueAt = 0 }
        if frames < threshold / Self.slices { checkpoints.areWhole = false }
        if frames <= open.frames.checkpointed { return }
        let bytes = Int64(frames) * open.pageBytes
        let isOvergrown = bytes > driver.configuration.walLimitBytes
        let due = max(threshold, checkpoints.dueAt)
        if idle {
            if frames < threshold / 4 { return }
        } else if isOvergrown || checkpoints.areWhole {
            if frames < due { return }
        } else if !slice(open, threshold / Self.slices, due: due, isSyncing: sync == DROVER_SYNC_GOES_ON) {
            return
        }
        checkpointWhole(open, SQLITE_CHECKPOINT_PASSIVE)
        if isOvergrown && MonotonicClock.nanoseconds() >= checkpoints.gatedAgainAt { begin(open, anewAt: bytes) }
    }

    /// Copies a slice of the log when it is time. Returns whether the rest of it is due.
    private func slice(_ open: Open, _ frames: Int32, due: Int32, isSyncing: Bool) -> Bool {
        switch open.schedule.next(frames: open.frames.count, slice: frames, due: due, isSyncing: isSyncing) {
        case .nothing:
            break
        case .pin:
            do {
                if open.pin == nil { open.pin = try SnapshotPin(driver) }
                try open.pin?.hold()
            } catch {
                open.schedule.interrupt()
                goWhole("\(error)")
            }
        case .copy:
            checkpoint(open, SQLITE_CHECKPOINT_PASSIVE)
            open.pin?.release()
            if !driver.gate.isOver && drover_sync_begin(open.connection.handle) == 0 {
                goWhole("there is no thread for the sync")
            }
        case .finish:
            return true
        }
        return false
    }

    private func goWhole(_ reason: String) {
        checkpoints.areWhole = true
        if checkpoints.hasWarned { return }
        checkpoints.hasWarned = true
        driver.logger.warning(
            "the write-ahead log is copied in one piece, which holds writers up for longer",
            metadata: ["reason": "\(reason)"]
        )
    }

    /// Keeps new snapshots out until the log can begin anew.
    private func begin(_ open: Open, anewAt bytes: Int64) {
        if Int64(open.frames.count - open.frames.checkpointed) * open.pageBytes <= Self.gatedBytes
            || bytes > Self.overgrown * driver.configuration.walLimitBytes
        {
            // After a RESTART it would be left to the next batch to begin the log anew, and a snapshot that is opened
            // before that batch can keep it from doing so.
            driver.gate.closed {
                sqlite3_busy_timeout(open.connection.handle, Self.gatedMilliseconds)
                checkpointWhole(open, SQLITE_CHECKPOINT_TRUNCATE)
                sqlite3_busy_timeout(open.connection.handle, SQLiteConnection.busyMilliseconds)
            }
            reserve.isDone = false
        }
        // A snapshot that stays open must not stop all others again and again.
        if open.frames.count > 0 { checkpoints.gatedAgainAt = MonotonicClock.nanoseconds() + Self.gatedPause }
    }

    /// Copies as much of the log as snapshots allow, and syncs it.
    func checkpointWhole(_ open: Open, _ mode: Int32) {
        open.pin?.release()
        open.schedule.interrupt()
        checkpoint(open, mode)
        // Where a snapshot keeps part of the log, trying at every batch would not help.
        checkpoints.dueAt = open.frames.count + Int32(Self.retryBytes / open.pageBytes)
    }

    private func checkpoint(_ open: Open, _ mode: Int32) {
        if driver.gate.isOver || !hasSynced(open) { return }
        var total: Int32 = 0
        var done: Int32 = 0
        let status = sqlite3_wal_checkpoint_v2(open.connection.handle, nil, mode, &total, &done)
        // Once it is all of them the next batch begins the log anew, unless a reader still needs it.
        if done >= 0 { open.frames.checkpointed = done }
        if status == SQLITE_OK && done == total && mode == SQLITE_CHECKPOINT_TRUNCATE { open.frames.report(0) }
        if status == SQLITE_OK || status == SQLITE_BUSY { return }
        if sqlite3_extended_errcode(open.connection.handle) == SQLiteConnection.syncError { return giveUp(open) }
        driver.logger.warning(
            "a checkpoint of the write-ahead log failed and will be tried again",
            metadata: ["reason": "\(open.connection.failure(status))"]
        )
    }

    /// Waits for the sync of a slice. Returns whether the database file can still be believed.
    @discardableResult
    func hasSynced(_ open: Open) -> Bool {
        if drover_sync_end(open.connection.handle) != 0 { return true }
        giveUp(open)
        return false
    }

    /// The system forgets a failed sync with the next one, and may have forgotten what was to be synced: of what slices have
    /// copied, SQLite reads some from the database file already. So nothing is read or written any more, and the log is kept
    /// for the next start, which copies all of it anew.
    private func giveUp(_ open: Open) {
        if driver.gate.isOver { return }
        driver.gate.shut()
        // The last connection that closes would copy the rest and take the log away.
        _ = drover_set_no_checkpoint_on_close(open.connection.handle)
        driver.logger.error(
            "the disk could not sync the database file; nothing acknowledged is lost, but nothing is read or written until a restart: see to the disk first"
        )
    }
}
