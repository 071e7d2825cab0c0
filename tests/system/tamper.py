#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A TCP relay that does one thing wrong, to see whether anybody notices.

tamper.py LISTEN_PORT TARGET_PORT up|down FAULT OFFSET

Each connection to 127.0.0.1:LISTEN_PORT goes to 127.0.0.1:TARGET_PORT. FAULT
befalls the stream in that direction at that offset (the hello counts): see
the functions below. Prints "ready".
"""

import socket
import struct
import sys
import threading

CHUNK = 65536


def none(_data, _at):
    """Nothing: what remains is a faithful relay."""


def drop(data, at):
    del data[at]


def double(data, at):
    data.insert(at, data[at])


def flip(data, at):
    data[at] ^= 1


def swap(data, at):
    """Two neighbouring runs of 64 bytes change places."""
    data[at : at + 128] = data[at + 64 : at + 128] + data[at : at + 64]


def append(data, _at):
    data.append(0)


def cut(data, at):
    """The stream ends there, in order."""
    del data[at:]


# These need the whole stream in hand: the side that is tampered with sends
# nothing on before its end.
EDITS = {f.__name__: f for f in (none, drop, double, flip, swap, append, cut)}


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        # The other thread, in recv(), would hold the connection.
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass  # it has gone already
    sock.close()


def pump(source, sink, on_end, on_reset):
    """Move bytes until the end, and pass that on."""
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        on_reset(sink)
        return
    try:
        on_end(sink)
    except OSError:
        pass  # it has gone already


def fin(sock):
    sock.shutdown(socket.SHUT_WR)


def edit(source, sink, fault, at):
    data = bytearray()
    try:
        while more := source.recv(CHUNK):
            data += more
    except ConnectionResetError:
        reset(sink)
        return
    EDITS[fault](data, at)
    try:
        sink.sendall(data)
        fin(sink)
    except OSError:
        pass  # it has had enough


def tampered(source, sink, fault, at):
    if fault == "end-for-reset":
        pump(source, sink, fin, fin)
    elif fault == "reset-for-end":
        pump(source, sink, reset, reset)
    else:
        edit(source, sink, fault, at)


def serve_one(client, target, direction, fault, at):
    server = socket.create_connection(target)
    honest, other = (client, server) if direction == "down" else (server, client)
    threading.Thread(target=pump, args=(honest, other, fin, reset)).start()
    tampered(other, honest, fault, at)


def serve_crossed(listener, target, at):
    """The clients' streams are exchanged behind the first @at bytes."""
    clients = [listener.accept()[0] for _ in range(2)]
    servers = [socket.create_connection(target) for _ in range(2)]
    for client, server in zip(clients, servers):
        server.sendall(client.recv(at, socket.MSG_WAITALL))
    for client, server in zip(clients, reversed(servers)):
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=(*pair, fin, reset)).start()


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    target = ("127.0.0.1", int(sys.argv[2]))
    direction, fault, at = sys.argv[3], sys.argv[4], int(sys.argv[5])
    print("ready", flush=True)
    while True:
        if fault == "cross":
            serve_crossed(listener, target, at)
            continue
        client, _ = listener.accept()
        threading.Thread(
            target=serve_one, args=(client, target, direction, fault, at)
        ).start()


if __name__ == "__main__":
    main()
