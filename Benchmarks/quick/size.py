#!/usr/bin/env python3
"""Memory and start-up of drover: idle, with 100,000 keys and a whole list, and with a million keys after kill -9.

usage: size.py PATH_TO_DROVER [--backends sqlite,postgres,mysql] [--keys N]
"""

import argparse
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time

from bench_quick import CALLS, fill, load
from servers import Servers


def status(pid, name):
    with open(f"/proc/{pid}/status") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024


def first_answer(port):
    """Seconds until the server answers a point read."""
    begun = time.monotonic()
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("POST", "/v3/kv/range", '{"key":"YQ=="}')
            if connection.getresponse().status == 200:
                return time.monotonic() - begun
        except OSError:
            time.sleep(0.002)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("drover")
    parser.add_argument("--backends", default="sqlite,postgres,mysql")
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the start-up's store")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="drover-size-")
    servers = Servers(directory)
    try:
        for name in options.backends.split(","):
            endpoint = getattr(servers, name)()
            port, process = servers.drover(options.drover, endpoint)
            time.sleep(3)
            print(f"{name}: idle {status(process.pid, 'VmRSS'):.0f} MiB", flush=True)
            fill(port, 0, 100_000)
            load(port, *CALLS["whole list"], 1, 1, 1, directory)
            print(f"{name}: peak with 100,000 keys and a whole list {status(process.pid, 'VmHWM'):.0f} MiB", flush=True)
            fill(port, 100_000, options.keys)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            begun = time.monotonic()
            again = subprocess.Popen([options.drover, "serve", "--endpoint", endpoint, "--listen-address",
                                      f"127.0.0.1:{port}", "--log-level", "error"])
            first_answer(port)
            print(f"{name}: first answer {time.monotonic() - begun:.2f} s after kill -9 with {options.keys:,} keys",
                  flush=True)
            again.kill()
            again.wait()
    finally:
        servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
