#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A thread of our own, for calls that block: they must never run on an event loop or on Swift's cooperative pool.
package final class WorkerThread: @unchecked Sendable {
    // Written once by `init` before anything else can see the object, and read by `join` alone.
    private var handle = pthread_t()

    private final class Box {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread. Linux shows at most 15 bytes of the name.
    init(name: String, body: @escaping @Sendable () -> Void) {
        let status = Self.start(&handle, name, body)
        precondition(status == 0, "a thread could not be started: the process is out of threads or memory")
    }

    /// Starts a thread whose end nobody will wait for; false where the process has none left.
    package static func detached(name: String, body: @escaping @Sendable () -> Void) -> Bool {
        var handle = pthread_t()
        guard start(&handle, name, body) == 0 else { return false }
        pthread_detach(handle)
        return true
    }

    private static func start(_ handle: inout pthread_t, _ name: String, _ body: @escaping @Sendable () -> Void)
        -> Int32
    {
        let box = Unmanaged.passRetained(Box(name: name, body: body))
        let status = pthread_create(
            &handle,
            nil,
            { raw in
                #if canImport(Darwin)
                    let box = Unmanaged<Box>.fromOpaque(raw).takeRetainedValue()
                    pthread_setname_np(box.name)
                #else
                    let box = Unmanaged<Box>.fromOpaque(raw!).takeRetainedValue()
                    nameThisThread(box.name)
                #endif
                box.body()
                return nil
            },
            box.toOpaque()
        )
        if status != 0 { box.release() }
        return status
    }

    /// Nobody will wait for the thread's end: what it takes is given back then.
    func detach() {
        pthread_detach(handle)
    }

    /// Waits for the thread's end.
    func join() {
        pthread_join(handle, nil)
    }
}

#if !canImport(Darwin)
    // `pthread_setname_np` is hidden behind _GNU_SOURCE; the kernel takes the name from here as well.
    private func nameThisThread(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(file, bytes, bytes.count)
        close(file)
    }
#endif
