import ArgumentParser
import DroverBench

/// `drover bench compare`.
struct BenchCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Say what changed between two runs beyond noise.",
        discussion: """
            A change is one when it is larger than 5 % and the rounds of the two runs lie apart by more than half of the \
            larger spread. Errors and lost, doubled or disordered events are worse when there are more of them.
            """
    )

    @Argument(help: "The figures of the earlier run, written with --json.")
    var before: String

    @Argument(help: "The figures of the later run.")
    var after: String

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
        let comparison = BenchComparison(try read(before), try read(after))
        print(comparison.table(all: all))
        if failOnWorse && comparison.isWorse { throw ExitCode(1) }
    }
}
