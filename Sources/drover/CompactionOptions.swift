import ArgumentParser
import Drover

/// When the history is compacted by the server itself: etcd's flags, and kine's.
struct CompactionOptions: ParsableArguments {
    @Option(help: "What --auto-compaction-retention counts: periodic (time) or revision.")
    var autoCompactionMode: String = Environment.value("AUTO_COMPACTION_MODE") ?? "periodic"

    @Option(
        help: "How much history is kept: a duration, or hours as a number, or revisions; 0 compacts nothing by itself."
    )
    var autoCompactionRetention: String = Environment.value("AUTO_COMPACTION_RETENTION") ?? "0"

    @Option(help: "kine's: how often the history is compacted, such as 5m; 0 is never.")
    var compactInterval: String = Environment.value("COMPACT_INTERVAL") ?? "0"

    @Option(help: "kine's: how many revisions --compact-interval keeps.")
    var compactMinRetain: Int64 = Environment.integer("COMPACT_MIN_RETAIN").map(Int64.init) ?? 1_000

    func validate() throws {
        guard ["periodic", "revision"].contains(autoCompactionMode) else {
            throw ValidationError("--auto-compaction-mode must be periodic or revision.")
        }
        switch autoCompactionMode {
        case "periodic":
            guard let seconds = retentionSeconds, seconds >= 0 else {
                throw ValidationError(
                    "--auto-compaction-retention must be a duration such as 1h or 30m, or a number of hours."
                )
            }
        default:
            guard let count = Int64(autoCompactionRetention), count >= 0 else {
                throw ValidationError("--auto-compaction-retention must be a number of revisions.")
            }
        }
        guard Duration.seconds(of: compactInterval) != nil else {
            throw ValidationError("--compact-interval must be a duration such as 5m.")
        }
        if Duration.seconds(of: compactInterval)! > 0 && etcdPolicy != nil {
            throw ValidationError("--auto-compaction-retention and --compact-interval are two policies: give one.")
        }
        guard compactMinRetain >= 0 else { throw ValidationError("--compact-min-retain must not be negative.") }
    }

    /// A bare number is hours.
    private var retentionSeconds: Double? {
        Int64(autoCompactionRetention).map { Double($0) * 3_600 } ?? Duration.seconds(of: autoCompactionRetention)
    }

    /// What etcd's own flags say.
    private var etcdPolicy: AutoCompactor.Policy? {
        if autoCompactionMode == "periodic" {
            if let seconds = retentionSeconds, seconds > 0 { return .age(seconds: seconds) }
        } else if let count = Int64(autoCompactionRetention), count > 0 {
            return .revisions(count)
        }
        return nil
    }

    /// Nil compacts nothing.
    var policy: AutoCompactor.Policy? {
        if let etcdPolicy { return etcdPolicy }
        if let seconds = Duration.seconds(of: compactInterval), seconds > 0 {
            return .revisions(compactMinRetain, everySeconds: seconds)
        }
        return nil
    }
}
