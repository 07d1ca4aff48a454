#!/usr/bin/env python3
"""What this machine's disk, loopback and memory allow, for the limits in docs/performance.md.

usage: limits.py [DIRECTORY]

Medians of repeated measurements, without any of Drover's code. DIRECTORY is where data would be; . by default.
"""

import os
import random
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time


def median(times, call):
    """Seconds of one call in the median."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def syncs(directory):
    """Appends to a file that was written out in advance, each synced, as the write-ahead log is."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        handle = file.fileno()
        os.write(handle, bytes(256 << 20))
        os.fsync(handle)
        for size, times in ((4 << 10, 500), (16 << 10, 500), (256 << 10, 200), (1 << 20, 100), (4 << 20, 40)):
            data = os.urandom(size)
            os.lseek(handle, 0, os.SEEK_SET)

            def append():
                os.write(handle, data)
                os.fdatasync(handle)

            seconds = median(times, append)
            print(f"  write and sync of {size >> 10:>5} KiB: {seconds * 1e6:>8,.0f} us, {size / seconds / 1e6:>6,.0f} MB/s")


def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def loopback():
    client, server = pair()

    def echo():
        while data := server.recv(65_536):
            server.sendall(data)

    threading.Thread(target=echo, daemon=True).start()

    def ask():
        client.sendall(b"x")
        client.recv(1)

    print(f"  round trip of a byte: {median(5_000, ask) * 1e6:,.0f} us, the interpreter's share in it")
    client.close()
    for size in (1 << 10, 64 << 10):
        client, server = pair()
        total = (512 << 20) if size > 1 << 10 else 64 << 20
        taken = threading.Event()

        def take():
            left = total
            while left > 0:
                left -= len(server.recv(1 << 20))
            taken.set()

        threading.Thread(target=take, daemon=True).start()
        data = bytes(size)
        begun = time.perf_counter()
        for _ in range(total // size):
            client.sendall(data)
        taken.wait()
        seconds = time.perf_counter() - begun
        print(f"  writes of {size >> 10:>2} KiB: {seconds / (total / size) * 1e6:>6.1f} us each, {total / seconds / 1e9:.1f} GB/s")


def memory():
    source = bytearray(64 << 20)
    target = bytearray(64 << 20)

    def copy():
        target[:] = source

    print(f"  copy of 64 MiB: {len(source) / median(20, copy) / 1e9:.1f} GB/s")


def sqlite(directory):
    """What SQLite alone makes of durable puts of 1 KiB in batches of 500, a row of a log and a row of a table of keys, and
    of gets of such keys."""
    for count in (10_000, 1_000_000):
        with tempfile.TemporaryDirectory(dir=directory) as place:
            base = sqlite3.connect(os.path.join(place, "limit.db"), isolation_level=None)
            for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = OFF", "cache_size = -16384",
                           "wal_autocheckpoint = 5120"):
                base.execute(f"PRAGMA {pragma}")
            base.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, previous INTEGER, created INTEGER, version INTEGER,"
                         " lease INTEGER, key BLOB, value BLOB)")
            base.execute("CREATE TABLE current (key BLOB PRIMARY KEY, id INTEGER, created INTEGER, version INTEGER,"
                         " lease INTEGER, length INTEGER) WITHOUT ROWID")
            value = os.urandom(1024)
            names = [b"/registry/pods/default/pod-%07d" % i for i in range(count)]
            written = 0

            def put(keys, sql, pick):
                nonlocal written
                ids = range(written << 8, (written + len(keys)) << 8, 256)
                written += len(keys)
                base.execute("BEGIN IMMEDIATE")
                base.executemany("INSERT INTO log VALUES (?, 0, 1, 1, 0, ?, ?)",
                                 [(id, key, value) for id, key in zip(ids, keys)])
                base.executemany(sql, [pick(id, key) for id, key in zip(ids, keys)])
                base.execute("COMMIT")

            for start in range(0, count, 5_000):
                put(names[start:start + 5_000], "INSERT INTO current VALUES (?, ?, 1, 1, 0, 1024)",
                    lambda id, key: (key, id))
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            base.execute("PRAGMA synchronous = FULL")
            batches = [random.sample(names, 500) for _ in range(200)]
            begun = time.perf_counter()
            for batch in batches:
                put(batch, "UPDATE current SET id = ? WHERE key = ?", lambda id, key: (id, key))
            seconds = time.perf_counter() - begun
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            base.close()
            print(f"  puts among {count:>9,} keys: {500 * len(batches) / seconds:>8,.0f}/s", flush=True)
            print(f"  gets among {count:>9,} keys: {gets(place, names):>8,.0f}/s", flush=True)


def gets(place, names):
    """Random keys with their values a second, 500 in a statement, through a page cache as large as a reader of Drover's."""
    base = sqlite3.connect(os.path.join(place, "limit.db"), isolation_level=None)
    for pragma in ("cache_size = -4096", "temp_store = MEMORY"):
        base.execute(f"PRAGMA {pragma}")
    base.execute("CREATE TEMP TABLE pick (key BLOB)")
    taken = []
    for _ in range(200):
        base.execute("DELETE FROM pick")
        base.executemany("INSERT INTO pick VALUES (?)", [(key,) for key in random.sample(names, 500)])
        begun = time.perf_counter()
        base.execute("SELECT sum(length(log.value)) FROM pick CROSS JOIN current ON current.key = pick.key "
                     "CROSS JOIN log ON log.id = current.id").fetchone()
        taken.append(time.perf_counter() - begun)
    base.close()
    return 500 / statistics.median(taken)


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else "."
    print("disk")
    syncs(directory)
    print("SQLite")
    sqlite(directory)
    print("loopback")
    loopback()
    print("memory")
    memory()


if __name__ == "__main__":
    main()
