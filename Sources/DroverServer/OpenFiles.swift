#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The process's limit on open files, of which every connection takes one.
package enum OpenFiles {
    /// How many files may be open, and how many at most after ``raiseLimit()``; nil where the system does not say.
    private static var limits: rlimit? {
        var limits = rlimit()
        return getrlimit(resource, &limits) == 0 ? limits : nil
    }

    #if canImport(Darwin)
        private static let resource = RLIMIT_NOFILE
    #else
        private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #endif

    /// How many files may be open; nil where the system does not say.
    package static var limit: UInt64? { limits.map { UInt64($0.rlim_cur) } }

    /// Raises the soft limit to the hard one, as Go's runtime does for etcd and kine.
    package static func raiseLimit() {
        guard var limits, limits.rlim_cur < limits.rlim_max else { return }
        limits.rlim_cur = limits.rlim_max
        _ = setrlimit(resource, &limits)
    }
}
