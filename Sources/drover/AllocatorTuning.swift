#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// How glibc's allocator keeps the buffers of long lists.
enum AllocatorTuning {
    // Source: mallopt(3). Swift's view of the C library leaves the function and its constants out.
    private static let trimThreshold: Int32 = -1
    private static let topPad: Int32 = -2
    private static let mapThreshold: Int32 = -3
    private static let arenaMax: Int32 = -8

    /// By default a buffer of 128 KiB or more is mapped when it is made and unmapped when it is done with, and each of its
    /// pages is zeroed by the kernel in between: 6 % of the time of a whole list. Up to 32 MiB are kept instead.
    ///
    /// What one thread makes and another is done with goes back to the arena that it came from, to wait for the first one to
    /// need it again. By default eight arenas for each core may do so; two are enough to keep threads apart.
    static func apply() {
        guard let symbol = dlsym(nil, "mallopt") else { return }
        let mallopt = unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
        _ = mallopt(mapThreshold, 8 << 20)
        _ = mallopt(trimThreshold, 32 << 20)
        _ = mallopt(topPad, 1 << 20)
        // What is set from outside by this name is left as it is.
        if getenv("MALLOC_ARENA_MAX") == nil {
            _ = mallopt(arenaMax, Int32(2 * max(2, min(1_024, sysconf(Int32(_SC_NPROCESSORS_ONLN))))))
        }
    }
}
