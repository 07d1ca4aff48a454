import ArgumentParser
import DroverBench

/// `drover bench compare`.
struct BenchCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Say what changed between two runs beyond noise.",
        discussion: """
            A change is one when it is larger than 5 % and the rounds of the two runs lie apart by more than half of the \
            larger spread. With --control, a target of both runs that has not changed, such as an etcd, the others' figures are \
            taken as what they are to its own, so that a machine that has changed meanwhile does not decide. Errors and lost, doubled or disordered events are worse when there are more of them.
            """
    )

    @Argument(help: "The figures of the earlier run, written with --json.")
    var before: String

    @Argument(help: "The figures of the later run.")
    var after: String

    @Option(help: "A target of both runs, by its name, that others are measured by.")
    var control: String?

    @Flag(help: "Show what did not change, too.")
    var all = false

    @Flag(help: "Exit with status 1 when something is worse or missing.")
    var failOnWorse = false

    func run() throws {
        func read(_ path: String) throws -> BenchReport {
            do {
                return try BenchReport(contentsOf: path)
            } catch {
                throw ValidationError("\(path) is no file of figures: write one with drover bench --json.")
            }
        }
        let (earlier, later) = (try read(before), try read(after))
        if let control, ![earlier, later].allSatisfy({ $0.targets.contains { $0.name == control } }) {
            throw ValidationError("\(control) is no target of both runs.")
        }
        let comparison = BenchComparison(earlier, later, control: control)
        print(comparison.table(all: all))
        if failOnWorse && comparison.isWorse { throw ExitCode(1) }
    }
}
