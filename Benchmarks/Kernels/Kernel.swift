/// A piece of the hot path that can be run any number of times in the same way.
package struct Kernel: Sendable {
    /// What is run, as `part.case`.
    package let name: String
    /// Calls, rows or events in one run: figures are given for one of them.
    package let operations: Int
    /// Makes what the runs need, and returns the run.
    package let prepare: @Sendable () throws -> KernelRun

    package init(_ name: String, operations: Int = 1, prepare: @escaping @Sendable () throws -> KernelRun) {
        self.name = name
        self.operations = operations
        self.prepare = prepare
    }
}

/// A prepared kernel.
package struct KernelRun {
    /// One run.
    package let body: () throws -> Void
    /// Gives back what was prepared.
    package let finish: () -> Void

    package init(finish: @escaping () -> Void = {}, _ body: @escaping () throws -> Void) {
        self.body = body
        self.finish = finish
    }
}
