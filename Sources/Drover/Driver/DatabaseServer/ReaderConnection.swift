/// The connection that a reader of a database server reads on, made anew when it is lost.
public final class ReaderConnection<View: ServerView> {
    private let server: String
    private let availability: Availability
    private let connect: () throws -> View
    private var view: View?
    private var inSnapshot = false

    /// Connects.
    ///
    /// - Parameters:
    ///   - server: the engine's name, for messages.
    ///   - availability: the driver's.
    ///   - connect: makes a connection with a view on it.
    /// - Throws: what `connect` throws.
    public init(to server: String, _ availability: Availability, connect: @escaping () throws -> View) throws {
        self.server = server
        self.availability = availability
        self.connect = connect
        view = try connect()
    }

    private func current() throws -> View {
        if let view, view.connection.isUsable(availability) { return view }
        view = nil
        inSnapshot = false
        let made = try connect()
        view = made
        return made
    }

    /// Runs what begins a read; a connection that turns out to be lost is made anew, since nothing has been read yet.
    /// Within a snapshot it is not: another would show another state.
    public func begin<R>(_ body: (View) throws -> R) throws -> R {
        if inSnapshot { return try body(inside()) }
        return try availability.run {
            let view = try current()
            do {
                return try body(view)
            } catch let failure as DriverFailure where view.connection.isBroken && failure.kind == .unavailable {
                return try body(current())
            }
        }
    }

    /// The view of the present snapshot: a new connection would show another state.
    ///
    /// - Throws: ``DriverFailure`` of kind `unavailable` when the connection was lost.
    public func inside() throws -> View {
        guard let view, !view.connection.isBroken else {
            throw DriverFailure(.unavailable, "the connection to \(server) was lost during a read", isUnreached: true)
        }
        return view
    }

    func beginSnapshot() throws -> StoreMeta {
        endSnapshot()
        return try begin { view in
            let floor = try view.history.floor()
            inSnapshot = true
            do {
                let meta = try view.openSnapshot()
                try view.check(meta, since: floor)
                return meta
            } catch {
                endSnapshot()
                throw error
            }
        }
    }

    func endSnapshot() {
        guard inSnapshot else { return }
        inSnapshot = false
        guard let view else { return }
        if view.connection.isBroken { return }
        do { try view.closeSnapshot() } catch { self.view = nil }
    }
}
