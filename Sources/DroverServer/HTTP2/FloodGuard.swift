import NIOCore

/// Counts frames that cost more to answer than to send, in windows of 100 ms.
struct FloodGuard {
    private var windowEnd = NIODeadline.uptimeNanoseconds(0)
    private var control = 0
    private var resets = 0
    private var empty = 0
    private var settings = 0

    enum Kind {
        /// Pings, priorities and answers to settings.
        case control
        case settings
        /// Resets by the client, and those that its faults bring about.
        case reset
        /// Data frames without data that end nothing.
        case empty
    }

    /// Whether the limit of this kind is passed.
    mutating func exceeds(_ kind: Kind, _ limits: ServerLimits) -> Bool {
        switch kind {
        case .control:
            control += 1
            if control <= limits.controlFramesPerTenth { return false }
        case .settings:
            settings += 1
            if settings <= limits.settingsPerTenth { return false }
        case .reset:
            resets += 1
            if resets <= limits.resetsPerTenth { return false }
        case .empty:
            empty += 1
            if empty <= limits.controlFramesPerTenth { return false }
        }
        // The clock is looked at only when a window's count is full.
        let now = NIODeadline.now()
        if now > windowEnd {
            windowEnd = now + .milliseconds(100)
            control = 0
            resets = 0
            empty = 0
            settings = 0
            return false
        }
        return true
    }
}
