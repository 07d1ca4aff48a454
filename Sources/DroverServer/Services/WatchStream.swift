import Drover
import EtcdAPI
import NIOCore

/// `etcdserverpb.Watch`: one stream with any number of watches.
final class WatchStream: StreamSession {
    private unowned let stream: ServerStream
    private let context: LoopContext
    private var consumer: WatchConsumer!
    private var isOver = false
    private var fragmenting: Set<Int64> = []
    // Creates in flight, in order: their answers come in that order.
    private var creating: [Bool] = []

    /// Bytes of events that several watches are told, from which on none has a copy of its own before they are sent.
    private static let apartBytes = 8 << 10
    /// What one message can be, with room for its head.
    private static let longestResponse = Int(Int32.max) - 1_024
    private static let tooLong = CallStatus(
        code: 8,
        message: "drover: the events of one revision are longer than one message can be (2 GiB); watch with fragments"
    )

    init(_ stream: ServerStream) {
        self.stream = stream
        context = stream.context
        consumer = context.store.makeWatchConsumer(
            token: context.register(self),
            target: context,
            budget: stream.watchBudget
        )
    }

    func received(_ message: ByteBuffer) {
        do {
            guard let command = try message.withUnsafeReadableBytes({ try RequestDecoder.watch($0) }) else { return }
            switch command {
            case .create(let request, let fragments):
                creating.append(fragments)
                var request = request
                request.caller = stream.caller
                // Not answered by itself: answers come in the order of the requests.
                if !consumer.create(request) { stream.fail(DroverError(.tooManyRequests)) }
            case .cancel(let id):
                if !consumer.cancel(id) { stream.fail(DroverError(.tooManyRequests)) }
            case .progress: consumer.requestProgress()
            }
        } catch {
            stream.fail(error)
        }
    }

    func requestEnded() {
        // etcd goes on watching until the client leaves; a JSON client over HTTP/1.1 ends its request at once.
    }

    func ended() {
        isOver = true
        consumer.close()
        context.unregister(consumer.token)
    }

    func take(_ delivery: WatchDelivery) {
        if isOver {
            consumer.consumed(delivery.footprint)
            return
        }
        if case .events(let list, let withPrevious) = delivery.kind { return send(list, withPrevious, delivery) }
        var buffer = MessageBuffer.make(stream.allocator, capacity: 128)
        switch delivery.kind {
        case .events: break
        case .created:
            if !creating.isEmpty && creating.removeFirst() { fragmenting.insert(delivery.id) }
            ResponseEncoder.appendWatch(
                context.header,
                revision: delivery.revision,
                id: delivery.id,
                created: true,
                to: &buffer
            )
        case .refused(_, .timeout):
            // Etcd always makes a watch, and its clients take one that was refused for ended. A stream that ends so they
            // make anew, with all its watches, once the database is back.
            consumer.consumed(delivery.footprint)
            return stream.fail(DroverError(.timeout))
        case .refused(let reason, _):
            if !creating.isEmpty { creating.removeFirst() }
            ResponseEncoder.appendWatch(
                context.header,
                revision: delivery.revision,
                id: -1,
                created: true,
                cancelled: true,
                reason: reason,
                to: &buffer
            )
        case .progress:
            ResponseEncoder.appendWatch(context.header, revision: delivery.revision, id: delivery.id, to: &buffer)
        case .cancelled(let compactRevision, let cause):
            fragmenting.remove(delivery.id)
            ResponseEncoder.appendWatch(
                context.header,
                revision: delivery.revision,
                id: delivery.id,
                cancelled: true,
                compactRevision: compactRevision,
                reason: cause?.watchReason ?? "",
                to: &buffer
            )
        }
        send(&buffer, footprint: delivery.footprint)
    }

    private func send(_ buffer: inout ByteBuffer, footprint: Int) {
        MessageBuffer.seal(&buffer)
        stream.send(buffer, promise: promise(toGiveBack: footprint))
    }

    private func promise(toGiveBack footprint: Int) -> EventLoopPromise<Void> {
        let promise = context.loop.makePromise(of: Void.self)
        let consumer = consumer!
        promise.futureResult.whenComplete { _ in consumer.consumed(footprint) }
        return promise
    }

    private func send(_ list: EventList, _ withPrevious: Bool, _ delivery: WatchDelivery) {
        let isFragmenting = fragmenting.contains(delivery.id)
        if isFragmenting || list.footprint > context.configuration.limits.watchResponseBytes {
            return sendParts(list.events, withPrevious, delivery, fragments: isFragmenting)
        }
        func append(_ events: [SharedEvent], to buffer: inout ByteBuffer) {
            for shared in events {
                ResponseEncoder.appendWatchEvent(shared.event, withPrevious: withPrevious, to: &buffer)
            }
        }
        let allocator = stream.allocator
        let goesApart = list.isShared && list.footprint >= Self.apartBytes
        var buffer = MessageBuffer.make(allocator, capacity: goesApart ? 64 : list.footprint + 64)
        ResponseEncoder.appendWatch(context.header, revision: delivery.revision, id: delivery.id, to: &buffer)
        if list.isShared {
            var encoded = list.encoded(withPrevious: withPrevious) { events in
                var encoded = allocator.buffer(capacity: list.footprint)
                append(events, to: &encoded)
                return encoded
            }
            if goesApart {
                MessageBuffer.seal(
                    &buffer,
                    length: buffer.readableBytes - MessageBuffer.prefixBytes + encoded.readableBytes
                )
                return stream.send(buffer, encoded, promise: promise(toGiveBack: delivery.footprint))
            }
            buffer.writeBuffer(&encoded)
        } else {
            append(list.events, to: &buffer)
        }
        send(&buffer, footprint: delivery.footprint)
    }

    /// Sends events as several responses: fragments where the client knows those; else each of whole revisions, since many
    /// clients take no message longer than 4 MiB, and etcd sends them little more than a revision at once.
    private func sendParts(
        _ events: [SharedEvent],
        _ withPrevious: Bool,
        _ delivery: WatchDelivery,
        fragments: Bool
    ) {
        let sizes = events.map { ResponseEncoder.watchEventSize($0.event, withPrevious: withPrevious) }
        let limits = context.configuration.limits
        let limit = fragments ? limits.watchFragmentBytes : limits.watchResponseBytes
        var start = 0
        while start < sizes.count {
            // The client may be found to have gone while it is written to.
            if isOver { return consumer.consumed(delivery.footprint) }
            var end = start
            var bytes = 0
            while end < sizes.count,
                end == start || bytes + sizes[end] <= limit
                    || !fragments && events[end].event.kv.modRevision == events[end - 1].event.kv.modRevision
            {
                bytes += sizes[end]
                end += 1
            }
            let isLast = end == sizes.count
            if bytes > Self.longestResponse {
                consumer.consumed(delivery.footprint)
                return stream.fail(Self.tooLong)
            }
            var buffer = MessageBuffer.make(stream.allocator, capacity: bytes + 64)
            // A client that goes on from the header's revision must not miss what comes next.
            let revision =
                isLast || fragments ? delivery.revision : events[end - 1].event.kv.modRevision
            ResponseEncoder.appendWatch(
                context.header,
                revision: revision,
                id: delivery.id,
                fragment: fragments && !isLast,
                to: &buffer
            )
            for shared in events[start..<end] {
                ResponseEncoder.appendWatchEvent(shared.event, withPrevious: withPrevious, to: &buffer)
            }
            // The footprint is given back with the last part.
            send(&buffer, footprint: isLast ? delivery.footprint : 0)
            start = end
        }
    }
}
