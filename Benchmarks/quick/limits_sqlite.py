#!/usr/bin/env python3
"""What a page of Kubernetes' objects takes SQLite and the kernel by themselves, for docs/performance.md.

usage: limits_sqlite.py DROVER [--nodes N]

Has `drover bench --workload kubernetes` fill a store for a while, and then reads pages of 500 of its pods without any of Drover's
code: through the system's SQLite, each page in a snapshot of its own whose page cache is empty, as it is after another's
commit. All of it is in the file by then, none in its log, and nothing of what is read leaves SQLite but the sum of its lengths
(which reads no overflow pages: these pods have none): by one process, and by two at once, as on a machine
of two cores that has more to do. The same number of bytes is then sent through loopback, in pieces of 256 KiB. The figures
are processor time of the reading and of the sending thread alone.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from servers import QUIET, Servers

SECONDS = 12
PAGES = 400
PIECE = 256 << 10
PODS = b"/registry/pods/"
PAGE = """
    FROM (SELECT key, id FROM drover_current WHERE key >= ? ORDER BY key LIMIT 500) c CROSS JOIN drover_log l ON l.id = c.id
"""


# As `drover serve` has it: memory that is given back is not returned to the system, to be zeroed anew for the next page.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 30)}


def fill(drover, nodes, directory):
    """The harness takes its keys away at the end: the server is stopped before."""
    servers = Servers(directory)
    try:
        port, _ = servers.drover(drover, servers.sqlite())
        bench = subprocess.Popen([drover, "bench", "--workload", "kubernetes", "--target", f"http://127.0.0.1:{port}",
                                  "--nodes", str(nodes), "--duration", "60s", "--report", "-"], **QUIET)
        servers.started.append(bench)
        time.sleep(SECONDS)
        if bench.poll() is not None:
            raise SystemExit(f"drover bench has ended with {bench.returncode}")
        bench.kill()
    finally:
        servers.stop()
    return f"{directory}/drover.db"


def read(path):
    """Seconds of a page, and its bytes."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    connection.execute("PRAGMA cache_size = -4096")
    pods = [key for key, in connection.execute("SELECT key FROM drover_current ORDER BY key") if PODS in key]
    if len(pods) < 600:
        raise SystemExit(f"the store has {len(pods)} pods, too few for pages of 500")
    first = [random.choice(pods[:-500]) for _ in range(PAGES)]
    # Once, so that the file is in the system's memory.
    connection.execute("SELECT sum(length(value)) FROM drover_log").fetchone()
    size, spent = 0, 0.0
    for key in first:
        connection.execute("PRAGMA shrink_memory")
        begun = time.thread_time()
        size += connection.execute("SELECT sum(length(l.value))" + PAGE, (key,)).fetchone()[0]
        spent += time.thread_time() - begun
    connection.close()
    return spent / PAGES, size // PAGES


def send(size):
    """Seconds of the sending thread for that many bytes."""
    a, b = socket.create_server(("127.0.0.1", 0)), socket.socket()
    b.connect(a.getsockname())
    taker, _ = a.accept()

    def take():
        while taker.recv(PIECE):
            pass

    thread = threading.Thread(target=take)
    thread.start()
    data = os.urandom(size)
    begun = time.thread_time()
    for _ in range(PAGES):
        for at in range(0, size, PIECE):
            b.sendall(data[at:at + PIECE])
    spent = time.thread_time() - begun
    b.close()
    thread.join()
    return spent / PAGES


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("drover")
    parser.add_argument("--nodes", type=int, default=100)
    arguments = parser.parse_args()
    if any(name not in os.environ for name in ALLOCATOR):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    directory = tempfile.mkdtemp(prefix="drover-limits-")
    try:
        path = fill(arguments.drover, arguments.nodes, directory)
        reading, size = read(path)
        with multiprocessing.Pool(2) as pool:
            beside = sum(seconds for seconds, _ in pool.map(read, [path] * 2, chunksize=1)) / 2
        print(f"a page of 500 pods, {size:,} bytes: SQLite reads it in {reading * 1e6:,.0f} us of processor time, two at once "
              f"in {beside * 1e6:,.0f} us each; the kernel sends as many bytes in {send(size) * 1e6:,.0f} us")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
