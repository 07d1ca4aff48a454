import EtcdAPI
import SwiftProtobuf

/// Prints a reply in the form that was asked for.
struct Printer: Sendable {
    let form: OutputForm
    let isHex: Bool

    /// Prints a reply.
    ///
    /// - Parameters:
    ///   - simple: the form for people.
    ///   - fields: that of lines; nil when etcdctl has none for this reply.
    ///   - table: that of tables, likewise.
    ///   - json: JSON, where it is not simply the message's.
    /// - Throws: ``CommandFailure`` when the form cannot show this reply.
    func show(
        _ message: some Message,
        fields: ((inout FieldText) -> Void)? = nil,
        table: (() -> String)? = nil,
        json: (() throws -> String)? = nil,
        simple: (inout TextBuffer) -> Void
    ) throws {
        switch form {
        case .simple:
            var text = TextBuffer()
            simple(&text)
            write(text)
        case .fields:
            guard let fields else { throw unsupported }
            var text = FieldText()
            fields(&text)
            write(text.text)
        case .json:
            FileHandles.standardOutput((try json?() ?? GoJSON.text(message)) + "\n")
        case .table:
            guard let table else { throw unsupported }
            FileHandles.standardOutput(table())
        case .protobuf:
            FileHandles.standardOutput(bytes: try message.serializedBytes())
        }
    }

    private var unsupported: CommandFailure { .badFeature("\(form.rawValue) not supported as output format") }

    func write(_ text: TextBuffer) { FileHandles.standardOutput(bytes: text.bytes) }
}
