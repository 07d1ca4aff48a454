import ArgumentParser

/// etcdctl's `-w`.
enum OutputForm: String, ExpressibleByArgument, CaseIterable {
    case simple, fields, json, table, protobuf
}
