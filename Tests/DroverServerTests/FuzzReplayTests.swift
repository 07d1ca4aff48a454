import Foundation
import FuzzTargets
import Testing

@Suite("what the fuzzer has found", .timeLimit(.minutes(2)))
struct FuzzReplayTests {
    @Test("every kept input is taken without a crash")
    func replay() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let files = try FileManager.default.contentsOfDirectory(
            at: root.appendingPathComponent("Fuzz/Corpus"),
            includingPropertiesForKeys: nil
        )
        #expect(files.count >= 8)
        for file in files {
            let input = try Data(contentsOf: file)
            input.withUnsafeBytes { FuzzTargets.run($0) }
        }
    }
}
