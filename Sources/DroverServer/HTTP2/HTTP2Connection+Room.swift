import NIOCore

/// Room for long requests. A stream's window takes what most requests are; the rest of a longer one is let in when there is
/// room for it among others of the connection, in turn, so that many that are sent at once arrive one after the other and
/// none has to be refused.
extension HTTP2Connection {
    /// A message of so many bytes, of which some have arrived, is longer than the stream's window lets through.
    func wantsRoom(_ stream: HTTP2Stream, message: Int, arrived: Int) {
        if stream.claimedBytes > 0 || stream.waitsForRoom { return }
        let missing = message - arrived - stream.receiveWindow
        if missing <= 0 { return }
        if claimedBytes == 0
            || waitingForRoom.isEmpty && claimedBytes + message <= limits.usableBufferedRequestBytes / 4
        {
            letIn(stream, message: message, missing: missing)
        } else {
            stream.waitsForRoom = true
            waitingForRoom.append((stream, message, missing))
        }
    }

    private func letIn(_ stream: HTTP2Stream, message: Int, missing: Int) {
        stream.claimedBytes = message
        claimedBytes += message
        stream.receiveWindow += missing
        writeWindowUpdate(stream.id, missing)
    }

    /// The stream's message has arrived, or nobody waits for it any more.
    func givesRoomBack(_ stream: HTTP2Stream) {
        stream.waitsForRoom = false
        if stream.claimedBytes == 0 { return }
        claimedBytes -= stream.claimedBytes
        stream.claimedBytes = 0
        // What was let in besides is used up.
        stream.unacknowledged = max(0, limits.streamWindowBytes - stream.receiveWindow)
        while let next = waitingForRoom.first {
            if !next.stream.waitsForRoom {
                waitingForRoom.removeFirst()
                continue
            }
            if claimedBytes > 0 && claimedBytes + next.message > limits.usableBufferedRequestBytes / 4 { return }
            waitingForRoom.removeFirst()
            next.stream.waitsForRoom = false
            letIn(next.stream, message: next.message, missing: next.missing)
        }
    }
}
