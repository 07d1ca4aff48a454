/// A driver that a store is being opened on, which closes it when that comes to nothing.
final class OpenDriver {
    private var driver: (any Driver)?

    init(_ driver: any Driver) { self.driver = driver }

    /// The store is open, and closes the driver itself.
    func keep() { driver = nil }

    deinit { driver?.close() }
}
