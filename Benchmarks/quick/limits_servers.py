#!/usr/bin/env python3
"""What PostgreSQL and MariaDB by themselves make of a lone put, a page of 500 and gets of random keys, for
docs/performance.md.

usage: limits_servers.py [--backends postgres,mysql] [--keys N] [--buffers MIB]

The servers' own programs (pgbench, mariadb-slap) send what a put and a get come to, without any of Drover's code: the
tables of keys and of the log, a put in two flights and one durable commit, values of 1 KiB. They are few in the
smaller store, 10,000, and N in the larger, a million by default. A page is read once without sending any of it, only the
sum of its lengths, and once whole (psql's binary COPY, mariadb-slap).
"""

import argparse
import glob
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from servers import Servers

FEW = 10_000
CLIENTS = 10
PAGES = 300


def run(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr[-500:]}")
    return done.stdout


def told(name, keys, sync, put, get, gets, read, page):
    print(f"{name}, {keys:,} keys: a durable commit of one row {sync * 1e6:,.0f} us ({1 / sync:,.0f}/s), a lone put "
          f"{put * 1e6:,.0f} us ({1 / put:,.0f}/s), a lone get {get * 1e6:,.0f} us ({1 / get:,.0f}/s), gets of "
          f"{CLIENTS} clients {gets:,.0f}/s; a page of 500 read {read * 1e6:,.0f} us, read and sent {page * 1e6:,.0f} us",
          flush=True)


class PostgreSQL:
    name = "PostgreSQL"
    tables = """
        CREATE TABLE meta (id int4 PRIMARY KEY, revision int8 NOT NULL) WITH (fillfactor = 10);
        INSERT INTO meta VALUES (1, 10000000);
        CREATE TABLE log (main int8, sub int8, created int8, version int8, key bytea, value bytea, PRIMARY KEY (main, sub));
        CREATE TABLE current (key bytea PRIMARY KEY, main int8, sub int8, created int8, version int8)
            WITH (fillfactor = 80);
    """
    key = "convert_to('/registry/pods/default/pod-' || lpad({}::text, 7, '0'), 'UTF8')"

    def __init__(self, servers, directory):
        self.port = str(urllib.parse.urlparse(servers.postgres()).port)
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))[-1]
        self.directory = directory
        self.sql(self.tables)

    def sql(self, text):
        run([f"{self.programs}/psql", "-qX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port, "-U",
             "postgres"], text)

    def fill(self, first, last):
        key = self.key.format("i")
        self.sql(f"""
            INSERT INTO log SELECT i, 0, i, 1, {key}, repeat(md5(i::text), 32)::bytea
                FROM generate_series({first}, {last - 1}) i;
            INSERT INTO current SELECT {key}, i, 0, i, 1 FROM generate_series({first}, {last - 1}) i;
            VACUUM ANALYZE; CHECKPOINT;
        """)

    def bench(self, script, clients=1):
        """Calls a second."""
        path = f"{self.directory}/script.sql"
        with open(path, "w") as out:
            out.write(script)
        text = run([f"{self.programs}/pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", "5", "-f",
                    path, "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "postgres"])
        return float(re.search(r"tps = ([\d.]+)", text).group(1))

    def measure(self, keys):
        pick = f"\\set k random(0, {keys - 1})\n"
        key = self.key.format(":k")
        sync = self.bench("UPDATE meta SET revision = revision + 1 WHERE id = 1;\n")
        put = self.bench(f"""{pick}\\startpipeline
BEGIN;
SELECT revision FROM meta WHERE id = 1 FOR UPDATE;
SELECT main, sub, created, version FROM current WHERE key = {key};
\\endpipeline
\\startpipeline
UPDATE meta SET revision = revision + 1 WHERE id = 1;
INSERT INTO log SELECT revision, 0, 1, 1, {key}, repeat(md5('x'), 32)::bytea FROM meta WHERE id = 1;
UPDATE current SET version = version + 1 WHERE key = {key};
COMMIT;
\\endpipeline
""")
        get = f"""{pick}SELECT c.main, c.sub, c.created, c.version, l.value FROM current c
    JOIN log l ON l.main = c.main AND l.sub = c.sub WHERE c.key = {key};
"""
        return 1 / sync, 1 / put, 1 / self.bench(get), self.bench(get, CLIENTS), *self.pages(keys)

    def pages(self, keys):
        """Seconds of a page that is only read, and of one that is sent as well."""
        # One plan, as Drover has it.
        plan = "".join(f"SET enable_{part} = off;\n" for part in ("seqscan", "hashjoin", "mergejoin", "bitmapscan"))

        def page(columns):
            key = self.key.format(random.randrange(keys - 501))
            return (f"SELECT {columns} FROM (SELECT key, main, sub, created, version FROM current WHERE key >= {key} "
                    "ORDER BY key LIMIT 501) c CROSS JOIN LATERAL "
                    "(SELECT value FROM log WHERE main = c.main AND sub = c.sub OFFSET 0) l")

        def seconds(queries):
            begun = time.monotonic()
            # What is sent goes nowhere.
            self.sql(plan + "\\o /dev/null\n" + "".join(f"{query};\n" for query in queries))
            return time.monotonic() - begun

        idle = min(seconds(["SELECT 1"]) for _ in range(3))
        read = seconds([page("sum(length(l.value))") for _ in range(PAGES)])
        sent = seconds([f"COPY ({page('c.*, l.value')}) TO STDOUT (FORMAT binary)" for _ in range(PAGES)])
        return (read - idle) / PAGES, (sent - idle) / PAGES


class MariaDB:
    name = "MariaDB"
    tables = """
        CREATE DATABASE limits; USE limits;
        CREATE TABLE meta (id INT PRIMARY KEY, revision BIGINT NOT NULL);
        INSERT INTO meta VALUES (1, 10000000);
        CREATE TABLE log (main BIGINT, sub BIGINT, created BIGINT, version BIGINT, k VARBINARY(2048), v LONGBLOB,
            PRIMARY KEY (main, sub)) ROW_FORMAT = DYNAMIC;
        CREATE TABLE current (k VARBINARY(2048) PRIMARY KEY, main BIGINT, sub BIGINT, created BIGINT, version BIGINT)
            ROW_FORMAT = DYNAMIC;
    """

    def __init__(self, servers, directory):
        self.port = str(urllib.parse.urlparse(servers.mysql()).port)
        self.directory = directory
        self.server = ["--no-defaults", "-h", "127.0.0.1", "-P", self.port, "-u", "root"]
        run(["mariadb", *self.server], self.tables)

    def fill(self, first, last):
        key = "CONCAT('/registry/pods/default/pod-', LPAD(seq, 7, '0'))"
        rows = f"FROM seq_{first}_to_{last - 1}"
        run(["mariadb", *self.server, "limits"], f"""
            INSERT INTO log SELECT seq, 0, seq, 1, {key}, REPEAT(MD5(seq), 32) {rows};
            INSERT INTO current SELECT {key}, seq, 0, seq, 1 {rows};
            ANALYZE TABLE log, current;
        """)

    def bench(self, queries, clients=1):
        """Queries a second."""
        path = f"{self.directory}/queries.sql"
        with open(path, "w") as out:
            out.write("#".join(queries))
        text = run([shutil.which("mariadb-slap") or "mysqlslap", *self.server, "--create-schema", "limits",
                    "--no-drop", "--delimiter", "#", "--concurrency", str(clients), "--iterations", "1", "--query",
                    path])
        seconds = float(re.search(r"Average number of seconds to run all queries: ([\d.]+)", text).group(1))
        return clients * len(queries) / seconds

    def measure(self, keys):
        def key():
            return f"'/registry/pods/default/pod-{random.randrange(keys):07d}'"

        def get():
            return ("SELECT c.main, c.sub, c.created, c.version, l.v FROM current c JOIN log l ON l.main = c.main AND "
                    f"l.sub = c.sub WHERE c.k = {key()}")

        sync = self.bench(["UPDATE meta SET revision = revision + 1 WHERE id = 1"] * 5_000)
        flights = []
        value = "REPEAT(MD5('x'), 32)"
        for _ in range(3_000):
            name = key()
            flights += [
                "BEGIN; SELECT revision FROM meta WHERE id = 1 FOR UPDATE; "
                f"SELECT main, sub, created, version FROM current WHERE k = {name}",
                "UPDATE meta SET revision = revision + 1 WHERE id = 1; INSERT INTO log SELECT revision, 0, 1, 1, "
                f"{name}, {value} FROM meta WHERE id = 1; UPDATE current SET version = version + 1 WHERE k = {name}; "
                "COMMIT",
            ]
        put = self.bench(flights) / 2
        gets = [get() for _ in range(10_000)]

        def page(columns):
            return (f"SELECT {columns} FROM (SELECT * FROM current WHERE k >= {key()} ORDER BY k LIMIT 501) c "
                    "STRAIGHT_JOIN log l ON l.main = c.main AND l.sub = c.sub")

        read = self.bench([page("SUM(LENGTH(l.v))") for _ in range(PAGES)])
        sent = self.bench([page("c.*, l.v") for _ in range(PAGES)])
        return 1 / sync, 1 / put, 1 / self.bench(gets), self.bench(gets, CLIENTS), 1 / read, 1 / sent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backends", default="postgres,mysql")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--buffers", type=int, default=4_096)
    options = parser.parse_args()
    engines = {"postgres": PostgreSQL, "mysql": MariaDB}
    for name in options.backends.split(","):
        directory = tempfile.mkdtemp(prefix="drover-limits-")
        servers = Servers(directory, options.buffers)
        try:
            engine = engines[name](servers, directory)
            first = 0
            for keys in (FEW, options.keys):
                engine.fill(first, keys)
                first = keys
                told(engine.name, keys, *engine.measure(keys))
        finally:
            servers.stop()
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
