#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A plain HTTP backend that shows what it was sent, and behaves by path.

`http_peer.py serve TAG` listens on port 80 of both families and prints
"ready". Each connection is one thread. With "/echo" it answers with all that
came, byte for byte, after the body has; "connections" in the file that the
environment's HTTP_PEER_LOG names has a line for each request's first line,
one for what comes behind it, "extra", and one for its end.

Under PROXY_LISTEN (port 81) it first reads a PROXY v1 line.
"""

import base64
import hashlib
import os
import socket
import sys
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MEBIBYTE = 1 << 20


class Request:
    """What came, cut at its framing; `rest` is what is too much."""

    def __init__(self, sock):
        self.sock = sock
        self.raw = b""
        self.fill(lambda: b"\r\n\r\n" in self.raw)
        self.head, rest = self.raw.split(b"\r\n\r\n", 1)
        self.line, *fields = self.head.split(b"\r\n")
        self.fields = {}
        for field in fields:
            name, value = field.split(b":", 1)
            self.fields[name.strip().lower()] = value.strip()
        self.path = self.line.split(b" ")[1].decode()
        self.rest = rest

    def fill(self, done):
        while not done():
            got = self.sock.recv(65536)
            if not got:
                raise EOFError(self.raw)
            self.raw += got

    def body(self):
        """Read the body; returns it as framed."""
        start = len(self.head) + 4
        if b"content-length" in self.fields:
            length = int(self.fields[b"content-length"])
            self.fill(lambda: len(self.raw) >= start + length)
        elif self.fields.get(b"transfer-encoding") == b"chunked":
            self.fill(lambda: self.raw[start:].endswith(b"\r\n\r\n"))
        return self.raw[start:]

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))


def answer(request, body, status=b"200 OK"):
    request.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n"
                 % (status, len(body)), body)


def echo(request):
    request.body()
    answer(request, request.raw)


def count(request):
    """Counts a large body without keeping it."""
    digest, total = hashlib.sha256(request.rest), len(request.rest)
    length = int(request.fields[b"content-length"])
    while total < length:
        got = request.sock.recv(65536)
        if not got:
            return
        digest.update(got)
        total += len(got)
    answer(request, b"%d %s\n" % (total, digest.hexdigest().encode()))


def expect(request):
    if request.rest:
        answer(request, b"too early\n")
        return
    request.send(b"HTTP/1.1 100 Continue\r\nX-Hop: 1\r\n\r\n")
    answer(request, b"body=" + request.body() + b"\n")


def hints(request):
    request.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    answer(request, b"hinted\n")


def chunked(request):
    request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                 b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n"
                 b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n")
    # It stays open: the end is where the framing says.
    request.sock.recv(1)


def until_close(request):
    request.send(b"HTTP/1.1 200 OK\r\n\r\nall until the close\n")


def keep_open(request):
    answer(request, b"still open\n")
    request.sock.recv(1)


def head(request):
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    request.sock.recv(1)


def empty(request):
    request.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    request.sock.recv(1)


def large(request):
    """8 MiB of a known pattern."""
    piece = bytes(range(256)) * (MEBIBYTE // 256)
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                 % (8 * MEBIBYTE))
    for _ in range(8):
        request.send(piece)


def large_head(request):
    request.send(b"HTTP/1.1 200 OK\r\nX-Large: ", b"x" * 50000,
                 b"\r\nContent-Length: 3\r\n\r\nend")


def slow(request):
    """Says that it was asked; the answer when somebody writes to the FIFO
    that the query names, half of the body when it is written to again."""
    body = request.body()
    fifo = request.path.split("?")[1]
    with open(fifo, encoding="ascii") as line:
        line.read()
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                 % (1000 + len(body)), b"a" * 500)
    with open(fifo, encoding="ascii") as line:
        line.read()
    request.send(b"b" * 500, body)


def cut(request):
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def cut_head(request):
    request.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def silent(request):
    request.sock.recv(65536)


def nothing(_request):
    pass


def garbage(request):
    request.send(b"220 mail.example.com ESMTP\r\n\r\n")


def early(request):
    """Answers before the body has come, and closes with it unread."""
    answer(request, b"no\n", b"413 Content Too Large")


def unasked(request):
    request.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\n\r\n")
    request.sock.recv(1)


def websocket(request):
    key = request.fields.get(b"sec-websocket-key", b"")
    if request.fields.get(b"upgrade") != b"websocket":
        answer(request, b"upgrade=%s\n" % request.fields.get(b"upgrade",
                                                             b"none"))
        return
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    request.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Accept: ", accept,
                 b"\r\n\r\nfirst")
    while True:
        got = request.sock.recv(65536)
        if not got:
            break
        request.send(got)


def challenge(tag):
    def reply(request):
        answer(request, b"%s token\n" % tag)
    return reply


PATHS = {
    "/echo": echo, "/count": count, "/expect": expect, "/hints": hints,
    "/chunked": chunked, "/until-close": until_close,
    "/keep-open": keep_open, "/head": head, "/empty": empty, "/large": large,
    "/large-head": large_head, "/cut": cut, "/cut-head": cut_head,
    "/silent": silent, "/nothing": nothing, "/garbage": garbage,
    "/early": early, "/slow": slow, "/unasked": unasked, "/websocket": websocket,
}


def serve_one(sock, tag, log, proxied):
    try:
        with sock:
            if proxied:
                line = b""
                while not line.endswith(b"\r\n"):
                    line += sock.recv(1)
                log(line.decode().strip())
            request = Request(sock)
            log(request.line.decode() + " host="
                + request.fields.get(b"host", b"-").decode())
            path = request.path.split("?")[0]
            if path.startswith("/.well-known/acme-challenge/"):
                challenge(tag)(request)
            else:
                PATHS.get(path, echo)(request)
            # What is unread at the close becomes a RST.
            if path != "/early":
                sock.shutdown(socket.SHUT_WR)
                while True:
                    more = sock.recv(65536)
                    if not more:
                        break
                    log("extra " + repr(more))
            log("over")
    except (OSError, EOFError):
        log("broken")


def serve(tag):
    lock = threading.Lock()
    name = os.environ["HTTP_PEER_LOG"]

    def log(line):
        with lock, open(name, "a", encoding="ascii") as file:
            file.write(line + "\n")

    def accept_all(listener, proxied):
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve_one, daemon=True,
                             args=(sock, tag.encode(), log, proxied)).start()

    for port in 80, 81:
        for family, any_address in ((socket.AF_INET, "0.0.0.0"),
                                    (socket.AF_INET6, "::")):
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6,
                                    socket.IPV6_V6ONLY, 1)
            listener.bind((any_address, port))
            listener.listen(512)
            threading.Thread(target=accept_all, daemon=True,
                             args=(listener, port == 81)).start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    serve(sys.argv[2])
