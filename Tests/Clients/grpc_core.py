"""Drives an etcd endpoint with gRPC's C core, without generated code: a watch, thousands of calls beside it on the same
channel, and thousands of calls that are cancelled.

usage: grpc_core.py HOST:PORT CALLS
Prints one line: the watch's events, the calls answered, and the calls cancelled.
"""

import queue
import sys
import threading

import grpc


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def events(message):
    """The number of events (field 11) in a watch response."""
    at, count = 0, 0

    def read():
        nonlocal at
        shift = value = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(message):
        tag = read()
        if tag & 7 == 2:
            length = read()
            count += tag >> 3 == 11
            at += length
        else:
            read()
    return count


def main():
    target, calls = sys.argv[1], int(sys.argv[2])
    channel = grpc.insecure_channel(target, options=[
        ("grpc.keepalive_time_ms", 10_000), ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1)])
    watch = channel.stream_stream("/etcdserverpb.Watch/Watch")
    put = channel.unary_unary("/etcdserverpb.KV/Put")
    watch_put = channel.stream_stream("/etcdserverpb.Watch/Watch")
    requests = queue.Queue()
    requests.put(field(1, field(1, b"core/") + field(2, b"core0")))
    stream = watch(iter(requests.get, None))
    next(stream)
    seen, done = 0, threading.Event()

    def collect():
        nonlocal seen
        for message in stream:
            seen += events(message)
            if seen >= calls:
                break
        done.set()

    threading.Thread(target=collect, daemon=True).start()
    answered, flying = 0, []
    for number in range(calls):
        flying.append(put.future(field(1, b"core/%d" % (number % 100)) + field(2, b"x" * 200), timeout=30))
        if len(flying) >= 50:
            for call in flying:
                call.result()
                answered += 1
            flying = []
    for call in flying:
        call.result()
        answered += 1
    cancelled = 0
    for number in range(calls // 4):
        pending = queue.Queue()
        pending.put(field(1, field(1, b"other/%d" % number)))
        doomed = watch_put(iter(pending.get, None))
        next(doomed)
        doomed.cancel()
        pending.put(None)
        cancelled += 1
    put(field(1, b"core-end"), timeout=30)
    done.wait(30)
    print(f"events {seen} answered {answered} cancelled {cancelled}")
    requests.put(None)


main()
