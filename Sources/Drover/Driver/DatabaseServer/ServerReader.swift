/// A reader on a connection to a database server.
public protocol ServerReader: DriverReader, ForwardingView {
    associatedtype View: ServerView

    /// What it reads on.
    var held: ReaderConnection<View> { get }
}

extension ServerReader {
    public func readMeta() throws -> StoreMeta {
        try held.begin { view in
            let floor = try view.history.floor()
            let meta = try view.fetchMeta()
            try view.check(meta, since: floor)
            return meta
        }
    }

    public func beginSnapshot() throws -> StoreMeta { try held.beginSnapshot() }

    public func endSnapshot() { held.endSnapshot() }

    public func point(
        _ key: Bytes,
        values: Bool,
        longest: Int,
        _ body: (RowView) throws -> Void
    ) throws -> StoreMeta {
        try points([key], longest: values ? longest : -1) { try body($1) }
    }

    public func readingView() throws -> any DriverView { try held.inside() }
}
