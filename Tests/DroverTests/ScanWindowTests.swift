import Testing

@testable import Drover

@Suite("how many rows are fetched ahead")
struct ScanWindowTests {
    @Test("a page in one fetch, and a scan that goes on takes larger steps, not smaller ones")
    func steps() {
        var page = ScanWindow(expecting: 501, averageBytes: 1_024)
        #expect(page.next() == 501)
        page.took(rows: 501, bytes: 501 * 1_024)
        // The first version went on row by row here.
        #expect(page.next() >= 512)
        var one = ScanWindow(expecting: 1, averageBytes: 0)
        #expect(one.next() == 1)
    }

    @Test("large values are fetched a few at a time")
    func largeValues() {
        var scan = ScanWindow(expecting: .max, averageBytes: 1 << 20)
        #expect(scan.next() == 16)
        var unknown = ScanWindow(expecting: .max, averageBytes: 512)
        #expect(unknown.next() <= 2_048)
        unknown.took(rows: 2_048, bytes: 2_048 << 20)
        #expect(unknown.next() == 16)
    }

    @Test("before it is known what values come to, long ones do not come with their rows")
    func longValues() {
        var list = ScanWindow(expecting: .max, averageBytes: 512)
        #expect(list.next() * list.longest <= 16 << 20)
        var page = ScanWindow(expecting: 501, averageBytes: 512)
        #expect(page.next() == 501)
        // Kubernetes' larger objects do.
        #expect(page.longest >= 32 << 10)
        var one = ScanWindow(expecting: 1, averageBytes: 512)
        #expect(one.next() == 1 && one.longest >= 16 << 20)
        // Values of a megabyte each, once that is known.
        var large = ScanWindow(expecting: .max, averageBytes: 1 << 20)
        #expect(large.next() == 16 && large.longest >= 1 << 20)
    }
}
