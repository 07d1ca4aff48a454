import EtcdAPI
import NIOCore

/// Requests in etcd's wire form, and as much of its replies as a workload wants to know. By hand, since the load must cost
/// less than what it measures.
enum WireForm {
    static func path(_ operation: Operation) -> String {
        switch operation {
        case .put: "/etcdserverpb.KV/Put"
        case .get, .list, .count: "/etcdserverpb.KV/Range"
        case .delete: "/etcdserverpb.KV/DeleteRange"
        case .create, .update, .remove, .fill: "/etcdserverpb.KV/Txn"
        case .grant: "/etcdserverpb.Lease/LeaseGrant"
        case .keepAlive: "/etcdserverpb.Lease/LeaseKeepAlive"
        case .revoke: "/etcdserverpb.Lease/LeaseRevoke"
        case .compact: "/etcdserverpb.KV/Compact"
        case .lock: "/v3lockpb.Lock/Lock"
        case .unlock: "/v3lockpb.Lock/Unlock"
        }
    }

    // MARK: - Requests

    static func write(_ operation: Operation, into out: inout ByteBuffer) {
        switch operation {
        case .put(let key, let value, let lease): out.writePut(key, value, lease)
        case .get(let key):
            out.writeField(1, key)
            out.writeField(3, 1)
        case .list(let key, let end, let limit, let revision):
            out.writeField(1, key)
            out.writeField(2, end)
            if limit > 0 { out.writeField(3, limit) }
            if revision > 0 { out.writeField(4, revision) }
        case .count(let key, let end):
            out.writeField(1, key)
            out.writeField(2, end)
            out.writeField(9, 1)
        case .delete(let key, let end):
            out.writeField(1, key)
            if !end.isEmpty { out.writeField(2, end) }
        case .create(let key, let value, let lease):
            out.writeMessage(1) { $0.writeCompare(key, revision: 0) }
            out.writeMessage(2) { $0.writeMessage(2) { $0.writePut(key, value, lease) } }
        case .update(let key, let value, let revision):
            out.writeMessage(1) { $0.writeCompare(key, revision: revision) }
            out.writeMessage(2) { $0.writeMessage(2) { $0.writePut(key, value, 0) } }
            out.writeMessage(3) { $0.writeMessage(1) { $0.writeField(1, key) } }
        case .remove(let key, let revision):
            out.writeMessage(1) { $0.writeCompare(key, revision: revision) }
            out.writeMessage(2) { $0.writeMessage(3) { $0.writeField(1, key) } }
            out.writeMessage(3) { $0.writeMessage(1) { $0.writeField(1, key) } }
        case .fill(let puts):
            for put in puts { out.writeMessage(2) { $0.writeMessage(2) { $0.writePut(put.key, put.value, 0) } } }
        case .grant(let id, let seconds):
            out.writeField(1, seconds)
            if id != 0 { out.writeField(2, id) }
        case .keepAlive(let id), .revoke(let id): out.writeField(1, id)
        case .compact(let revision):
            out.writeField(1, revision)
            // Answered when what is compacted away is gone.
            out.writeField(2, Int64(1))
        case .lock(let name, let lease):
            out.writeField(1, name)
            out.writeField(2, lease)
        case .unlock(let key): out.writeField(1, key)
        }
    }

    static func watchCreate(_ plan: WatchPlan) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeMessage(1) { create in
            create.writeField(1, plan.key)
            if !plan.end.isEmpty { create.writeField(2, plan.end) }
            if plan.startRevision > 0 { create.writeField(3, plan.startRevision) }
            if plan.asksForProgress { create.writeField(4, 1) }
            if plan.wantsPrevious { create.writeField(6, 1) }
        }
        return out
    }

    static func credentials(_ name: String, _ password: String) -> [UInt8] {
        var out = ByteBuffer()
        out.writeField(1, Array(name.utf8))
        out.writeField(2, Array(password.utf8))
        return Array(out.readableBytesView)
    }

    /// A text of an answer: the token of Authenticate's, or the version of Status's, both of field 2.
    static func readText(_ bytes: UnsafeRawBufferPointer) throws -> String? {
        var reader = WireReader(bytes)
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 2 && type == 2 { return String(decoding: try reader.lengthDelimited(), as: UTF8.self) }
            try reader.skip(type, field: field)
        }
        return nil
    }

    /// A request of progress, empty.
    static let progressRequest: [UInt8] = [0x1a, 0x00]

    // MARK: - Replies

    static func read(_ operation: Operation, _ bytes: UnsafeRawBufferPointer) throws -> OperationResult {
        var result = OperationResult()
        result.bytes = bytes.count
        var reader = WireReader(bytes)
        switch operation {
        case .create, .update, .remove, .fill:
            // The last response of a transaction tells of the key that was read instead.
            result.succeeded = false
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                switch field {
                case 1: result.revision = try revision(try reader.lengthDelimited())
                case 2: result.succeeded = try reader.bool()
                case 3:
                    var inner = WireReader(try reader.lengthDelimited())
                    while !inner.isAtEnd {
                        let (kind, type) = try inner.tag()
                        if kind == 1 {
                            try range(try inner.lengthDelimited(), &result)
                        } else {
                            try inner.skip(type, field: kind)
                        }
                    }
                default: try reader.skip(type, field: field)
                }
            }
            if result.succeeded { result.modRevision = result.revision }
        case .get, .list, .count: try range(bytes, &result)
        case .lock:
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                switch field {
                case 1: result.revision = try revision(try reader.lengthDelimited())
                case 2: result.lockKey = Array(try reader.lengthDelimited())
                default: try reader.skip(type, field: field)
                }
            }
        case .grant, .keepAlive:
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                switch (field, type) {
                case (1, 2): result.revision = try revision(try reader.lengthDelimited())
                case (2, 0): result.lease = try reader.int64()
                // A lease that is gone has no time to live.
                case (3, 0): result.succeeded = try reader.int64() > 0
                default: try reader.skip(type, field: field)
                }
            }
        case .put, .delete, .revoke, .compact, .unlock:
            while !reader.isAtEnd {
                let (field, type) = try reader.tag()
                if field == 1 && type == 2 {
                    result.revision = try revision(try reader.lengthDelimited())
                    result.modRevision = result.revision
                } else {
                    try reader.skip(type, field: field)
                }
            }
        }
        return result
    }

    private static func revision(_ header: UnsafeRawBufferPointer) throws -> Int64 {
        var reader = WireReader(header)
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 3 && type == 0 { return try reader.int64() }
            try reader.skip(type, field: field)
        }
        return 0
    }

    private static func range(_ bytes: UnsafeRawBufferPointer, _ result: inout OperationResult) throws {
        var reader = WireReader(bytes)
        var last: UnsafeRawBufferPointer?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2):
                let header = try reader.lengthDelimited()
                if result.revision == 0 { result.revision = try revision(header) }
            case (2, 2):
                last = try reader.lengthDelimited()
                result.keys += 1
            case (3, 0): result.more = try reader.bool()
            case (4, 0): result.count = try reader.int64()
            default: try reader.skip(type, field: field)
            }
        }
        guard let last else { return }
        var kv = WireReader(last)
        while !kv.isAtEnd {
            let (field, type) = try kv.tag()
            switch (field, type) {
            case (1, 2): result.lastKey = Array(try kv.lengthDelimited())
            case (3, 0): result.modRevision = try kv.int64()
            default: try kv.skip(type, field: field)
            }
        }
    }

    struct WatchMessage {
        var isCreated = false
        var isCanceled = false
        var reason = ""
        var hasEvents = false

        var isProgress: Bool { !isCreated && !isCanceled && !hasEvents }
    }

    /// Reads a watch's message, and adds its events to a batch.
    static func readWatch(_ bytes: UnsafeRawBufferPointer, _ batch: inout WatchSink.Batch) throws -> WatchMessage {
        var message = WatchMessage()
        var reader = WireReader(bytes)
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (3, 0): message.isCreated = try reader.bool()
            case (4, 0): message.isCanceled = try reader.bool()
            case (6, 2): message.reason = String(decoding: try reader.lengthDelimited(), as: UTF8.self)
            case (11, 2):
                message.hasEvents = true
                var event = WireReader(try reader.lengthDelimited())
                while !event.isAtEnd {
                    let (field, type) = try event.tag()
                    guard field == 2 && type == 2 else {
                        try event.skip(type, field: field)
                        continue
                    }
                    try addKeyValue(try event.lengthDelimited(), to: &batch)
                }
            default: try reader.skip(type, field: field)
            }
        }
        return message
    }

    private static func addKeyValue(_ bytes: UnsafeRawBufferPointer, to batch: inout WatchSink.Batch) throws {
        var key = UnsafeRawBufferPointer(start: nil, count: 0)
        var value = key
        var revision: Int64 = 0
        var reader = WireReader(bytes)
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): key = try reader.lengthDelimited()
            case (3, 0): revision = try reader.int64()
            case (5, 2): value = try reader.lengthDelimited()
            default: try reader.skip(type, field: field)
            }
        }
        batch.add(key, revision, value)
    }
}

extension ByteBuffer {
    fileprivate mutating func writeVarint(_ value: UInt64) {
        var value = value
        while value > 127 {
            writeInteger(UInt8(truncatingIfNeeded: value) | 128)
            value >>= 7
        }
        writeInteger(UInt8(value))
    }

    fileprivate mutating func writeField(_ number: Int, _ bytes: [UInt8]) {
        writeVarint(UInt64(number << 3 | 2))
        writeVarint(UInt64(bytes.count))
        writeBytes(bytes)
    }

    fileprivate mutating func writeField(_ number: Int, _ value: Int64) {
        writeVarint(UInt64(number << 3))
        writeVarint(UInt64(bitPattern: value))
    }

    fileprivate mutating func writeMessage(_ number: Int, _ body: (inout ByteBuffer) -> Void) {
        var inner = ByteBuffer()
        body(&inner)
        writeVarint(UInt64(number << 3 | 2))
        writeVarint(UInt64(inner.readableBytes))
        writeBuffer(&inner)
    }

    fileprivate mutating func writePut(_ key: [UInt8], _ value: [UInt8], _ lease: Int64) {
        writeField(1, key)
        writeField(2, value)
        if lease != 0 { writeField(3, lease) }
    }

    /// That the key was last changed at the revision; 0 that it is not there.
    fileprivate mutating func writeCompare(_ key: [UInt8], revision: Int64) {
        writeField(2, 2)
        writeField(3, key)
        writeField(6, revision)
    }
}
