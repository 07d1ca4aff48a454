"""Counts the instructions of each kernel and holds them against the committed thresholds.

    python3 Benchmarks/instructions.py PROGRAM [--build NAME] [--databases] [--only TEXT] [--update]

Instructions do not depend on what else the machine does, so a change of a few hundredths can be seen where seconds
differ by tenths. A kernel is run under valgrind twice, with few runs and with many: the difference is the runs' alone.
Figures are of one operation (a call, a row, an event) on all threads of the process; a database server's are not in
them. They belong to a way of building, a compiler and a machine: for others there are no thresholds until --update
writes them.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "quick"))
from servers import Servers

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Thresholds", "instructions.json")
# What a kernel may cost more before it is a regression: those whose threads wait for each other vary by themselves.
TOLERANCE = 0.05
THREADS_TOLERANCE = 0.10
THREADED = re.compile(r"\.(commit|update|fan-out|none)$")


def count(program, kernel, runs, endpoints, directory):
    environment = dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1", TMPDIR=directory)
    result = subprocess.run(
        ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", program, "run", kernel,
         str(runs)] + endpoints, capture_output=True, text=True, env=environment)
    found = re.search(r"I\s+refs:\s+([\d,]+)", result.stderr)
    if result.returncode != 0 or not found:
        sys.exit(f"{kernel} could not be counted:\n{result.stderr[-800:]}")
    return int(found.group(1).replace(",", ""))


def machine():
    version = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"Swift version (\d+\.\d+)", version)
    return f"swift {found.group(1) if found else 'unknown'}, {platform.machine()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--build", default="release", help="what the program was built for")
    parser.add_argument("--databases", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()

    with open(FILE) as file:
        thresholds = json.load(file)
    here = f"{options.build}, {machine()}"
    known = thresholds.get(here, {})
    if not known:
        print(f"No thresholds for {here}: figures are printed and held against nothing.")

    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as directory:
        servers = Servers(directory)
        # Valgrind cannot read the compiler's debug information.
        program = f"{directory}/kernels"
        subprocess.run(["strip", "-o", program, options.program], check=True)
        try:
            endpoints = [servers.postgres(), servers.mysql()] if options.databases else []
            listed = subprocess.run([program, "list"] + endpoints, capture_output=True, text=True, check=True)
            kernels = [line.split() for line in listed.stdout.splitlines() if options.only in line]
            worse, figures = [], {}
            print(f"{'kernel':<24}{'instructions':>14}{'threshold':>12}{'change':>9}")
            for kernel, operations in kernels:
                few, many = (10, 40) if int(operations) > 1 else (200, 5_000)
                first = count(program, kernel, few, endpoints, directory)
                second = count(program, kernel, many, endpoints, directory)
                figure = round((second - first) / (many - few) / int(operations))
                figures[kernel] = figure
                line = f"{kernel:<24}{figure:>14,}"
                if kernel in known:
                    change = figure / known[kernel] - 1
                    line += f"{known[kernel]:>12,}{change:>+9.1%}"
                    allowed = THREADS_TOLERANCE if THREADED.search(kernel) else TOLERANCE
                    if change > allowed:
                        line += f"  more than {allowed:.0%}"
                        worse.append(kernel)
                print(line, flush=True)
        finally:
            servers.stop()
    if options.update:
        thresholds[here] = dict(sorted({**known, **figures}.items()))
        with open(FILE, "w") as file:
            json.dump(thresholds, file, indent=2, sort_keys=True)
            file.write("\n")
        print(f"wrote {os.path.relpath(FILE)}")
    elif worse:
        sys.exit(f"{', '.join(worse)}: more instructions than the threshold. Find out why; if it is worth it, "
                 "commit new thresholds with --update.")


main()
