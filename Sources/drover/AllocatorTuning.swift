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

    /// By default a buffer of 128 KiB or more is mapped when it is made and unmapped when it is done with, and each of its
    /// pages is zeroed by the kernel in between: 6 % of the time of a whole list. Up to 32 MiB are kept instead.
    static func apply() {
        guard let symbol = dlsym(nil, "mallopt") else { return }
        let mallopt = unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
        _ = mallopt(mapThreshold, 8 << 20)
        _ = mallopt(trimThreshold, 32 << 20)
        _ = mallopt(topPad, 1 << 20)
    }
}
