/// The feed thread's own state: every watch, and how far it is.
final class WatchHub {
    let feed: Feed
    let reader: any DriverReader
    /// Watches in step with the feed, as of `dispatched`.
    var synced = WatchIndex()
    /// Every event up to this revision was handed to the watches in `synced`.
    var dispatched: Int64
    /// Watches behind that wait for a pass over the log.
    var ready: [ObjectIdentifier: Watcher] = [:]
    /// The pass of watches that a few steps bring up to date, which must not wait for those that take many.
    var nearPass: CatchUpPass?
    var farPass: CatchUpPass?
    /// Reads of the database that have failed since the last one that did not.
    var readFailures = 0
    /// Deliveries of the present round, by target.
    private var outbox: [(target: any WatchTarget, deliveries: [WatchDelivery])] = []
    /// Where in it each target is: of watches through the library each has one of its own.
    private var outboxPlaces: [ObjectIdentifier: Int] = [:]
    var watcherCount = 0
    /// Bytes of the keys that the watches name.
    private var watchKeyBytes = 0
    /// `meta` as the creates of the present round see it: all of them were queued before it was read.
    private var roundMeta: StoreMeta?
    /// Whether the database could not be asked in this round.
    private var roundFailed = false
    /// Those that asked for progress while a watch of theirs was behind, or they had no room, and are told later.
    private var owedProgress: [ObjectIdentifier: WatchConsumer] = [:]
    var progressConsumers: [ObjectIdentifier: WatchConsumer] = [:]
    /// Those that have had a watch.
    private var consumers: [ObjectIdentifier: WatchConsumer] = [:]
    private var nextProgress: Int64

    init(feed: Feed, reader: any DriverReader) {
        self.feed = feed
        self.reader = reader
        self.dispatched = feed.inbox.withLock { $0.ring.position }
        self.nextProgress = Monotonic.now() + feed.progressInterval
    }

    private enum Round {
        case work([Feed.Command], [FeedBatch], position: Int64, missed: Bool)
        case stop
    }

    func run() {
        while true {
            let busy = nearPass != nil || farPass != nil || !ready.isEmpty
            let round = takeRound(waits: !busy)
            switch round {
            case .stop:
                endAll()
                return
            case .work(let commands, let batches, let position, let missed):
                roundMeta = nil
                roundFailed = false
                skipUnwatched(to: position)
                var isDispatched = false
                for command in commands {
                    // What was committed before progress was asked for is told first, and the answer is of after it.
                    if case .progress = command, !isDispatched {
                        dispatch(batches, upTo: position, missed: missed)
                        isDispatched = true
                    }
                    carryOut(command)
                }
                if !isDispatched { dispatch(batches, upTo: position, missed: missed) }
                flush()
                stepPasses()
                answerOwedProgress()
                flush()
                feed.position = watcherCount == 0 ? .max : dispatched
                notifyProgress()
            }
        }
    }

    /// Hands what the feed has brought to the watches in step.
    private func dispatch(_ batches: [FeedBatch], upTo position: Int64, missed: Bool) {
        if synced.isEmpty {
            dispatched = max(dispatched, position)
        } else if missed {
            readMissed(upTo: position)
        } else {
            for batch in batches where batch.lastRevision > dispatched {
                dispatch(
                    batch.events[...],
                    to: synced,
                    inStep: true,
                    from: dispatched + 1,
                    through: batch.lastRevision
                )
                dispatched = batch.lastRevision
            }
            if synced.isEmpty { dispatched = max(dispatched, position) }
        }
    }

    private func takeRound(waits: Bool) -> Round {
        let limits = feed.limits
        let count = watcherCount
        let seen = dispatched
        let timeout = waits ? max(1_000_000, min(nextProgress - Monotonic.now(), 1_000_000_000)) : 0
        let round = feed.inbox.wait(nanoseconds: timeout) { inbox -> Round? in
            inbox.hasWatchers = count > 0
            if inbox.stopping { return .stop }
            let position = inbox.ring.position
            let behind = position > seen && count > 0
            if inbox.commands.isEmpty && !behind && waits {
                inbox.threadWaits = true
                return nil
            }
            inbox.threadWaits = false
            let commands = Array(inbox.commands)
            inbox.commands.removeAll()
            inbox.commandBytes = 0
            var batches: [FeedBatch] = []
            var missed = false
            if position > seen {
                batches = inbox.ring.read(from: seen + 1, bytes: limits.catchUpBytes)
                missed = batches.isEmpty
            }
            return .work(commands, batches, position: position, missed: missed)
        }
        return round ?? .work([], [], position: seen, missed: false)
    }

    // MARK: - Commands

    private func carryOut(_ command: Feed.Command) {
        switch command {
        case .create(let consumer, let request):
            create(consumer, request)
        case .cancel(let consumer, let id):
            guard let watcher = consumer.watchers.removeValue(forKey: id) else { return }
            remove(watcher)
            tell(consumer, id, dispatched, .cancelled(compactRevision: 0, cause: nil))
        case .progress(let consumer):
            answerProgress(consumer)
        case .drained(let consumer):
            for watcher in consumer.watchers.values where watcher.place == .blocked {
                becomeReady(watcher)
            }
        case .close(let consumer):
            consumer.isClosed = true
            for watcher in consumer.watchers.values { remove(watcher) }
            consumer.watchers.removeAll()
            consumer.forget()
            progressConsumers[ObjectIdentifier(consumer)] = nil
            owedProgress[ObjectIdentifier(consumer)] = nil
            consumers[ObjectIdentifier(consumer)] = nil
        case .permissions:
            endForbidden()
        case .failed(let error):
            for consumer in consumers.values {
                for watcher in consumer.watchers.values { end(watcher, cause: error) }
            }
        }
    }

    /// Ends the watches of those who may no longer read what they watch. etcd lets them go on.
    private func endForbidden() {
        guard let system = feed.system.current else { return }
        for consumer in consumers.values {
            for watcher in consumer.watchers.values {
                watcher.caller = system.settled(watcher.caller)
                if system.mayStillRead(watcher.request.range, watcher.caller) { continue }
                end(watcher, cause: DroverError(.permissionDenied))
            }
        }
    }

    /// The store closes: whoever waits is told, also those whose commands nobody will carry out any more.
    private func endAll() {
        let commands = feed.inbox.withLock { inbox in
            defer { inbox.commands.removeAll() }
            return inbox.commands
        }
        let stopped = DroverError(.stopped)
        for case .close(let consumer) in commands { carryOut(.close(consumer)) }
        for case .create(let consumer, _) in commands where !consumer.isClosed {
            tell(consumer, -1, dispatched, .refused(reason: stopped.message, code: .stopped))
        }
        for consumer in consumers.values {
            for watcher in consumer.watchers.values {
                tell(consumer, watcher.id, dispatched, .cancelled(compactRevision: 0, cause: stopped))
                leave(watcher)
            }
            consumer.watchers.removeAll()
            consumer.forget()
        }
        flush()
    }

    /// Nothing was dispatched while nobody watched: what was committed meanwhile need not be read.
    private func skipUnwatched(to position: Int64) {
        if watcherCount == 0 && nearPass == nil && farPass == nil { dispatched = max(dispatched, position) }
    }

    private func create(_ consumer: WatchConsumer, _ request: WatchRequest) {
        if consumer.isClosed { return }
        let meta: StoreMeta
        func refuse(_ revision: Int64, _ code: DroverError.Code, _ reason: String? = nil) {
            tell(consumer, -1, revision, .refused(reason: reason ?? code.text, code: code))
        }
        // Each try may take seconds, and others wait behind it: what one met, all of the round have met.
        if roundFailed { return refuse(dispatched, .timeout) }
        do {
            meta = try roundMeta ?? reader.readMeta()
            roundMeta = meta
            feed.notice(meta)
        } catch {
            roundFailed = true
            return refuse(dispatched, .timeout)
        }
        if request.startRevision < 0 { return refuse(meta.revision, .compacted) }
        var request = request
        do {
            let system = try feed.system.load(meta, reader)
            if let system { request.caller = system.settled(request.caller) }
            try system?.checkRead(request.range, request.caller)
        } catch let error as DroverError {
            return refuse(meta.revision, error.code, error.watchReason)
        } catch let failure as DriverFailure where failure.kind != .unavailable && failure.kind != .conflict {
            return refuse(meta.revision, failure.asDroverError.code)
        } catch {
            return refuse(meta.revision, .timeout)
        }
        if request.range.isEmpty { return refuse(meta.revision, .emptyWatchRange) }
        if watcherCount >= feed.limits.watchers
            || watchKeyBytes + request.range.byteCount > feed.limits.watchKeyBytes
        {
            return refuse(meta.revision, .tooManyRequests, "drover: too many watches")
        }
        var id = request.id
        if id == 0 {
            while consumer.watchers[consumer.nextID] != nil { consumer.nextID += 1 }
            id = consumer.nextID
            consumer.nextID += 1
        } else if consumer.watchers[id] != nil {
            return refuse(meta.revision, .duplicateWatchID)
        }
        let next = request.startRevision == 0 ? meta.revision + 1 : request.startRevision
        let watcher = Watcher(id: id, consumer: consumer, request: request, next: next)
        consumer.watchers[id] = watcher
        consumers[ObjectIdentifier(consumer)] = consumer
        if watcherCount == 0 { skipUnwatched(to: feed.inbox.withLock { $0.ring.position }) }
        watcherCount += 1
        watchKeyBytes += request.range.byteCount
        feed.counters.watchers.store(watcherCount, ordering: .relaxed)
        if request.wantsProgress { progressConsumers[ObjectIdentifier(consumer)] = consumer }
        tell(consumer, id, meta.revision, .created)
        if next > dispatched {
            synced.insert(watcher)
        } else {
            fallBehind(watcher, at: next)
        }
    }

    /// Ends a watch that cannot be told what comes next, and says why.
    func end(_ watcher: Watcher, compactRevision: Int64 = 0, cause: DroverError? = nil) {
        watcher.consumer.watchers[watcher.id] = nil
        remove(watcher)
        tell(watcher.consumer, watcher.id, dispatched, .cancelled(compactRevision: compactRevision, cause: cause))
    }

    func remove(_ watcher: Watcher) {
        if watcher.place == .ended { return }
        leave(watcher)
        if watcher.place != .synced { feed.counters.slowWatchers.subtract(1, ordering: .relaxed) }
        watcher.place = .ended
        watcherCount -= 1
        watchKeyBytes -= watcher.request.range.byteCount
        feed.counters.watchers.store(watcherCount, ordering: .relaxed)
    }

    /// Takes a watch out of where it is; its place is for the caller to set.
    func leave(_ watcher: Watcher) {
        switch watcher.place {
        case .synced: synced.remove(watcher)
        case .inPass:
            watcher.pass?.remove(watcher)
            watcher.pass = nil
        case .ready: ready[ObjectIdentifier(watcher)] = nil
        case .blocked, .ended: break
        }
    }

    private func becomeReady(_ watcher: Watcher) {
        watcher.place = .ready
        ready[ObjectIdentifier(watcher)] = watcher
    }

    /// The watch goes on from the log once its consumer has room.
    ///
    /// - Parameter bytes: what it would be told next, where that is known.
    func fallBehind(_ watcher: Watcher, at revision: Int64, wanting bytes: Int = 0) {
        if watcher.place == .synced { feed.counters.slowWatchers.add(1, ordering: .relaxed) }
        watcher.next = revision
        if watcher.consumer.hasRoom(for: bytes) {
            becomeReady(watcher)
        } else {
            watcher.place = .blocked
        }
    }

    // MARK: - Progress

    private func isCaughtUp(_ watcher: Watcher) -> Bool {
        // What a watch was told when it was made is not gone back behind either.
        watcher.place == .synced && dispatched >= max(watcher.request.startRevision, watcher.next - 1)
    }

    private func answerProgress(_ consumer: WatchConsumer) {
        let asked = consumer.takeProgressRequests()
        // One who does not take the answers must not be made any number of them.
        if !consumer.hasRoom() {
            owedProgress[ObjectIdentifier(consumer)] = consumer
            return
        }
        let watchers = consumer.watchers.values
        // etcd sends it by the first of the watches.
        if watchers.isEmpty { return }
        if watchers.allSatisfy(isCaughtUp) {
            for _ in 0..<min(asked, feed.limits.progressAnswers) { tell(consumer, -1, dispatched, .progress) }
            return
        }
        if consumer.wantsLateProgress { owedProgress[ObjectIdentifier(consumer)] = consumer }
        // etcd says nothing here; a client that waits for one of the caught-up watches is helped by its own answer.
        for watcher in watchers where isCaughtUp(watcher) {
            tell(consumer, watcher.id, dispatched, .progress)
        }
    }

    /// Tells those that asked while they were behind or had no room, once they have caught up and have some.
    private func answerOwedProgress() {
        if owedProgress.isEmpty { return }
        for (key, consumer) in owedProgress
        where consumer.watchers.values.allSatisfy(isCaughtUp) && consumer.hasRoom() {
            owedProgress[key] = nil
            // Without watches nothing was delivered that could be told of: they have ended.
            if !consumer.watchers.isEmpty { tell(consumer, -1, dispatched, .progress) }
        }
    }

    private func notifyProgress() {
        let now = Monotonic.now()
        if now < nextProgress { return }
        nextProgress = now + feed.progressInterval
        for consumer in progressConsumers.values {
            for watcher in consumer.watchers.values where watcher.request.wantsProgress {
                if !watcher.wasTold && isCaughtUp(watcher) { tell(consumer, watcher.id, dispatched, .progress) }
                watcher.wasTold = false
            }
        }
        flush()
    }

    // MARK: - Deliveries

    func tell(_ consumer: WatchConsumer, _ id: Int64, _ revision: Int64, _ kind: WatchDelivery.Kind) {
        let delivery = WatchDelivery(consumer: consumer, id: id, revision: revision, kind: kind)
        consumer.delivered(delivery.footprint)
        let last = outbox.count - 1
        if last >= 0 && outbox[last].target === consumer.target {
            outbox[last].deliveries.append(delivery)
        } else if let place = outboxPlaces[ObjectIdentifier(consumer.target)] {
            outbox[place].deliveries.append(delivery)
        } else {
            outboxPlaces[ObjectIdentifier(consumer.target)] = last + 1
            outbox.append((consumer.target, [delivery]))
        }
    }

    func flush() {
        if outbox.isEmpty { return }
        for (target, deliveries) in outbox { target.deliver(deliveries) }
        outbox.removeAll(keepingCapacity: true)
        outboxPlaces.removeAll(keepingCapacity: true)
    }
}
