import Foundation
import Testing

@testable import DroverServer

@Suite("header compression", .timeLimit(.minutes(1)))
struct HPACKTests {
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8.filter { $0 != 0x20 })
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)!
        }
    }

    @Test(
        "huffman strings of RFC 7541, appendix C",
        arguments: [
            ("f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com"), ("a8eb 1064 9cbf", "no-cache"),
            ("25a8 49e9 5ba9 7d7f", "custom-key"), ("25a8 49e9 5bb8 e8b4 bf", "custom-value"), ("6402", "302"),
            ("9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3", "https://www.example.com"),
        ]
    )
    func huffman(hex: String, text: String) {
        let decoded = bytes(hex).withUnsafeBytes { HPACKHuffman.decode($0) }
        #expect(decoded.map { String(decoding: $0, as: UTF8.self) } == text)
    }

    @Test("padding must be the beginning of the end mark, and shorter than an octet")
    func padding() {
        func decode(_ bytes: [UInt8]) -> [UInt8]? { bytes.withUnsafeBytes { HPACKHuffman.decode($0) } }
        #expect(decode([0x1f]) == Array("a".utf8))
        #expect(decode([0x18]) == nil)
        #expect(decode([0xff]) == nil)
        #expect(decode([0xff, 0xff, 0xff, 0xff]) == nil)
        #expect(decode([]) == [])
    }

    @Test("requests of RFC 7541, C.4: the table carries over")
    func table() throws {
        var decoder = HPACKDecoder()
        func decode(_ hex: String) throws -> RequestHead {
            var head = RequestHead()
            try bytes(hex).withUnsafeBytes { try decoder.decode($0, into: &head) }
            return head
        }
        let first = try decode("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")
        #expect(first.method == "GET" && first.path == "/" && !first.isWire)
        _ = try decode("8286 84be 5886 a8eb 1064 9cbf")
        let third = try decode("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf")
        #expect(third.path == "/index.html")
        // 62 is the newest entry; there are three.
        _ = try decode("be")
        _ = try decode("c0")
        #expect(throws: HPACKDecoder.Malformed.self) { _ = try decode("c1") }
    }

    @Test("entries are evicted by size, and a table may be made smaller")
    func eviction() throws {
        var decoder = HPACKDecoder()
        func decode(_ block: [UInt8]) throws {
            var head = RequestHead()
            try block.withUnsafeBytes { try decoder.decode($0, into: &head) }
        }
        let entry: [UInt8] = [0x40, 1, 0x78, 100] + Array(repeating: 0x79, count: 100)
        for _ in 0..<40 { try decode(entry) }
        // 4,096 / (1 + 100 + 32) = 30 entries.
        try decode([0x80 | UInt8(61 + 30)])
        #expect(throws: HPACKDecoder.Malformed.self) { try decode([0x80 | UInt8(61 + 31)]) }
        try decode([0x20])
        #expect(throws: HPACKDecoder.Malformed.self) { try decode([0x80 | 62]) }
    }

    @Test("random blocks are errors or heads, never crashes")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var decoder = HPACKDecoder()
            let block = (0..<Int.random(in: 0..<40)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            var head = RequestHead()
            block.withUnsafeBytes { try? decoder.decode($0, into: &head) }
        }
    }

    @Test(
        "timeouts",
        arguments: [("5S", 5_000_000_000), ("100m", 100_000_000), ("7u", 7_000), ("1H", 3_600_000_000_000)]
    )
    func timeouts(text: String, nanoseconds: Int64) {
        #expect(RequestHead.timeout(text)?.nanoseconds == nanoseconds)
        #expect(RequestHead.timeout("123456789S") == nil)
        #expect(RequestHead.timeout("S") == nil)
        #expect(RequestHead.timeout("-1S") == nil)
    }
}
