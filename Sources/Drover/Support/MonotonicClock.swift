/// The monotonic clock, for drivers.
public enum MonotonicClock {
    /// Nanoseconds since some moment in the past.
    public static func nanoseconds() -> Int64 { Monotonic.now() }
}
