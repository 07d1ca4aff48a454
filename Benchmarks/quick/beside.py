"""Drover on each backend beside etcd, every one a process of its own, by `drover bench`; `--secure` has TLS and users on,
with the same certificate and the same settings on all.

    python3 Benchmarks/quick/beside.py DROVER [--etcd PATH] [--backends sqlite,postgres,mysql] [--secure] [what to hand to `drover bench`]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

from servers import QUIET, Servers, free_port


def certificates(directory):
    """An authority, and a certificate of its for the loopback address."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=directory, **QUIET)

    with open(f"{directory}/san", "w") as file:
        file.write("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=server",
            "-keyout", "server.key", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san", "-out", "server.pem")
    return f"{directory}/server.pem", f"{directory}/server.key", f"{directory}/authority.pem"


def secured(servers, options, directory):
    """Servers that ask for TLS and a user, as targets of `drover bench`, and what it needs for them."""
    certificate, key, authority = certificates(directory)
    targets = {}
    for name in options.backends.split(","):
        port = free_port()
        endpoint = getattr(servers, name)()
        servers.start([options.program, "serve", "--endpoint", endpoint, "--listen-client-urls",
                       f"https://127.0.0.1:{port}", f"--server-cert-file={certificate}", f"--server-key-file={key}"],
                      port)
        targets[name] = f"https://127.0.0.1:{port}"
    port, peer = free_port(), free_port()
    servers.start([options.etcd, f"--data-dir={directory}/etcd", f"--listen-client-urls=https://127.0.0.1:{port}",
                   f"--advertise-client-urls=https://127.0.0.1:{port}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-cluster=default=http://127.0.0.1:{peer}", "--quota-backend-bytes=8589934592",
                   "--log-level=error", f"--cert-file={certificate}", f"--key-file={key}"], port)
    targets["etcd"] = f"https://127.0.0.1:{port}"
    for url in targets.values():
        for call in (["user", "add", "root:secret"], ["user", "grant-role", "root", "root"], ["auth", "enable"]):
            subprocess.run([options.program, *call, f"--endpoints={url}", f"--cacert={authority}"], check=True, **QUIET)
    return targets, ["--user", "root:secret", "--cacert", authority]


def plain(servers, options):
    targets = {}
    for name in options.backends.split(","):
        port, _ = servers.drover(options.program, getattr(servers, name)())
        targets[name] = f"http://127.0.0.1:{port}"
    port, _ = servers.etcd(options.etcd)
    targets["etcd"] = f"http://127.0.0.1:{port}"
    return targets


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--etcd", default=shutil.which("etcd"))
    parser.add_argument("--backends", default="sqlite")
    parser.add_argument("--secure", action="store_true")
    options, others = parser.parse_known_args()
    if not options.etcd:
        sys.exit("there is no etcd; install etcd-server or name one with --etcd")
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as directory:
        servers = Servers(directory)
        try:
            settings = []
            if options.secure:
                targets, settings = secured(servers, options, directory)
            else:
                targets = plain(servers, options)
            command = [options.program, "bench", *settings]
            for name, url in targets.items():
                command += ["--target", f"{name}={url}"]
            sys.exit(subprocess.run(command + (others or ["--workload", "put,get,txn"])).returncode)
        finally:
            servers.stop()


main()
