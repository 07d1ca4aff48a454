public import Drover

/// The hand-tuned decoders of the hot requests. Tests hold them equal to the generated code.
public enum RequestDecoder {
    /// No limit on operations lets a transaction be nested deeper.
    private static let maximumDepth = 130

    public static func range(_ bytes: UnsafeRawBufferPointer) throws -> RangeRequest {
        var reader = WireReader(bytes)
        var key: Bytes = []
        var end: Bytes = []
        var request = RangeRequest(key: [])
        // Of a field that comes twice the last counts.
        var (isOrderKnown, isTargetKnown) = (true, true)
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): key = try reader.bytes()
            case (2, 2): end = try reader.bytes()
            case (3, 0): request.limit = try reader.int64()
            case (4, 0): request.revision = try reader.int64()
            case (5, 0):
                let raw = Int(Int32(truncatingIfNeeded: try reader.int64()))
                let order = RangeRequest.SortOrder(rawValue: raw)
                isOrderKnown = order != nil
                request.sortOrder = order ?? .none
            case (6, 0):
                let raw = Int(Int32(truncatingIfNeeded: try reader.int64()))
                let target = RangeRequest.SortTarget(rawValue: raw)
                isTargetKnown = target != nil
                request.sortTarget = target ?? .key
            case (7, 0): request.serializable = try reader.bool()
            case (8, 0): request.keysOnly = try reader.bool()
            case (9, 0): request.countOnly = try reader.bool()
            case (10, 0): request.minModRevision = try reader.int64()
            case (11, 0): request.maxModRevision = try reader.int64()
            case (12, 0): request.minCreateRevision = try reader.int64()
            case (13, 0): request.maxCreateRevision = try reader.int64()
            default: try reader.skip(type, field: field)
            }
        }
        request.hasInvalidSort = !isOrderKnown || !isTargetKnown
        request.range = KeyRange(key: key, rangeEnd: end)
        return request
    }

    public static func put(_ bytes: UnsafeRawBufferPointer) throws -> PutRequest {
        var reader = WireReader(bytes)
        var request = PutRequest(key: [], value: [])
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): request.key = try reader.bytes()
            case (2, 2): request.value = try reader.bytes()
            case (3, 0): request.lease = try reader.int64()
            case (4, 0): request.wantsPrevious = try reader.bool()
            case (5, 0): request.ignoresValue = try reader.bool()
            case (6, 0): request.ignoresLease = try reader.bool()
            default: try reader.skip(type, field: field)
            }
        }
        return request
    }

    public static func deleteRange(_ bytes: UnsafeRawBufferPointer) throws -> DeleteRangeRequest {
        var reader = WireReader(bytes)
        var key: Bytes = []
        var end: Bytes = []
        var wantsPrevious = false
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): key = try reader.bytes()
            case (2, 2): end = try reader.bytes()
            case (3, 0): wantsPrevious = try reader.bool()
            default: try reader.skip(type, field: field)
            }
        }
        return DeleteRangeRequest(KeyRange(key: key, rangeEnd: end), wantsPrevious: wantsPrevious)
    }

    public static func txn(_ bytes: UnsafeRawBufferPointer) throws -> TxnRequest {
        try txn(bytes, depth: 0)
    }

    private static func txn(_ bytes: UnsafeRawBufferPointer, depth: Int) throws -> TxnRequest {
        if depth > maximumDepth { throw WireError.tooDeep }
        var reader = WireReader(bytes)
        var request = TxnRequest()
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): request.compares.append(try compare(try reader.lengthDelimited()))
            case (2, 2): request.success.append(try operation(try reader.lengthDelimited(), depth: depth))
            case (3, 2): request.failure.append(try operation(try reader.lengthDelimited(), depth: depth))
            default: try reader.skip(type, field: field)
            }
        }
        return request
    }

    private static func operation(_ bytes: UnsafeRawBufferPointer, depth: Int) throws -> RequestOperation {
        var reader = WireReader(bytes)
        var result: RequestOperation?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): result = .range(try range(try reader.lengthDelimited()))
            case (2, 2): result = .put(try put(try reader.lengthDelimited()))
            case (3, 2): result = .deleteRange(try deleteRange(try reader.lengthDelimited()))
            case (4, 2): result = .txn(try txn(try reader.lengthDelimited(), depth: depth + 1))
            default: try reader.skip(type, field: field)
            }
        }
        return result ?? .missing
    }

    private static func compare(_ bytes: UnsafeRawBufferPointer) throws -> Compare {
        var reader = WireReader(bytes)
        var key: Bytes = []
        var end: Bytes = []
        var relation = 0
        var target = 0
        var number: (field: Int, value: Int64) = (0, 0)
        var value: Bytes?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 0): relation = Int(Int32(truncatingIfNeeded: try reader.int64()))
            case (2, 0): target = Int(Int32(truncatingIfNeeded: try reader.int64()))
            case (3, 2): key = try reader.bytes()
            case (4, 0), (5, 0), (6, 0), (8, 0):
                number = (field, try reader.int64())
                value = nil
            case (7, 2):
                value = try reader.bytes()
                number = (0, 0)
            case (64, 2): end = try reader.bytes()
            default: try reader.skip(type, field: field)
            }
        }
        // A union that does not go with the target counts as zero, as in etcd.
        func given(_ field: Int) -> Int64 { number.field == field ? number.value : 0 }
        let condition: Compare.Target
        switch target {
        case 0: condition = .version(given(4))
        case 1: condition = .createRevision(given(5))
        case 2: condition = .modRevision(given(6))
        case 3: condition = .value(value ?? [])
        case 4: condition = .lease(given(8))
        default: condition = .unknown
        }
        // etcd lets a relation that it does not know hold always.
        let known = Compare.Relation(rawValue: relation) ?? .unknown
        return Compare(KeyRange(key: key, rangeEnd: end), condition, known)
    }

    /// A message on a watch stream; nil when its union is empty.
    public static func watch(_ bytes: UnsafeRawBufferPointer) throws -> WatchCommand? {
        var reader = WireReader(bytes)
        var command: WatchCommand?
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): command = try watchCreate(try reader.lengthDelimited())
            case (2, 2):
                var inner = WireReader(try reader.lengthDelimited())
                var id: Int64 = 0
                while !inner.isAtEnd {
                    let (field, type) = try inner.tag()
                    if field == 1 && type == 0 { id = try inner.int64() } else { try inner.skip(type, field: field) }
                }
                command = .cancel(id)
            case (3, 2):
                _ = try reader.lengthDelimited()
                command = .progress
            default: try reader.skip(type, field: field)
            }
        }
        return command
    }

    private static func watchCreate(_ bytes: UnsafeRawBufferPointer) throws -> WatchCommand {
        var reader = WireReader(bytes)
        var key: Bytes = []
        var end: Bytes = []
        var request = WatchRequest(.all)
        var fragments = false
        func filter(_ raw: UInt64) {
            if raw == 0 { request.skipsPuts = true }
            if raw == 1 { request.skipsDeletions = true }
        }
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            switch (field, type) {
            case (1, 2): key = try reader.bytes()
            case (2, 2): end = try reader.bytes()
            case (3, 0): request.startRevision = try reader.int64()
            case (4, 0): request.wantsProgress = try reader.bool()
            case (5, 0): filter(try reader.varint())
            case (5, 2):
                var packed = WireReader(try reader.lengthDelimited())
                while !packed.isAtEnd { filter(try packed.varint()) }
            case (6, 0): request.wantsPrevious = try reader.bool()
            case (7, 0): request.id = try reader.int64()
            case (8, 0): fragments = try reader.bool()
            default: try reader.skip(type, field: field)
            }
        }
        // etcd watches everything from the first possible key when none is given.
        request.range = KeyRange(key: key.isEmpty ? [0] : key, rangeEnd: end)
        return .create(request, fragments: fragments)
    }

    /// The id in a lease keep-alive request.
    public static func leaseKeepAlive(_ bytes: UnsafeRawBufferPointer) throws -> Int64 {
        var reader = WireReader(bytes)
        var id: Int64 = 0
        while !reader.isAtEnd {
            let (field, type) = try reader.tag()
            if field == 1 && type == 0 { id = try reader.int64() } else { try reader.skip(type, field: field) }
        }
        return id
    }
}

/// What a client asks of a watch stream.
public enum WatchCommand: Hashable, Sendable {
    case create(WatchRequest, fragments: Bool)
    case cancel(Int64)
    case progress
}
