import DequeModule
import NIOCore

/// The state of one stream of HTTP/2 beside its call: windows, what waits to be sent, and which sides have ended.
final class HTTP2Stream {
    /// Something that waits for its turn or its window.
    enum Outbound {
        case data(ByteBuffer, EventLoopPromise<Void>?, endStream: Bool)
        /// A header block that ends the stream.
        case trailers([UInt8])
    }

    let id: UInt32
    /// The call, when the path is one of the API's.
    var call: ServerStream?
    /// The request, when the path is a plain one.
    var plain: PlainRequest?
    /// What a browser is told of the pages that may ask.
    var allowedOrigin: String?
    /// Bytes that the client has room for.
    var sendWindow: Int
    /// Bytes that the client may still send.
    var receiveWindow: Int
    /// Bytes received since the window was last topped up.
    var unacknowledged = 0
    /// Bytes of a long message that is let in; see HTTP2Connection+Room.
    var claimedBytes = 0
    /// Bytes of the long message that is to be let in, or was.
    var wantedBytes = 0
    /// Whether it waits to be let in.
    var waitsForRoom = false
    var queue: Deque<Outbound> = []
    var requestEnded = false
    /// Whether the frame that ends the reply is out.
    var replyEnded = false
    var isInPumpList = false
    /// Whether its data goes out before that of others: watches before long lists.
    var isUrgent = false
    /// Bytes in `queue`.
    var queuedBytes = 0

    init(_ id: UInt32, sendWindow: Int, receiveWindow: Int) {
        self.id = id
        self.sendWindow = sendWindow
        self.receiveWindow = receiveWindow
    }
}
