#!/usr/bin/env python3
"""What calls cost as a store grows: more keys, more revisions a key, deleted keys, more watches.

usage: growth.py PATH_TO_DROVER [--backends sqlite,postgres,mysql] [--etcd PATH] [--keys 1000000] [--rounds N]
           [--buffers MIB] [--only keys,revisions,tombstones,hot,watches,compaction,leases,large,big]

Each figure is the time of a call in the large store over the time in the small one: 1.0 is no growth. Servers with the
small and the large store take turns, 50 connections with 10 calls each. With --etcd, etcd's own growth is shown too.
"""

import argparse
import base64
import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from bench_quick import CALLS, PREFIX, calls_made, field, fill, in_turn, integer, load, pod
from servers import Servers, processor_seconds

LAST = PREFIX[:-1] + b"."


FAULTS = ("lost", "doubled", "out of order", "unexpected", "watches ended", "revoked early", "lanes lost")


def run_bench(program, targets, rounds, directory, arguments):
    """What `drover bench` has measured of targets by name, round by round in turn. Figures of calls that failed are none."""
    file = os.path.join(directory, "bench.json")
    # Nothing of an earlier call is taken for this one's.
    if os.path.exists(file):
        os.remove(file)
    named = [text for name, url in targets.items() for text in ("--target", f"{name}={url}")]
    done = subprocess.run([program, "bench", *named, "--rounds", str(rounds), "--report", "-", "--json", file, *arguments],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1) or not os.path.exists(file):
        raise SystemExit(done.stderr[-500:])
    with open(file) as text:
        measurements = json.load(text)["measurements"]
    for measured in measurements:
        name = f"{measured['workload']} on {measured['target']}"
        if measured.get("skipped"):
            raise SystemExit(f"{name}: {measured['skipped']}")
        for round in measured["rounds"]:
            faults = {fault: round["figures"][fault] for fault in FAULTS if round["figures"].get(fault)}
            if round["errors"] or faults:
                raise SystemExit(f"{name}: {round['errors']} {faults}")
    return measurements


def bench(program, url, directory, arguments):
    """One round of `drover bench`: calls a second by workload, and the rest of its figures."""
    return {m["workload"]: m["rounds"][0] for m in run_bench(program, {"t": url}, 1, directory, arguments) if m["rounds"]}


def rate(round):
    """Calls a second of what a workload does most."""
    return max(series["rate"] for name, series in round["series"].items() if name != "delivery")


def ask(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    begun = time.monotonic()
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    if reply.status != 200:
        raise SystemExit(f"{path}: {text[:200]}")
    return json.loads(text), time.monotonic() - begun


def encoded(text):
    return base64.b64encode(text).decode()


def compared(name, small, large):
    print(f"  {name:<44}{small:>12,.0f}{large:>12,.0f}{small / large:>8.2f}", flush=True)


def keys(program, place, directory, options):
    """10,000 keys, and as many as were asked for."""
    sizes = (10_000, options.keys)
    ports = place(), place()
    found = {}
    calls = ["--workload", "get,pages,mixed,count", "--read-ratio", "0", "--duration", "3s", "--warm-up", "1s",
             "--folder", "growth"]
    for _ in range(options.rounds):
        for port, count in zip(ports, sizes):
            result = bench(program, f"http://127.0.0.1:{port}", directory, calls + ["--keys", str(count)])
            for name, round in result.items():
                found.setdefault(name, {}).setdefault(count, []).append(rate(round))
    for name, title in (("get", "get"), ("mixed", "put"), ("pages", "page of 500"), ("count", "count")):
        small, large = (statistics.median(found[name][count]) for count in sizes)
        compared(f"{title}, 10,000 to {options.keys:,} keys", small, large)
    events(program, ports, directory, options, f"event, 10,000 to {options.keys:,} keys")
    # A count that no call before has left behind: of all keys but the first.
    body = {"key": encoded(b"/drover-bench/growth/k/000000001"), "range_end": encoded(b"/drover-bench/growth/k0"),
            "count_only": True}
    print(f"  first count of {options.keys:,} keys: {ask(ports[1], '/v3/kv/range', body)[1] * 1e3:.1f} ms", flush=True)


def compare(name, ports, call, clients, options, directory):
    path, message = call
    rates = ([], [])
    for _ in range(options.rounds):
        for place, port in enumerate(ports):
            rates[place].append(load(port, path, message, *clients, directory))
    compared(name, statistics.median(rates[0]), statistics.median(rates[1]))


def revisions(program, place, directory, options):
    """10,000 keys of one revision, and of a hundred."""
    ports = place(), place()
    for port in ports:
        fill(port)
    for _ in range(99):
        fill(ports[1])
    for name, call, calls in (("get", "range", 60_000), ("put", "put", 40_000), ("page of 500", "page of 500", 1_500)):
        compare(f"{name}, 1 to 100 revisions a key", ports, CALLS[call], (50, 10, calls), options, directory)
    events(program, ports, directory, options, "event, 1 to 100 revisions a key")


def events(program, ports, directory, options, title):
    """Events of ten watches a second."""
    rates = ([], [])
    calls = ["--workload", "watch", "--watchers", "10", "--duration", "4s", "--warm-up", "1s", "--keys", "1000"]
    for _ in range(options.rounds):
        for place, port in enumerate(ports):
            result = bench(program, f"http://127.0.0.1:{port}", directory, calls)
            rates[place].append(result["watch"]["figures"]["events/s"])
    compared(title, statistics.median(rates[0]), statistics.median(rates[1]))


def tombstones(program, place, directory, options):
    """Pages, counts and puts beside keys that were deleted and not compacted, in the range."""
    ports = place(), place()
    for port in ports:
        fill(port)
    for start in range(0, options.keys, 100_000):
        fill(ports[1], 100_000 + start, 200_000 + start)
        ask(ports[1], "/v3/kv/deleterange", {"key": encoded(pod(100_000 + start)), "range_end": encoded(LAST)})
    beside = f"beside {options.keys:,} deleted keys"
    page = ("/etcdserverpb.KV/Range", field(1, pod(9_800)) + field(2, LAST) + integer(3, 500))
    compare(f"last page of 500 {beside}", ports, page, (50, 10, 1_500), options, directory)
    count = ("/etcdserverpb.KV/Range", field(1, PREFIX) + field(2, LAST) + integer(9, 1))
    compare(f"count {beside}", ports, count, (50, 10, 40_000), options, directory)
    compare(f"put {beside}", ports, CALLS["put"], (50, 10, 40_000), options, directory)


def hot(program, place, directory, options):
    """A get and a page at a revision that a hot key has long left behind."""
    port = place()
    fill(port)
    revision = int(ask(port, "/v3/kv/range", {"key": encoded(pod(1))})[0]["header"]["revision"])
    load(port, *CALLS["put"], 50, 10, 100_000, directory)
    for title, body in (("get", {"key": encoded(pod(1))}),
                        ("page of 500", {"key": encoded(PREFIX), "range_end": encoded(LAST), "limit": 500})):
        times = [ask(port, "/v3/kv/range", {**body, "revision": revision})[1] for _ in range(5)]
        print(f"  {title} 100,000 updates of a hot key back: first {times[0] * 1e3:.1f} ms, "
              f"median {statistics.median(times) * 1e3:.1f} ms", flush=True)


def watches(program, place, directory, options):
    """Puts beside ten thousand watches of other keys, and what is behind catching up."""
    port = place()
    url = f"http://127.0.0.1:{port}"
    base = ["--duration", "4s", "--warm-up", "1s", "--keys", "10000"]
    for workload, title in (("watch-beside", "put, 1 to 10,000 watches of other keys"),
                            ("watch-keys", "put and event, 1 to 10,000 watched keys")):
        few, many = [], []
        for _ in range(options.rounds):
            for rates, count in ((few, 1), (many, 10_000)):
                result = bench(program, url, directory, base + ["--workload", workload, "--watchers", str(count)])
                rates.append(result[workload]["series"]["put"]["rate"])
        compared(title, statistics.median(few), statistics.median(many))
    result = bench(program, url, directory, ["--workload", "catch-up-keys", "--watchers", "10000", "--history", "100000",
                                             "--connections", "50", "--keys", "10000"])["catch-up-keys"]
    print(f"  10,000 watches 100,000 revisions back caught up: {result['seconds']:.1f} s, {result['figures']}", flush=True)


def compaction(program, place, directory, options):
    """The p99 of puts while a million revisions are compacted away."""
    port = place()
    result = bench(program, f"http://127.0.0.1:{port}", directory,
                   ["--workload", "compaction", "--history", str(options.keys), "--duration", "12s", "--warm-up", "2s",
                    "--connections", "10", "--streams", "5"])["compaction"]
    print(f"  {result['figures']}", flush=True)


def leases(program, place, directory, options):
    """The share of a core that keeping leases alive takes."""
    count, url, database = 50_000, f"http://127.0.0.1:{place()}", place.servers.database
    common = ["--workload", "lease", "--leases", str(count)]
    result = bench(program, url, directory, [*common, "--duration", "30s", "--warm-up", "10s"])["lease"]
    share = result["processorSeconds"] / result["seconds"] * 100
    print(f"  {count:,} leases kept alive every 10 s: {share:.0f} % of a core; {result['figures']}", flush=True)
    if database:
        # Granting and revoking are most of a short run: what a longer one takes more is renewals.
        taken = []
        for seconds in (10, 40):
            before = processor_seconds(database.pid)
            bench(program, url, directory, [*common, "--duration", f"{seconds}s", "--warm-up", "0s"])
            taken.append(processor_seconds(database.pid) - before)
        print(f"  the database's share: {(taken[1] - taken[0]) / 30 * 100:.0f} % of a core", flush=True)


def large(program, places, directory, options):
    """Pages for 64 callers, and ten whole lists at once, of 300,000 keys; all servers in turn."""
    ports = {name: place() for name, place in places.items()}
    started = {name: place.processes[-1] for name, place in places.items()}
    common = ["--folder", "large", "--connections", "64", "--streams", "1", "--warm-up", "1s", "--duration", "10s"]
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    for count in (10_000, 300_000):
        for workload, title in (("pages", "one after the other"), ("page", "from random keys on")):
            print(f"  pages of 500 of {count:,} keys, 64 callers, {title}:", flush=True)
            for measured in run_bench(program, urls, options.rounds, directory,
                                      ["--workload", workload, "--keys", str(count), *common]):
                series = [round["series"]["page"] for round in measured["rounds"]]
                rates = [one["keysPerSecond"] for one in series]
                median = statistics.median(one["percentiles"][8] for one in series) / 1e3
                print(f"    {measured['target']:<10}{statistics.median(rates):>12,.0f} keys/s "
                      f"({min(rates):,.0f} to {max(rates):,.0f}), median {median:,.0f} ms", flush=True)
    path, _ = CALLS["whole list"]
    whole = field(1, b"/drover-bench/large/k/") + field(2, b"/drover-bench/large/k0")
    for process in started.values():
        reset_peak(process)
    before = {name: resident(process) for name, process in started.items()}
    rates = {name: [] for name in ports}
    for turn in range(options.rounds):
        for name, port in in_turn(ports.items(), turn):
            begun = time.monotonic()
            data = calls_made(port, path, whole, 10, 1, 10, directory)[1]
            rates[name].append(3_000_000 / (time.monotonic() - begun))
            if data < 3_000_000 * 1_024:
                raise SystemExit(f"{name}: whole lists lack keys: {data} bytes")
    for name, process in started.items():
        print(f"  ten whole lists at once, {name}: {statistics.median(rates[name]):,.0f} keys/s, "
              f"resident {before[name]:.0f} MiB before, peak {resident(process, 'VmHWM'):.0f} MiB", flush=True)


def big(program, place, directory, options):
    """A list of 1 GiB, in values of 1 MiB."""
    port, process = place(), place.processes[-1]
    bench(program, f"http://127.0.0.1:{port}", directory,
          ["--workload", "count", "--keys", "1024", "--value-size", "1048576", "--folder", "big", "--connections", "1",
           "--streams", "1", "--duration", "1s", "--warm-up", "0s"])
    reset_peak(process)
    before = resident(process)
    path, _ = CALLS["whole list"]
    begun = time.monotonic()
    whole = field(1, b"/drover-bench/big/k/") + field(2, b"/drover-bench/big/k0")
    data = calls_made(port, path, whole, 1, 1, 1, directory)[1]
    if data < 1 << 30:
        raise SystemExit(f"the list of 1 GiB lacks keys: {data} bytes")
    print(f"  a list of 1 GiB: {time.monotonic() - begun:.1f} s, resident {before:.0f} MiB before, "
          f"peak {resident(process, 'VmHWM'):.0f} MiB", flush=True)


def reset_peak(process):
    """What a process was at most is counted from now on."""
    with open(f"/proc/{process.pid}/clear_refs", "w") as peak:
        peak.write("5")


def resident(process, what="VmRSS"):
    """MiB of a process."""
    with open(f"/proc/{process.pid}/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":"))


# Parts of all servers together, so that they take turns.
TOGETHER = {"large": large}
PARTS = {"keys": keys, "revisions": revisions, "tombstones": tombstones, "hot": hot, "watches": watches,
         "compaction": compaction, "leases": leases, "big": big}


class Place:
    """Starts a server with a store of its own at each call, and says its port."""

    def __init__(self, name, servers, directory, shared, options):
        self.name, self.servers, self.directory, self.shared, self.options = name, servers, directory, shared, options
        self.processes = []

    def __call__(self):
        number = len(self.processes) + 1
        folder = os.path.join(self.directory, str(number))
        os.makedirs(folder)
        if self.name == "etcd":
            port, process = self.servers.etcd(self.options.etcd, folder)
        elif self.shared:
            endpoint = self.shared.replace("/bench", f"/bench{number}")
            port, process = self.servers.drover(self.options.drover, endpoint)
        else:
            port, process = self.servers.drover(self.options.drover, f"sqlite://{folder}/drover.db")
        self.processes.append(process)
        return port


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("drover")
    parser.add_argument("--backends", default="sqlite,postgres,mysql")
    parser.add_argument("--etcd")
    parser.add_argument("--buffers", type=int, help="the database servers' memory for pages in MiB")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join([*PARTS, *TOGETHER]))
    options = parser.parse_args()
    names = [name for name in options.backends.split(",") if name] + (["etcd"] if options.etcd else [])
    wanted = options.only.split(",")

    def run(part, names):
        # Servers of their own for each part: what one leaves behind is nothing to another.
        directory = tempfile.mkdtemp(prefix="drover-growth-")
        servers = Servers(directory, options.buffers)
        places = {}
        try:
            for name in names:
                folder = os.path.join(directory, f"{name}-stores")
                os.makedirs(folder)
                shared = getattr(servers, name)() if name in ("postgres", "mysql") else None
                places[name] = Place(name, servers, folder, shared, options)
            if part in TOGETHER:
                TOGETHER[part](options.drover, places, directory, options)
            else:
                PARTS[part](options.drover, places[names[0]], directory, options)
        finally:
            servers.stop()
            shutil.rmtree(directory, ignore_errors=True)

    for name in names:
        parts = [part for part in wanted if part not in TOGETHER]
        if parts:
            print(f"{name:<46}{'small/s':>12}{'large/s':>12}{'growth':>8}", flush=True)
        for part in parts:
            run(part, [name])
    for part in wanted:
        if part in TOGETHER:
            print(part, flush=True)
            run(part, names)


if __name__ == "__main__":
    main()
