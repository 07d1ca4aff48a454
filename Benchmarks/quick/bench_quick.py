#!/usr/bin/env python3
"""Drives drover and a real etcd in turn with the same frames and prints ratios.

usage: bench_quick.py PATH_TO_DROVER [--backends sqlite,postgres,mysql] [--etcd PATH] [--rounds N]
           [--only PART_OF_A_NAME] [--json FILE]

All serve on loopback with their data on the same disk, durable. h2load (Debian: nghttp2-client) sends one and the same
call over and over; rounds alternate (A B C A B C), and the median of each is shown with its ratio to etcd's. A second
table has the microseconds of processor that each server's own process spent on a call (not its database's).
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from servers import Servers


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def integer(number, value):
    return varint(number << 3) + varint(value)


def frame(message):
    return b"\0" + struct.pack(">I", len(message)) + message


PREFIX = b"/registry/pods/default/pod-"
VALUE = b"x" * 1024


def pod(number):
    return PREFIX + b"%06d" % number


def put(key, value=VALUE):
    return field(1, key) + field(2, value)


def txn(compare, key):
    return field(1, compare) + field(2, field(2, put(key))) + field(3, field(1, field(1, key)))


CREATE_COMPARE = integer(2, 2) + field(3, b"/registry/pods/default/none") + integer(6, 0)
UPDATE_COMPARE = integer(1, 1) + integer(2, 2) + field(3, pod(1)) + integer(6, 0)

CALLS = {
    "put": ("/etcdserverpb.KV/Put", put(pod(1))),
    "range": ("/etcdserverpb.KV/Range", field(1, pod(1)) + integer(3, 1)),
    "page of 500": ("/etcdserverpb.KV/Range", field(1, PREFIX) + field(2, PREFIX[:-1] + b".") + integer(3, 500)),
    "whole list": ("/etcdserverpb.KV/Range", field(1, PREFIX) + field(2, PREFIX[:-1] + b".")),
    "txn create": ("/etcdserverpb.KV/Txn", txn(CREATE_COMPARE, pod(2))),
    "txn update": ("/etcdserverpb.KV/Txn", txn(UPDATE_COMPARE, pod(1))),
}

# (name, call, connections, streams, calls)
RUNS = [
    ("put 1x1", "put", 1, 1, 2_000),
    ("put 10x10", "put", 10, 10, 30_000),
    ("put 50x10", "put", 50, 10, 60_000),
    ("range 1x1", "range", 1, 1, 5_000),
    ("range 10x10", "range", 10, 10, 60_000),
    ("range 50x10", "range", 50, 10, 60_000),
    ("txn create 50x10", "txn create", 50, 10, 40_000),
    ("txn update 50x10", "txn update", 50, 10, 40_000),
    ("page of 500 50x10", "page of 500", 50, 10, 2_000),
    ("list of 10,000 50x1", "whole list", 50, 1, 200),
]


def in_turn(servers, turn):
    """The servers, begun with another one each turn: none always comes behind the same neighbour's writes."""
    servers = list(servers)
    first = turn % len(servers)
    return servers[first:] + servers[:first]


def load(port, path, message, connections, streams, calls, directory):
    """Calls a second."""
    # An error of the wire form is a success of HTTP: it has trailers and no message, or a shorter one.
    one = calls_made(port, path, message, 1, 1, 1, directory)[1]
    rate, data = calls_made(port, path, message, connections, streams, calls, directory)
    # Numbers in replies may have become a byte longer, or shorter where a key is new.
    if one < 5 or data < 0.95 * calls * one:
        sys.exit(f"calls were answered with errors: {data} bytes of data for {calls} calls, {one} for one")
    return rate


def calls_made(port, path, message, connections, streams, calls, directory):
    """Calls a second, and bytes of their answers' data."""
    # A file of its own: several loads may run at once.
    with tempfile.NamedTemporaryFile(dir=directory, prefix="frame-", delete=False) as out:
        out.write(frame(message))
    body = out.name
    # Windows wide enough for a whole list, so that the client does not throttle the servers.
    command = ["h2load", "-n", str(calls), "-c", str(connections), "-m", str(streams), "-w", "24", "-W", "28",
               "-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers",
               f"http://127.0.0.1:{port}{path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate, data = None, 0
    for line in result.splitlines():
        if line.startswith("finished in"):
            rate = float(line.split(",")[1].split()[0])
        if line.startswith("requests:") and f"{calls} succeeded" not in line:
            sys.exit(f"calls failed: {line}")
        if line.startswith("traffic:"):
            data = int(re.search(r"\((\d+)\) data", line).group(1))
    return rate, data


def fill(port, first=0, last=10_000):
    """Keys of 1 KiB, 100 in a transaction."""
    import http.client
    import base64
    connection = http.client.HTTPConnection("127.0.0.1", port)
    value = base64.b64encode(VALUE).decode()
    for start in range(first, last, 100):
        operations = [{"request_put": {"key": base64.b64encode(pod(i)).decode(), "value": value}}
                      for i in range(start, start + 100)]
        connection.request("POST", "/v3/kv/txn", json.dumps({"success": operations}),
                           {"content-type": "application/json"})
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            sys.exit(f"the store could not be filled: {body[:200]}")


def memory(pids):
    """Peak resident memory in MiB of the largest, and processor seconds of all."""
    peak, seconds = 0, 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status") as status:
                for line in status:
                    if line.startswith("VmHWM"):
                        peak = max(peak, int(line.split()[1]) / 1024)
            with open(f"/proc/{pid}/stat") as stat:
                parts = stat.read().rsplit(")", 1)[1].split()
            seconds += (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass
    return peak, seconds


def row(title, values, backends):
    """A line of a table: each server's figure, and those of drover's beside etcd's."""
    print(f"{title:22}" + "".join(f"{value:14,.0f}" for value in values.values())
          + "".join(f"{values[backend] / values['etcd']:10.2f}" if values["etcd"] else f"{'-':>10}"
                    for backend in backends), flush=True)


def growth(name, port, directory, rounds):
    """Pages of 500 out of 10,000 keys, out of 100,000, and after each of those was written three times more.

    Pages a second of the latter two, and the microseconds of a page that is asked for by itself."""
    path, message = CALLS["page of 500"]
    rates, alone = [], []
    for step in ((), ((10_000, 100_000),), ((0, 100_000),) * 3):
        for first, last in step:
            fill(port, first, last)
        rates.append(statistics.median(load(port, path, message, 50, 10, 1_000, directory) for _ in range(rounds)))
        alone.append(1e6 / statistics.median(load(port, path, message, 1, 1, 300, directory) for _ in range(rounds)))
    few, many, old = rates
    print(f"{name}: pages of 500 out of 10,000 keys {few:,.0f}/s, out of 100,000 {many:,.0f}/s ({many / few:.2f}), "
          f"after 300,000 more revisions {old:,.0f}/s ({old / few:.2f}); one by itself "
          + ", ".join(f"{page:,.0f} us" for page in alone), flush=True)
    return 1 / many, 1 / old, *alone[1:]


def two_instances(name, servers, program, endpoint, port, directory, rounds):
    """Puts through one instance, and through two at once: with as many clients each, and with half of them."""
    other, _ = servers.drover(program, endpoint)
    time.sleep(3)
    path, message = CALLS["put"]
    rates = {"alone": [], "each": [], "halves": []}

    def together(clients, calls):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            found = [pool.submit(load, half, path, message, clients, 10, calls, directory) for half in (port, other)]
            return sum(half.result() for half in found)

    for _ in range(rounds):
        rates["alone"].append(load(port, path, message, 50, 10, 40_000, directory))
        rates["each"].append(together(50, 40_000))
        rates["halves"].append(together(25, 20_000))
    alone, each, halves = (statistics.median(rates[which]) for which in rates)
    print(f"{name}: puts through one instance at 50x10 {alone:,.0f}/s, through two at 50x10 each {each:,.0f}/s "
          f"({each / alone:.2f}), at 25x10 each {halves:,.0f}/s ({halves / alone:.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("drover")
    parser.add_argument("--backends", default="sqlite,postgres,mysql")
    parser.add_argument("--etcd", default=os.environ.get("DROVER_TEST_ETCD") or shutil.which("etcd"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="runs whose name holds this")
    parser.add_argument("--json")
    options = parser.parse_args()
    if not options.etcd:
        sys.exit("there is no etcd; install etcd-server or name one with --etcd")
    version = subprocess.run([options.etcd, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    directory = tempfile.mkdtemp(prefix="drover-bench-")
    servers = Servers(directory)
    backends = [name for name in options.backends.split(",") if name]
    try:
        ports, pids, endpoints = {}, {}, {}
        for name in backends:
            endpoint = getattr(servers, name)()
            endpoints[name] = endpoint
            ports[name], process = servers.drover(options.drover, endpoint)
            pids[name] = process.pid
        ports["etcd"], process = servers.etcd(options.etcd)
        pids["etcd"] = process.pid
        time.sleep(3)
        print(f"drover beside {version}, all durable, {os.cpu_count()} cores, {options.rounds} rounds")
        for port in ports.values():
            fill(port)
        print(" " * 22 + "".join(f"{name + '/s':>14}" for name in ports) + "".join(f"{name:>10}" for name in backends))
        results, spent = {}, {}
        for name, call, connections, streams, calls in RUNS:
            if options.only and options.only not in name:
                continue
            path, message = CALLS[call]
            rates = {server: [] for server in ports}
            costs = {server: [] for server in ports}
            for turn in range(options.rounds):
                for server, port in in_turn(ports.items(), turn):
                    before = memory([pids[server]])[1]
                    rates[server].append(load(port, path, message, connections, streams, calls, directory))
                    costs[server].append((memory([pids[server]])[1] - before) * 1e6 / calls)
            results[name] = {server: statistics.median(found) for server, found in rates.items()}
            spent[name] = {server: statistics.median(found) for server, found in costs.items()}
            row(name, results[name], backends)
        print("processor microseconds a call")
        for name, medians in spent.items():
            row(name, medians, backends)
            results[f"{name}, processor us a call"] = medians
        for name in backends:
            if name != "sqlite" and not options.only:
                two_instances(name, servers, options.drover, endpoints[name], ports[name], directory, options.rounds)
        if not options.only or options.only == "growth":
            pages = {name: growth(name, ports[name], directory, options.rounds) for name in backends}
            if "sqlite" in pages:
                for name in backends:
                    if name != "sqlite":
                        times = [ours / theirs for ours, theirs in zip(pages[name], pages["sqlite"])]
                        print(f"{name}: a page out of 100,000 keys takes {times[0]:.2f} times as long as on SQLite, after "
                              f"300,000 more revisions {times[1]:.2f} times; one by itself {times[2]:.2f} and {times[3]:.2f}")
        figures = {server: memory([pid]) for server, pid in pids.items()}
        for place, title in enumerate(["peak memory MiB", "processor seconds"]):
            values = {server: figure[place] for server, figure in figures.items()}
            results[title] = values
            row(title, values, backends)
        if options.json:
            with open(options.json, "w") as out:
                json.dump(results, out, indent=2)
    finally:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
