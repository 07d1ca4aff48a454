import EtcdAPI

/// Transactions as people type them.
enum TxnText {
    private static let results: [Substring: PBCompare.CompareResult] = [
        "=": .equal, "!=": .notEqual, "<": .less, ">": .greater,
    ]

    /// `mod("key") > "3"`.
    ///
    /// - Throws: ``CommandFailure`` for what is not a comparison.
    static func comparison(_ line: String) throws -> PBCompare {
        let malformed = CommandFailure.invalidInput("malformed comparison: \(line)")
        guard let open = line.firstIndex(of: "("),
            let (key, afterKey) = GoText.unquoted(line[line.index(after: open)...]), afterKey.first == ")"
        else { throw malformed }
        let rest = afterKey.dropFirst().drop { $0 == " " }
        let sign = rest.prefix { $0 != " " }
        guard let (value, _) = GoText.unquoted(rest.dropFirst(sign.count).drop { $0 == " " }) else { throw malformed }
        guard let result = results[sign] else { throw CommandFailure.invalidInput("unknown result op") }
        var compare = PBCompare()
        (compare.key, compare.result) = (.init(key), result)
        let text = String(decoding: value, as: UTF8.self)
        func number(_ radix: Int = 10) throws -> Int64 {
            guard let number = Int64(text, radix: radix) else {
                throw CommandFailure.invalidInput("invalid txn compare request: \(line)")
            }
            return number
        }
        switch line[..<open] {
        case "ver", "version": (compare.target, compare.targetUnion) = (.version, .version(try number()))
        case "c", "create": (compare.target, compare.targetUnion) = (.create, .createRevision(try number()))
        case "m", "mod": (compare.target, compare.targetUnion) = (.mod, .modRevision(try number()))
        case "val", "value": (compare.target, compare.targetUnion) = (.value, .value(.init(value)))
        case "lease": (compare.target, compare.targetUnion) = (.lease, .lease(try number(16)))
        default: throw malformed
        }
        return compare
    }

    /// `put key value`, `get key`, `del key`, with the commands' own flags.
    ///
    /// - Throws: ``CommandFailure`` for what is none of these.
    static func operation(_ line: String) throws -> PBRequestOp {
        let words = try words(line)
        var operation = PBRequestOp()
        do {
            switch words.first {
            case "put": operation.request = .requestPut(try PutCommand.parse(Array(words.dropFirst())).request())
            case "get": operation.request = .requestRange(try GetCommand.parse(Array(words.dropFirst())).request())
            case "del":
                operation.request = .requestDeleteRange(try DelCommand.parse(Array(words.dropFirst())).request())
            default: throw CommandFailure.invalidInput("invalid txn request: \(line)")
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure.invalidInput("invalid txn request: \(line)")
        }
        return operation
    }

    /// The words of a line, some of them in quotes.
    static func words(_ line: String) throws -> [String] {
        var words: [String] = []
        var rest = line[...].drop { $0.isWhitespace }
        while let first = rest.first {
            switch first {
            case "\"":
                guard let (bytes, after) = GoText.unquoted(rest) else {
                    throw CommandFailure.invalidInput("a quotation has no end")
                }
                guard let word = String(validating: bytes, as: UTF8.self) else {
                    throw CommandFailure.invalidInput("a word must be UTF-8")
                }
                words.append(word)
                rest = after
            case "'":
                let word = rest.dropFirst().prefix { $0 != "'" }
                guard word.endIndex < rest.endIndex else {
                    throw CommandFailure.invalidInput("a quotation has no end")
                }
                words.append(String(word))
                rest = rest[rest.index(after: word.endIndex)...]
            default:
                let word = rest.prefix { !$0.isWhitespace }
                words.append(String(word))
                rest = rest[word.endIndex...]
            }
            rest = rest.drop { $0.isWhitespace }
        }
        return words
    }
}
