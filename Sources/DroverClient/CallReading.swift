public import NIOCore
import Synchronization

/// Stops and goes on reading a call's messages, so that those nobody takes wait with the server and not in memory here.
public final class CallReading: NIOAsyncSequenceProducerDelegate {
    /// Messages that wait to be taken: reading stops at the greater number, and goes on at the lesser.
    static let messages = 4...16

    /// The call's channel, from when there is one until it is closed.
    private let channel = Mutex<(any Channel)?>(nil)

    func begin(_ channel: any Channel) { self.channel.withLock { $0 = channel } }

    func end() { channel.withLock { $0 = nil } }

    func stop() { channel.withLock { $0 }?.setOption(.autoRead, value: false).whenFailure { _ in } }

    /// Messages were taken.
    public func produceMore() {
        guard let channel = channel.withLock({ $0 }) else { return }
        channel.setOption(.autoRead, value: true).whenSuccess { channel.read() }
    }

    /// Nobody takes messages any more: what comes is dropped, and the call goes on until it is cancelled.
    public func didTerminate() { produceMore() }
}
