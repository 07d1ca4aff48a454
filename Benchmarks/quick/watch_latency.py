#!/usr/bin/python3
"""How soon a watch on one instance sees what another instance commits, from the answer to the put to the event.

usage: watch_latency.py PATH_TO_DROVER postgres|mysql [PUTS_PER_SECOND] [SECONDS]
Needs gRPC for Python (Debian: python3-grpcio). Prints the median and the 99th percentile in milliseconds.
"""

import queue
import shutil
import sys
import tempfile
import threading
import time

import grpc

from bench_quick import field
from servers import Servers


def fields(message):
    """Number and content of each field, varints and length-delimited ones."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            yield tag >> 3, message[at:at + length]
            at += length
        else:
            yield tag >> 3, varint()


def first(message, number, default=b""):
    return next((content for found, content in fields(message) if found == number), default)


def main():
    program, backend = sys.argv[1:3]
    rate = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000
    seconds = int(sys.argv[4]) if len(sys.argv) > 4 else 8
    directory = tempfile.mkdtemp(prefix="drover-latency-")
    servers = Servers(directory)
    try:
        endpoint = getattr(servers, backend)()
        one, _ = servers.drover(program, endpoint)
        two, _ = servers.drover(program, endpoint)
        time.sleep(4)
        writer, watcher = (grpc.insecure_channel(f"127.0.0.1:{port}") for port in (one, two))
        put = writer.unary_unary("/etcdserverpb.KV/Put")
        requests = queue.Queue()
        requests.put(field(1, field(1, b"l/") + field(2, b"l0")))
        stream = watcher.stream_stream("/etcdserverpb.Watch/Watch")(iter(requests.get, None))
        next(stream)
        arrived, answered, total = {}, {}, rate * seconds
        done = threading.Event()

        def collect():
            for message in stream:
                now = time.monotonic()
                for number, event in fields(message):
                    if number == 11:
                        arrived[first(first(event, 2), 3, 0)] = now
                if len(arrived) >= total:
                    break
            done.set()

        threading.Thread(target=collect, daemon=True).start()

        def answer(call):
            answered[first(first(call.result(), 1), 3, 0)] = time.monotonic()

        begun = time.monotonic()
        for i in range(total):
            pause = begun + i / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            put.future(field(1, b"l/%d" % (i % 50)) + field(2, b"x" * 200)).add_done_callback(answer)
        done.wait(30)
        time.sleep(0.5)
        delays = sorted((arrived[revision] - at) * 1_000 for revision, at in answered.items() if revision in arrived)
        print(f"{backend}: {len(delays)} of {total} events at {total / (time.monotonic() - begun):,.0f} puts/s: "
              f"median {delays[len(delays) // 2]:.1f} ms, p99 {delays[len(delays) * 99 // 100]:.1f} ms")
        requests.put(None)
    finally:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
