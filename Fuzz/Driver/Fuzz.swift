import FuzzTargets

/// libFuzzer's entry: `make fuzz` builds and runs this.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ length: Int) -> CInt {
    FuzzTargets.run(UnsafeRawBufferPointer(start: bytes, count: length))
    return 0
}
