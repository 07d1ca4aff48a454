import EtcdAPI
import NIOCore
import SwiftProtobuf

/// Puts a long list into JSON piece by piece, as it is read.
///
/// Pieces of a range response are cut between rows, so each is a message of its own: the first has the header, the last
/// the count, all have rows.
struct GatewayListJSON {
    private var isFirst = true
    private var hasRows = false
    private var more = false
    private var count: Int64 = 0

    /// The JSON of the next piece. The first one begins with the wire form's prefix.
    mutating func piece(_ wire: ByteBuffer) throws -> ByteBuffer {
        let bytes = Array(wire.readableBytesView.dropFirst(isFirst ? MessageBuffer.prefixBytes : 0))
        let part = try PBRangeResponse(serializedBytes: bytes)
        var text = ByteBuffer()
        text.reserveCapacity(bytes.count * 3 / 2)
        if isFirst {
            isFirst = false
            text.writeString("{\"header\":")
            text.writeBytes(try GatewayJSON.text(part.header))
            text.writeString(",\"kvs\":[")
        }
        for kv in part.kvs {
            if hasRows { text.writeString(",") }
            hasRows = true
            text.writeBytes(try GatewayJSON.text(kv))
        }
        more = more || part.more
        count = max(count, part.count)
        return text
    }

    /// What comes after the last piece.
    func end() -> ByteBuffer {
        var text = ByteBuffer(string: "]")
        if more { text.writeString(",\"more\":true") }
        if count > 0 { text.writeString(",\"count\":\"\(count)\"") }
        text.writeString("}")
        return text
    }
}
