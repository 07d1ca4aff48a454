import NIOCore

/// Room for long requests. A stream's window takes what most requests are; the rest of a longer one is let in when there is
/// room for it among others of the connection, in turn, so that many that are sent at once arrive one after the other and
/// none has to be refused.
extension HTTP2Connection {
    /// How long others wait for a message that is let in and does not come on.
    private static let patience = TimeAmount.seconds(5)
    /// Bytes for the padding of a few frames.
    private static let padding = 1_024

    /// A message of so many bytes, of which some have arrived, is not whole yet.
    func wantsRoom(_ stream: HTTP2Stream, message: Int, arrived: Int) {
        let missing = message - arrived - stream.receiveWindow
        if stream.claimedBytes > 0 {
            roomMovedAt = .now()
            // Padding takes of the window, too, and will of what is given for it.
            if missing > 0 { widen(stream, missing + Self.padding) }
            return
        }
        if missing <= 0 || stream.waitsForRoom { return }
        stream.wantedBytes = message
        if claimedBytes == 0 || waitingForRoom.isEmpty && hasRoom(for: stream) {
            return letIn(stream, missing: missing)
        }
        stream.waitsForRoom = true
        waitingForRoom.append(stream)
        // Those that do not wait any more are left in it until their turn comes, but not any number of them.
        if waitingForRoom.count > 2 * streams.count + 64 { waitingForRoom.removeAll { !$0.waitsForRoom } }
    }

    private func hasRoom(for stream: HTTP2Stream) -> Bool {
        claimedBytes == 0 || claimedBytes + stream.wantedBytes <= limits.usableBufferedRequestBytes / 4
    }

    private func letIn(_ stream: HTTP2Stream, missing: Int) {
        roomMovedAt = .now()
        stream.claimedBytes = stream.wantedBytes
        claimedBytes += stream.claimedBytes
        if missing > 0 { widen(stream, missing) }
    }

    private func widen(_ stream: HTTP2Stream, _ bytes: Int) {
        stream.receiveWindow += bytes
        writeWindowUpdate(stream.id, bytes)
    }

    /// The stream's message has arrived, or nobody waits for it any more. Does nothing where none was let in or waits.
    func givesRoomBack(_ stream: HTTP2Stream) {
        stream.waitsForRoom = false
        if stream.claimedBytes == 0 { return }
        claimedBytes -= stream.claimedBytes
        stream.claimedBytes = 0
        // What was let in besides is used up.
        stream.unacknowledged = max(0, limits.streamWindowBytes - stream.receiveWindow)
        if streams[stream.id] === stream { topUp(stream) }
        letInThoseThatWait()
    }

    /// - Parameter least: how many are let in whether or not there is room.
    private func letInThoseThatWait(least: Int = 0) {
        var least = least
        while let next = waitingForRoom.first {
            if next.waitsForRoom {
                guard least > 0 || hasRoom(for: next) else { return }
                least -= 1
                next.waitsForRoom = false
                let arrived = next.call?.inbound?.readableBytes ?? 0
                letIn(next, missing: next.wantedBytes - arrived - next.receiveWindow)
            }
            waitingForRoom.removeFirst()
        }
    }

    /// Those that were let in may have been forgotten by their clients, of which a proxy has several on one connection.
    func expireRoom(_ now: NIODeadline) {
        if waitingForRoom.isEmpty || roomMovedAt + Self.patience > now { return }
        letInThoseThatWait(least: 1)
        flush()
    }
}
