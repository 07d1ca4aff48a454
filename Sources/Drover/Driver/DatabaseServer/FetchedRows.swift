/// The rows that one statement of a ``ServerView`` answered, one after the other.
public protocol FetchedRows: AnyObject {
    /// How many there are.
    var count: Int { get }
    /// The next row, valid for as long as this object; nil when there is none. A value that was not asked for, or was
    /// left out for its length, has no address.
    func next() -> RowView?
    /// Goes to before the row of that number, the first being 0.
    func seek(_ row: Int)
}
