/// A set of key ranges that answers which of them hold a key, in time proportional to the answer.
///
/// A treap over (lower, upper) in which every node knows the greatest end below it. Nodes lie in an array and point by
/// index, so that a lookup touches no reference counts.
struct IntervalTree<Value> {
    private struct Node {
        var range: KeyRange
        /// None of a node that is free.
        var value: Value?
        var priority: UInt32
        var left = -1
        var right = -1
        /// The greatest exclusive end in this subtree; nil is no end.
        var reach: Bytes?
    }

    private var nodes: [Node] = []
    private var free: [Int] = []
    private var root = -1
    private var generator = SystemRandomNumberGenerator()

    var isEmpty: Bool { root < 0 }

    private static func less(_ a: KeyRange, _ b: KeyRange) -> Bool {
        if a.lower != b.lower { return Bytes.precedes(a.lower, b.lower) }
        return endsBefore(a.exclusiveEnd, b.exclusiveEnd)
    }

    private static func endsBefore(_ a: Bytes?, _ b: Bytes?) -> Bool {
        guard let a else { return false }
        guard let b else { return true }
        return Bytes.precedes(a, b)
    }

    private mutating func update(_ i: Int) {
        var reach = nodes[i].range.exclusiveEnd
        for child in [nodes[i].left, nodes[i].right] where child >= 0 {
            if Self.endsBefore(reach, nodes[child].reach) { reach = nodes[child].reach }
        }
        nodes[i].reach = reach
    }

    /// Adds a range that is not in the tree.
    mutating func insert(_ range: KeyRange, _ value: Value) {
        let node = Node(range: range, value: value, priority: generator.next(), reach: range.exclusiveEnd)
        let i: Int
        if let reused = free.popLast() {
            nodes[reused] = node
            i = reused
        } else {
            nodes.append(node)
            i = nodes.count - 1
        }
        root = insert(i, at: root)
    }

    private mutating func insert(_ i: Int, at parent: Int) -> Int {
        if parent < 0 { return i }
        var top = parent
        if Self.less(nodes[i].range, nodes[parent].range) {
            let child = insert(i, at: nodes[parent].left)
            nodes[parent].left = child
            if nodes[child].priority > nodes[parent].priority {
                nodes[parent].left = nodes[child].right
                nodes[child].right = parent
                update(parent)
                top = child
            }
        } else {
            let child = insert(i, at: nodes[parent].right)
            nodes[parent].right = child
            if nodes[child].priority > nodes[parent].priority {
                nodes[parent].right = nodes[child].left
                nodes[child].left = parent
                update(parent)
                top = child
            }
        }
        update(top)
        return top
    }

    /// Takes a range out; does nothing when it is not there.
    mutating func remove(_ range: KeyRange) {
        root = remove(range, at: root)
    }

    private mutating func remove(_ range: KeyRange, at i: Int) -> Int {
        if i < 0 { return -1 }
        if nodes[i].range == range {
            let merged = merge(nodes[i].left, nodes[i].right)
            // What is free holds nothing: ranges may be long, and stay away.
            nodes[i] = Node(range: KeyRange(lower: [], upper: .single), value: nil, priority: 0)
            free.append(i)
            return merged
        }
        if Self.less(range, nodes[i].range) {
            let child = remove(range, at: nodes[i].left)
            nodes[i].left = child
        } else {
            let child = remove(range, at: nodes[i].right)
            nodes[i].right = child
        }
        update(i)
        return i
    }

    private mutating func merge(_ a: Int, _ b: Int) -> Int {
        if a < 0 { return b }
        if b < 0 { return a }
        if nodes[a].priority > nodes[b].priority {
            let child = merge(nodes[a].right, b)
            nodes[a].right = child
            update(a)
            return a
        }
        let child = merge(a, nodes[b].left)
        nodes[b].left = child
        update(b)
        return b
    }

    /// Calls `body` with the value of every range that holds `key`.
    func forEach(containing key: Bytes, _ body: (Value) -> Void) {
        visit(root, key, body)
    }

    private func visit(_ i: Int, _ key: Bytes, _ body: (Value) -> Void) {
        if i < 0 { return }
        if let reach = nodes[i].reach, !Bytes.precedes(key, reach) { return }
        visit(nodes[i].left, key, body)
        if Bytes.precedes(key, nodes[i].range.lower) { return }
        if nodes[i].range.contains(key), let value = nodes[i].value { body(value) }
        visit(nodes[i].right, key, body)
    }
}
