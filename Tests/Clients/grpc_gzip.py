"""Drives an etcd endpoint with compressed messages, and says how many bytes the replies took.

usage: grpc_gzip.py HOST:PORT
Prints one line: whether the value came back, and whether the reply was smaller than the value.
"""

import socket
import sys
import threading

import grpc


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def counting_relay(target):
    """A relay whose list tells how many bytes the server has sent."""
    host, port = target.rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    received = [0]

    def copy(source, sink, count):
        while data := source.recv(65536):
            if count:
                received[0] += len(data)
            sink.sendall(data)

    def accept():
        while True:
            client, _ = listener.accept()
            server = socket.create_connection((host, int(port)))
            threading.Thread(target=copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=copy, args=(server, client, True), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return "127.0.0.1:%d" % listener.getsockname()[1], received


def main():
    address, received = counting_relay(sys.argv[1])
    channel = grpc.insecure_channel(address, compression=grpc.Compression.Gzip)
    value = b"squeezed " * 20_000
    put = channel.unary_unary("/etcdserverpb.KV/Put")
    get = channel.unary_unary("/etcdserverpb.KV/Range")
    put(field(1, b"gzip") + field(2, value), timeout=30)
    before = received[0]
    reply = get(field(1, b"gzip"), timeout=30)
    small = received[0] - before < len(value) // 10
    # Who sends messages as they are is answered so.
    plainly = grpc.insecure_channel(address).unary_unary("/etcdserverpb.KV/Range")
    before = received[0]
    plain = plainly(field(1, b"gzip"), timeout=30)
    large = received[0] - before > len(value)
    print(f"back {value in reply and value in plain} small {small} large {large}")


main()
