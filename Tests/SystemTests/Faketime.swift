import Foundation
import Testing

/// Programs whose clock differs from the machine's.
enum Faketime {
    /// The environment of a program whose clock is off by `skew`, such as `+3600s`; its monotonic clock is not.
    static func environment(_ skew: String) throws -> [String: String] {
        let library = try #require(
            ["x86_64", "aarch64"].map { "/usr/lib/\($0)-linux-gnu/faketime/libfaketime.so.1" }
                .first { FileManager.default.isReadableFile(atPath: $0) },
            "there is no libfaketime on this machine; `make test` installs it"
        )
        return ["LD_PRELOAD": library, "FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1"]
    }
}
