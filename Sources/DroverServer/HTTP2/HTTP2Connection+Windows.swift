import NIOCore

/// What the client says of its windows and settings. Source: RFC 9113, 6.5 and 6.9.
extension HTTP2Connection {
    func receiveSettings(_ head: HTTP2Frame.Head, _ payload: ByteBuffer) throws(HTTP2Frame.ErrorCode) {
        guard head.stream == 0 else { throw .protocolError }
        if head.has(HTTP2Frame.Flag.ack) {
            try countControl()
            guard head.length == 0 else { throw .frameSizeError }
            return
        }
        // A change of windows is one of each stream.
        if guardian.exceeds(.settings, limits) { throw .enhanceYourCalm }
        guard head.length % 6 == 0 else { throw .frameSizeError }
        var payload = payload
        var window = initialSendWindow
        while let (name, value) = payload.readMultipleIntegers(as: (UInt16, UInt32).self) {
            switch name {
            case HTTP2Frame.Setting.initialWindowSize:
                guard value <= 0x7fff_ffff else { throw .flowControlError }
                window = Int(value)
            case HTTP2Frame.Setting.headerTableSize:
                // Replies use no table; a peer that takes back what it gave by default must be told so.
                if value < 4_096 { owesTableSize = true }
            case HTTP2Frame.Setting.maxFrameSize:
                guard value >= 16_384, value <= 16_777_215 else { throw .protocolError }
            case HTTP2Frame.Setting.enablePush:
                guard value <= 1 else { throw .protocolError }
            default: break
            }
        }
        // What comes twice in a frame counts once, by its last value.
        let delta = window - initialSendWindow
        if delta != 0 {
            initialSendWindow = window
            for stream in streams.values {
                stream.sendWindow += delta
                guard stream.sendWindow <= 0x7fff_ffff else { throw .flowControlError }
                if !stream.queue.isEmpty { enlist(stream) }
            }
        }
        out.writeFrameHead(HTTP2Frame.Kind.settings, flags: HTTP2Frame.Flag.ack, stream: 0, length: 0)
        pump()
    }

    func receiveWindowUpdate(_ head: HTTP2Frame.Head, _ payload: ByteBuffer) throws(HTTP2Frame.ErrorCode) {
        guard head.length == 4 else { throw .frameSizeError }
        let increment = Int(payload.getInteger(at: payload.readerIndex, as: UInt32.self)! & 0x7fff_ffff)
        if head.stream == 0 {
            guard increment > 0 else { throw .protocolError }
            sendWindow += increment
            guard sendWindow <= 0x7fff_ffff else { throw .flowControlError }
        } else {
            guard head.stream <= highestStream else { throw .protocolError }
            guard let stream = streams[head.stream] else { return }
            stream.sendWindow += increment
            if increment == 0 || stream.sendWindow > 0x7fff_ffff {
                return try resetForFault(stream, increment == 0 ? .protocolError : .flowControlError)
            }
            if !stream.queue.isEmpty { enlist(stream) }
        }
        pump()
    }
}
