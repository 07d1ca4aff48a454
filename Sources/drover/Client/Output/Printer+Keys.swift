import EtcdAPI

/// What `get`, `put`, `del` and `txn` print.
extension Printer {
    func show(_ reply: PBRangeResponse, valueOnly: Bool = false) throws {
        try show(reply, fields: { $0.range(reply) }) { $0.range(reply, hex: isHex, valueOnly: valueOnly) }
    }

    func show(_ reply: PBPutResponse) throws {
        try show(reply, fields: { $0.put(reply) }) { $0.put(reply, hex: isHex) }
    }

    func show(_ reply: PBDeleteRangeResponse) throws {
        try show(reply, fields: { $0.deletion(reply) }) { $0.deletion(reply, hex: isHex) }
    }

    func show(_ reply: PBTxnResponse) throws {
        try show(reply, fields: { $0.txn(reply) }, json: { try GoJSON.text(reply) }) { $0.txn(reply, hex: isHex) }
    }
}

extension TextBuffer {
    mutating func range(_ reply: PBRangeResponse, hex: Bool, valueOnly: Bool = false) {
        for kv in reply.kvs { pair(kv, hex: hex, valueOnly: valueOnly) }
    }

    mutating func put(_ reply: PBPutResponse, hex: Bool) {
        line("OK")
        if reply.hasPrevKv { pair(reply.prevKv, hex: hex) }
    }

    mutating func deletion(_ reply: PBDeleteRangeResponse, hex: Bool) {
        line("\(reply.deleted)")
        for kv in reply.prevKvs { pair(kv, hex: hex) }
    }

    mutating func txn(_ reply: PBTxnResponse, hex: Bool) {
        line(reply.succeeded ? "SUCCESS" : "FAILURE")
        for operation in reply.responses {
            line("")
            switch operation.response {
            case .responseRange(let reply): range(reply, hex: hex)
            case .responsePut(let reply): put(reply, hex: hex)
            case .responseDeleteRange(let reply): deletion(reply, hex: hex)
            case .responseTxn(let reply): txn(reply, hex: hex)
            case nil: break
            }
        }
    }
}

extension FieldText {
    mutating func range(_ reply: PBRangeResponse) {
        header(reply.header)
        for kv in reply.kvs { pair(kv) }
        field("More", reply.more)
        field("Count", reply.count)
    }

    mutating func put(_ reply: PBPutResponse) {
        header(reply.header)
        if reply.hasPrevKv { pair(reply.prevKv, prefix: "Prev") }
    }

    mutating func deletion(_ reply: PBDeleteRangeResponse) {
        header(reply.header)
        field("Deleted", reply.deleted)
        for kv in reply.prevKvs { pair(kv, prefix: "Prev") }
    }

    mutating func txn(_ reply: PBTxnResponse) {
        header(reply.header)
        field("Succeeded", reply.succeeded)
        for operation in reply.responses {
            switch operation.response {
            case .responseRange(let reply): range(reply)
            case .responsePut(let reply): put(reply)
            case .responseDeleteRange(let reply): deletion(reply)
            case .responseTxn(let reply): txn(reply)
            case nil: break
            }
        }
    }
}
