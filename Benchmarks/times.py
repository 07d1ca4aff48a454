"""Times the kernels with the benchmark framework, on SQLite and on database servers that it starts itself.

    python3 Benchmarks/times.py [what to hand to `swift package benchmark`]
"""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "quick"))
from servers import Servers


def main():
    with tempfile.TemporaryDirectory() as directory:
        servers = Servers(directory)
        try:
            environment = dict(os.environ, DROVER_MICRO="1", DROVER_BENCH_POSTGRES=servers.postgres(),
                               DROVER_BENCH_MYSQL=servers.mysql())
            command = ["swift", "package", "--scratch-path", ".build-micro", "--disable-sandbox", "benchmark",
                       "--target", "Micro"] + sys.argv[1:]
            sys.exit(subprocess.run(command, env=environment).returncode)
        finally:
            servers.stop()


main()
