/// A change of the system state, carried out in a batch like every write.
public enum SystemOperation: Sendable {
    /// Raises an alarm; nothing when it is raised already.
    case activate(Alarm)
    /// Disarms an alarm; nothing when it is not raised.
    case deactivate(Alarm)
    case auth(AuthOperation)

    /// The most alarms that may be raised at a time.
    static let mostAlarms = 1_024

    /// Bytes it holds while it waits.
    var footprint: Int {
        if case .auth(let operation) = self { return 128 + operation.footprint }
        return 128
    }

    /// Carries it out; the alarms that changed are returned.
    func apply(to state: inout SystemState) throws(DroverError) -> [Alarm] {
        switch self {
        case .activate(let alarm):
            // It is returned all the same, as by etcd.
            if state.alarms.contains(alarm) { return [alarm] }
            // Those that clients raise for members that do not exist.
            if state.alarms.count >= Self.mostAlarms {
                throw DroverError(
                    .tooManyRequests,
                    message: "drover: \(Self.mostAlarms) alarms are raised; disarm some"
                )
            }
            state.alarms.append(alarm)
            return [alarm]
        case .deactivate(let alarm):
            guard let place = state.alarms.firstIndex(of: alarm) else { return [] }
            return [state.alarms.remove(at: place)]
        case .auth(let operation):
            try state.auth.apply(operation)
            return []
        }
    }
}
