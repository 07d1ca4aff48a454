"""Starts the servers that the quick benchmark compares, on free loopback ports, durable, in one directory."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

# A closed terminal, or `kill`, ends a script as ctrl-C does: with its servers stopped.
for ending in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(ending, lambda *_: sys.exit(1))

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process):
    for _ in range(1_500):
        if process.poll() is not None:
            sys.exit("a server ended before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit("a server did not listen within thirty seconds")


def as_user(name, command):
    """Database servers refuse to run as root."""
    return ["runuser", "-u", name, "--"] + command if os.getuid() == 0 else command


def make_directory(path, user):
    os.makedirs(path)
    if os.getuid() == 0:
        owner = pwd.getpwnam(user)
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return path


def processes(root):
    """The process and all that it has started."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                waiting += [int(child) for child in children.read().split()]
        except OSError:
            pass
    return found


def processor_seconds(root):
    """Of a process and all that it has started; those that have ended are in the figures of who waited for them."""
    total = 0
    for pid in processes(root):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(") ", 1)[1].split()
            total += sum(int(field) for field in fields[11:15])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


class Servers:
    """What was started, to be stopped together."""

    def __init__(self, directory, buffers=None):
        """`buffers` is the database servers' memory for pages in MiB: 256 for PostgreSQL, 1,024 for MariaDB by default."""
        os.chmod(directory, 0o755)
        self.directory = directory
        self.buffers = buffers
        self.started = []
        # The database server beneath, where there is one.
        self.database = None

    def start(self, command, port):
        process = subprocess.Popen(command, **QUIET)
        self.started.append(process)
        wait_for(port, process)
        return process

    def stop(self):
        for process in reversed(self.started):
            for pid in processes(process.pid)[::-1]:
                try:
                    os.kill(pid, 15)
                except OSError:
                    pass
            process.wait()

    def etcd(self, program, folder=None):
        port, peer = free_port(), free_port()
        client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
        process = self.start(
            [program, "--data-dir", f"{folder or self.directory}/etcd", "--listen-client-urls", client,
             "--advertise-client-urls", client, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
             "--initial-cluster", f"default={peers}", "--quota-backend-bytes", "8589934592", "--log-level", "error"],
            port)
        return port, process

    def drover(self, program, endpoint):
        port = free_port()
        process = self.start([program, "serve", "--endpoint", endpoint, "--listen-address", f"127.0.0.1:{port}"], port)
        return port, process

    def sqlite(self):
        return f"sqlite://{self.directory}/drover.db"

    def postgres(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        if not programs:
            sys.exit("there is no PostgreSQL server; install postgresql")
        port, data = free_port(), make_directory(f"{self.directory}/postgres", "postgres")
        subprocess.run(as_user("postgres", [f"{programs[-1]}/initdb", "-D", f"{data}/data", "-A", "trust", "-U", "postgres",
                                            "-E", "UTF8", "--locale=C"]), check=True, **QUIET)
        self.database = self.start(as_user("postgres", [f"{programs[-1]}/postgres", "-D", f"{data}/data", "-p", str(port), "-k", data,
                                        "-c", "listen_addresses=127.0.0.1", "-c", f"shared_buffers={self.buffers or 256}MB",
                                        "-c", "max_wal_size=4GB"]), port)
        time.sleep(1)
        return f"postgres://postgres@127.0.0.1:{port}/bench?sslmode=disable"

    def mysql(self):
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        if not os.path.exists(program):
            sys.exit("there is no MariaDB server; install mariadb-server")
        port, data = free_port(), make_directory(f"{self.directory}/mariadb", "mysql")
        subprocess.run(as_user("mysql", ["mariadb-install-db", "--no-defaults", f"--datadir={data}/data",
                                         "--auth-root-authentication-method=normal"]), check=True, **QUIET)
        self.database = self.start(as_user("mysql", [program, "--no-defaults", f"--datadir={data}/data", f"--port={port}",
                                     "--bind-address=127.0.0.1", f"--socket={data}/socket", "--skip-name-resolve",
                                     f"--innodb-buffer-pool-size={self.buffers or 1024}M", "--innodb-flush-log-at-trx-commit=1",
                                     "--innodb-log-file-size=512M"]), port)
        return f"mysql://root@127.0.0.1:{port}/bench"
