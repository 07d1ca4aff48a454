/// How long the write-ahead log is, as SQLite tells the writer at each commit.
final class WALFrames {
    /// Frames in the log.
    private(set) var count: Int32 = 0
    /// Frames of them that are in the database file already.
    var checkpointed: Int32 = 0

    func report(_ frames: Int32) {
        // Fewer than before: the log was begun anew.
        if frames < count { checkpointed = 0 }
        count = frames
    }
}
