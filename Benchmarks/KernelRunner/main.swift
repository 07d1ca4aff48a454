import Foundation
import Kernels

// Runs one kernel a number of times, so that a tool that counts instructions can be put around it:
//     drover-kernels list [ENDPOINT…]
//     drover-kernels run NAME RUNS [ENDPOINT…]
let arguments = CommandLine.arguments
switch arguments.dropFirst().first {
case "list":
    for kernel in KernelCatalog.all(endpoints: Array(arguments.dropFirst(2))) {
        print(kernel.name, kernel.operations)
    }
case "run" where arguments.count >= 4:
    let kernels = KernelCatalog.all(endpoints: Array(arguments.dropFirst(4)))
    guard let kernel = kernels.first(where: { $0.name == arguments[2] }), let runs = Int(arguments[3]) else {
        FileHandle.standardError.write(Data("no such kernel; see: drover-kernels list\n".utf8))
        exit(2)
    }
    let run = try kernel.prepare()
    for _ in 0..<runs { try run.body() }
    run.finish()
default:
    FileHandle.standardError.write(Data("usage: drover-kernels list | run NAME RUNS [ENDPOINT…]\n".utf8))
    exit(2)
}
