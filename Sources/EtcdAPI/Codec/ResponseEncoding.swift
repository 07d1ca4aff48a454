public import Drover
public import NIOCore

/// The hand-tuned encoders of the hot replies. They append to a buffer that may hold a prefix already.
public enum ResponseEncoder {
    // MARK: - Key-values

    /// The size of a key-value's fields, without tag and length.
    @inline(__always)
    static func size(
        key: Int,
        value: Int,
        create: Int64,
        mod: Int64,
        version: Int64,
        lease: Int64
    ) -> Int {
        WireSize.field(bytes: key) + WireSize.field(create) + WireSize.field(mod) + WireSize.field(version)
            + WireSize.field(bytes: value) + WireSize.field(lease)
    }

    static func size(_ kv: KeyValue) -> Int {
        size(
            key: kv.key.count,
            value: kv.value.count,
            create: kv.createRevision,
            mod: kv.modRevision,
            version: kv.version,
            lease: kv.lease
        )
    }

    static func write(_ kv: KeyValue, field: UInt8, _ writer: inout WireWriter) {
        writer.header(field, size(kv))
        writer.field(1, bytes: kv.key)
        writer.field(2, kv.createRevision)
        writer.field(3, kv.modRevision)
        writer.field(4, kv.version)
        writer.field(5, bytes: kv.value)
        writer.field(6, kv.lease)
    }

    /// The size of a row as an entry of `RangeResponse.kvs`, whether or not its value was lent.
    public static func rangeRowSize(_ row: RowView, values: Bool) -> Int {
        WireSize.message(
            size(
                key: row.key.count,
                value: values ? row.valueLength : 0,
                create: row.createRevision,
                mod: row.main,
                version: row.version,
                lease: row.lease
            )
        )
    }

    /// Appends a row as an entry of `RangeResponse.kvs`.
    public static func appendRangeRow(_ row: RowView, to buffer: inout ByteBuffer) {
        let inner = size(
            key: row.key.count,
            value: row.value.count,
            create: row.createRevision,
            mod: row.main,
            version: row.version,
            lease: row.lease
        )
        buffer.writeWire(WireSize.message(inner)) { writer in
            writer.header(2, inner)
            writer.field(1, bytes: row.key)
            writer.field(2, row.createRevision)
            writer.field(3, row.main)
            writer.field(4, row.version)
            writer.field(5, bytes: row.value)
            writer.field(6, row.lease)
        }
    }

    // MARK: - Headers

    /// The size of a header field.
    public static func headerSize(_ header: ResponseHeader, _ revision: Int64) -> Int {
        WireSize.message(header.size(revision))
    }

    /// Appends a header field.
    public static func appendHeader(_ header: ResponseHeader, _ revision: Int64, to buffer: inout ByteBuffer) {
        buffer.writeWire(headerSize(header, revision)) { header.write(revision, &$0) }
    }

    /// The size of `RangeResponse.more` and `.count`.
    public static func rangeTailSize(more: Bool, count: Int64) -> Int {
        (more ? 2 : 0) + WireSize.field(count)
    }

    /// Appends `RangeResponse.more` and `.count`.
    public static func appendRangeTail(more: Bool, count: Int64, to buffer: inout ByteBuffer) {
        buffer.writeWire(rangeTailSize(more: more, count: count)) { writer in
            writer.field(3, more)
            writer.field(4, count)
        }
    }

    // MARK: - Whole replies

    public static func append(_ response: PutResponse, _ header: ResponseHeader, to buffer: inout ByteBuffer) {
        buffer.writeWire(size(response, header)) { write(response, header, &$0) }
    }

    public static func append(_ response: RangeResponse, _ header: ResponseHeader, to buffer: inout ByteBuffer) {
        buffer.writeWire(size(response, header)) { write(response, header, &$0) }
    }

    public static func append(_ response: DeleteRangeResponse, _ header: ResponseHeader, to buffer: inout ByteBuffer) {
        buffer.writeWire(size(response, header)) { write(response, header, &$0) }
    }

    public static func append(_ response: TxnResponse, _ header: ResponseHeader, to buffer: inout ByteBuffer) {
        buffer.writeWire(size(response, header)) { write(response, header, &$0) }
    }

    /// A reply that is nothing but its header.
    public static func appendHeaderOnly(_ header: ResponseHeader, _ revision: Int64, to buffer: inout ByteBuffer) {
        appendHeader(header, revision, to: &buffer)
    }

    /// A `LeaseKeepAliveResponse` or `LeaseGrantResponse`: header, ID, TTL.
    public static func appendLease(
        _ header: ResponseHeader,
        _ revision: Int64,
        id: Int64,
        ttl: Int64,
        to buffer: inout ByteBuffer
    ) {
        let size = headerSize(header, revision) + WireSize.field(id) + WireSize.field(ttl)
        buffer.writeWire(size) { writer in
            header.write(revision, &writer)
            writer.field(2, id)
            writer.field(3, ttl)
        }
    }

    // The header of an operation inside a transaction has a revision and no ids.
    private static func headerSize(_ header: ResponseHeader?, _ revision: Int64) -> Int {
        WireSize.message(header?.size(revision) ?? WireSize.field(revision))
    }

    private static func writeHeader(_ header: ResponseHeader?, _ revision: Int64, _ writer: inout WireWriter) {
        if let header {
            header.write(revision, &writer)
        } else {
            writer.header(1, WireSize.field(revision))
            writer.field(3, revision)
        }
    }

    private static func size(_ response: PutResponse, _ header: ResponseHeader?) -> Int {
        headerSize(header, response.revision) + (response.previous.map { WireSize.message(size($0)) } ?? 0)
    }

    private static func write(_ response: PutResponse, _ header: ResponseHeader?, _ writer: inout WireWriter) {
        writeHeader(header, response.revision, &writer)
        if let previous = response.previous { write(previous, field: 2, &writer) }
    }

    private static func size(_ response: RangeResponse, _ header: ResponseHeader?) -> Int {
        var total = headerSize(header, response.revision) + rangeTailSize(more: response.more, count: response.count)
        for kv in response.kvs { total += WireSize.message(size(kv)) }
        return total
    }

    private static func write(_ response: RangeResponse, _ header: ResponseHeader?, _ writer: inout WireWriter) {
        writeHeader(header, response.revision, &writer)
        for kv in response.kvs { write(kv, field: 2, &writer) }
        writer.field(3, response.more)
        writer.field(4, response.count)
    }

    private static func size(_ response: DeleteRangeResponse, _ header: ResponseHeader?) -> Int {
        var total = headerSize(header, response.revision) + WireSize.field(response.deleted)
        for kv in response.previous { total += WireSize.message(size(kv)) }
        return total
    }

    private static func write(_ response: DeleteRangeResponse, _ header: ResponseHeader?, _ writer: inout WireWriter) {
        writeHeader(header, response.revision, &writer)
        writer.field(2, response.deleted)
        for kv in response.previous { write(kv, field: 3, &writer) }
    }

    private static func size(_ response: TxnResponse, _ header: ResponseHeader?) -> Int {
        var total = headerSize(header, response.revision) + (response.succeeded ? 2 : 0)
        for operation in response.responses { total += WireSize.message(WireSize.message(size(operation))) }
        return total
    }

    private static func size(_ operation: ResponseOperation) -> Int {
        switch operation {
        case .range(let response): size(response, nil)
        case .put(let response): size(response, nil)
        case .deleteRange(let response): size(response, nil)
        case .txn(let response): size(response, nil)
        }
    }

    private static func write(_ response: TxnResponse, _ header: ResponseHeader?, _ writer: inout WireWriter) {
        writeHeader(header, response.revision, &writer)
        writer.field(2, response.succeeded)
        for operation in response.responses {
            let inner = size(operation)
            writer.header(3, WireSize.message(inner))
            switch operation {
            case .range(let response):
                writer.header(1, inner)
                write(response, nil, &writer)
            case .put(let response):
                writer.header(2, inner)
                write(response, nil, &writer)
            case .deleteRange(let response):
                writer.header(3, inner)
                write(response, nil, &writer)
            case .txn(let response):
                writer.header(4, inner)
                write(response, nil, &writer)
            }
        }
    }
}
