import Drover

/// All kernels.
package enum KernelCatalog {
    /// Those that need nothing but a directory for temporary files, and those of each endpoint given.
    ///
    /// - Parameter endpoints: of database servers, such as `postgres://…`; SQLite is there where it was built in.
    package static func all(endpoints: [String]) -> [Kernel] {
        var kernels = CodecKernels.all + JSONKernels.all
        #if SQLite
            kernels += StoreKernels.all + WatchKernels.all + DriverKernels.all(.temporary)
        #endif
        for endpoint in endpoints { kernels += DriverKernels.all(.endpoint(endpoint)) }
        return kernels
    }
}
