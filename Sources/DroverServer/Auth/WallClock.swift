#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The time of day, which other instances share.
enum WallClock {
    /// Seconds since 1970.
    static func seconds() -> Int64 { Int64(time(nil)) }
}
