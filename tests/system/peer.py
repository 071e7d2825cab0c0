#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A small scripted TCP peer, for both ends of a router.

As a client, in a test:

    client <<'END'
    c = connect("192.0.2.1")
    c.send(hello("pbx.example.com"), cut=1)
    c.expect_backend("one")
    END

As a backend, `peer.py serve TAG` behaves by port: see PORTS. It prints
"ready" when all ports listen.

An expectation waits for its event; PATIENCE only bounds what would hang.
"""

import array
import contextlib
import errno
import fcntl
import ipaddress
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

PATIENCE = float(os.environ.get("PEER_PATIENCE", "10"))
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "../fuzz/seeds/hello/recorded")
SNICTL = os.environ.get("SNICTL", "snictl")
TCP_CLOSE = 7


def fail(text):
    """End the script; the test prints what it says."""
    raise SystemExit("peer: " + text)


def shorten(data):
    return repr(data if len(data) <= 80 else data[:80] + b"...")


# ---- a connection -----------------------------------------------------------


class Peer:
    """One end of a TCP connection, and what it has sent."""

    def __init__(self, sock):
        self.sock = sock
        self.sent = b""
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data, cut=0):
        """Send; with @cut in segments of so many bytes, or, where it is a
        list, in segments of these sizes and one with the rest."""
        rest = data
        sizes = list(cut) if isinstance(cut, (list, tuple)) else None
        try:
            while rest:
                size = cut if sizes is None else sizes.pop(0) if sizes else 0
                piece = rest[:size] if size else rest
                self.sock.sendall(piece)
                rest = rest[len(piece):]
                if cut and rest:
                    self.wait_sent()
        except TimeoutError:
            fail(f"{len(rest)} bytes were not taken in {PATIENCE} s")
        self.sent += data
        return self

    def wait_sent(self):
        """Until all has left the socket, so that the next bytes make a
        segment of their own: SIOCOUTQNSD (tcp(7)) is what has not."""
        left = array.array("i", [1])
        while left[0]:
            fcntl.ioctl(self.sock, 0x894B, left)
            if left[0]:
                select.select([], [], [], 0.001)

    def wait_acked(self):
        """Until the other side's kernel has all: SIOCOUTQ is what it has
        not acknowledged."""
        left = array.array("i", [1])
        while left[0]:
            fcntl.ioctl(self.sock, termios.TIOCOUTQ, left)
            if left[0]:
                select.select([], [], [], 0.001)
        return self

    def fin(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            # A RST was here first; Python has no class for that.
            raise ConnectionResetError(error.errno, error.strerror) from None
        return self

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def receive(self, count=65536):
        """Up to @count bytes; b"" is a FIN; a RST raises ConnectionError."""
        try:
            return self.sock.recv(count)
        except TimeoutError:
            fail(f"nothing came in {PATIENCE} s")

    def read(self, count):
        """Exactly @count bytes."""
        data = b""
        while len(data) < count:
            try:
                more = self.receive(count - len(data))
            except ConnectionError:
                fail(f"RST behind {len(data)} of {count} bytes "
                     + shorten(data))
            if not more:
                fail(f"FIN behind {len(data)} of {count} bytes "
                     + shorten(data))
            data += more
        return data

    def read_all(self):
        """All up to the FIN."""
        data = b""
        while True:
            try:
                more = self.receive()
            except ConnectionError:
                fail(f"RST behind {len(data)} bytes {shorten(data)}")
            if not more:
                return data
            data += more

    def expect(self, data):
        got = self.read(len(data))
        if got != data:
            fail(f"got {shorten(got)}, not {shorten(data)}")
        return self

    def read_until(self, mark):
        """All up to @mark, and with it."""
        data = b""
        while not data.endswith(mark):
            data += self.read(1)
        return data

    def expect_line(self, line):
        """That line comes, whatever comes before it."""
        self.read_until(line)
        return self

    def expect_fin(self):
        """A clean end, and no byte before it."""
        got = self.read_all()
        if got:
            fail(f"{shorten(got)} before the FIN")
        return self

    def expect_reset(self):
        """A RST, and no byte before it."""
        try:
            got = self.receive()
        except ConnectionResetError:
            return self
        fail(f"{shorten(got)} instead of a RST" if got
             else "FIN instead of a RST")

    def expect_alert(self, description, version=0x0301):
        """One fatal alert in a record of its own (RFC 8446 section 6)."""
        return self.expect(struct.pack(">BHHBB", 21, version, 2, 2,
                                       description))

    def expect_backend(self, tag, echo=None):
        """The greeting of `serve` at port 443, then all that was sent."""
        self.expect(tag.encode() + b"\n")
        return self.expect(self.sent if echo is None else echo)

    def exchange(self, data):
        """What an echo does to data of any size."""
        sender = threading.Thread(target=self.send, args=(data,), daemon=True)
        sender.start()
        self.expect(data)
        sender.join()
        return self

    def expect_closed(self):
        """Both FINs are acknowledged, and no RST came before that."""
        poll = select.poll()
        poll.register(self.sock, 0)
        poll.poll(PATIENCE * 1000)  # POLLHUP: shut down in both directions
        for _ in range(int(PATIENCE * 1000)):
            state = self.sock.getsockopt(socket.IPPROTO_TCP,
                                         socket.TCP_INFO, 1)[0]
            if state == TCP_CLOSE:
                break
            select.select([], [], [], 0.001)
        else:
            fail(f"the connection is still in state {state}")
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            fail(f"it ended by {os.strerror(error)}")
        return self

    def expect_open(self):
        """Still there: no byte, no FIN, no RST so far."""
        if select.select([self.sock], [], [], 0)[0]:
            fail(f"not open and silent: {shorten(self.receive())}")
        return self

    def name(self):
        return self.sock.getsockname()[:2]


def dial(to, port=443, source=None, receive_buffer=0, protocol=0,
         fast_open=False):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    sock.settimeout(PATIENCE)
    if fast_open:
        sock.setsockopt(socket.IPPROTO_TCP, 30, 1)  # TCP_FASTOPEN_CONNECT
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        sock.bind((source, 0))
    sock.connect((to, port))
    return sock


def connect(to, **more):
    """A connection; bound to @source, with a small @receive_buffer, of another
    @protocol than TCP's, with its first data in the SYN by @fast_open."""
    try:
        return Peer(dial(to, **more))
    except OSError as error:
        fail(f"connect to {to}: {error}")


def connect_reset(to, **more):
    """A connection that is reset, no matter how soon."""
    try:
        Peer(dial(to, **more)).expect_reset()
    except ConnectionResetError:
        pass


# ---- the router ------------------------------------------------------------


def flows(**words):
    """What `snictl flow list` has with these members."""
    listed = subprocess.run([SNICTL, "flow", "list", "--json"], check=True,
                            stdout=subprocess.PIPE).stdout
    return [flow for flow in json.loads(listed)
            if words.items() <= flow.items()]


def wait_flows(count, **words):
    """Until there are so many of them."""
    end = time.monotonic() + PATIENCE
    while len(found := flows(**words)) != count:
        if time.monotonic() > end:
            fail(f"{len(found)} flows, not {count}, with {words}")
        time.sleep(0.01)


def spliced(to, name, tag):
    """A connection whose packets are spliced."""
    peer = connect(to).send(hello(name)).expect_backend(tag)
    host, port = peer.name()
    wait_flows(1, phase="spliced",
               client=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return peer


# ---- ClientHello ------------------------------------------------------------


def block(length_bytes, data):
    return len(data).to_bytes(length_bytes, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + block(2, data)


def server_name(name):
    """RFC 6066 section 3, with any bytes as HostName."""
    return extension(0, block(2, b"\0" + block(2, name)))


def message(name=None, size=0, alpn=(), post_quantum=False):
    """A ClientHello (RFC 8446 section 4.1.2) of TLS 1.3 and 1.2; @size is
    that of the whole handshake message, made by padding (RFC 7685)."""
    name = name.encode() if isinstance(name, str) else name
    shares = struct.pack(">H", 29) + block(2, bytes(range(32)))
    if post_quantum:  # X25519MLKEM768: 1184 and 32 bytes
        shares = (struct.pack(">H", 0x11EC) + block(2, bytes(1216))) + shares
    extensions = extension(43, block(1, b"\3\4\3\3"))
    extensions += extension(10, block(2, b"\x11\xec\0\x1d\0\x17"))
    extensions += extension(13, block(2, b"\4\3\x08\4\4\1"))
    extensions += extension(51, block(2, shares))
    if alpn:
        extensions += extension(16, block(
            2, b"".join(block(1, one.encode()) for one in alpn)))
    if name is not None:  # last, as browsers' permutation may put it
        extensions += server_name(name)
    fixed = struct.pack(">H", 0x0303) + bytes(range(100, 132))
    fixed += block(1, bytes(range(32))) + block(2, b"\x13\1\x13\2\xc0\x2f")
    fixed += block(1, b"\0")
    if size:
        extensions = extension(21, bytes(
            size - 4 - len(fixed) - 2 - len(extensions) - 4)) + extensions
    return b"\1" + block(3, fixed + block(2, extensions))


def records(data, fragment=16384, kind=22, version=0x0301):
    """TLS records of at most @fragment bytes (RFC 8446 section 5.1)."""
    return b"".join(struct.pack(">BH", kind, version)
                    + block(2, data[at:at + fragment])
                    for at in range(0, len(data), fragment))


def hello(name=None, fragment=16384, **more):
    """message() in records."""
    return records(message(name, **more), fragment)


def recorded(client):
    """What a real client sent: it asks for hello.example.com."""
    with open(os.path.join(RECORDED, client), "rb") as file:
        return file.read()


# ---- PROXY ------------------------------------------------------------------

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, UNIQUE_ID = 1, 2, 3, 5


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def proxy_v1(source, source_port, to, to_port):
    """Section 2.1 of the PROXY protocol's specification."""
    family = 6 if ":" in source else 4
    return f"PROXY TCP{family} {source} {to} {source_port} {to_port}\r\n" \
        .encode()


def proxy_v2(source=None, source_port=0, to=None, to_port=0, tlvs=(),
             command=1, transport=None, checksum=None):
    """Section 2.2; @checksum: "good" or "bad" adds a CRC32C TLV; no source:
    AF_UNSPEC; @transport: the byte of family and protocol."""
    body, kind = b"", 0
    if source:
        addresses = [ipaddress.ip_address(one).packed for one in (source, to)]
        kind = 0x11 if len(addresses[0]) == 4 else 0x21
        body = b"".join(addresses) + struct.pack(">HH", source_port, to_port)
    for tlv, value in tlvs:
        body += bytes([tlv]) + block(2, value)
    if checksum:
        body += bytes([CRC32C]) + block(2, bytes(4))
    head = SIGNATURE + bytes([0x20 | command,
                              kind if transport is None else transport])
    header = head + block(2, body)
    if checksum:
        value = crc32c(header) ^ (checksum == "bad")
        header = header[:-4] + struct.pack(">I", value)
    return header


class Header:
    """A PROXY header of either version, read from a connection."""

    def __init__(self, peer):
        self.tlvs = {}
        start = peer.read(12)
        if start == SIGNATURE:
            self.read_v2(start + peer.read(4), peer)
        else:
            while not start.endswith(b"\r\n") and len(start) < 107:
                start += peer.read(1)
            self.version, self.line = 1, start

    def read_v2(self, start, peer):
        self.version = 2
        self.command, self.kind = start[12], start[13]
        body = peer.read(int.from_bytes(start[14:16], "big"))
        size = {0x11: 4, 0x21: 16, 0: 0}[self.kind]
        if size:
            self.source, self.to = (
                str(ipaddress.ip_address(body[at:at + size]))
                for at in (0, size))
            self.source_port, self.to_port = struct.unpack_from(
                ">HH", body, 2 * size)
        at = 2 * size + 4 if size else 0
        while at < len(body):
            length = int.from_bytes(body[at + 1:at + 3], "big")
            if body[at] in self.tlvs:
                fail(f"TLV {body[at]} twice")
            value = body[at + 3:at + 3 + length]
            self.tlvs[body[at]] = value
            if body[at] == CRC32C:
                blank = (start + body[:at + 3] + bytes(4)
                         + body[at + 3 + length:])
                if value != struct.pack(">I", crc32c(blank)):
                    fail("wrong CRC32C")
            at += 3 + length
        if at != len(body):
            fail("a TLV goes beyond the header")


def address(text):
    """In the one form that Header has addresses in."""
    return str(ipaddress.ip_address(text))


def equal(got, wanted):
    if got != wanted:
        fail(f"got {got!r}, not {wanted!r}")


# ---- a backend --------------------------------------------------------------


def serve_echo(peer, tag):
    """Greet who has begun, as TLS servers do, and send back what comes, header
    and all. Who is greeted before may be relayed: the agent has to read it."""
    data = peer.sock.recv(65536)
    peer.sock.sendall(tag + b"\n" + data)
    while data := peer.sock.recv(65536):
        peer.sock.sendall(data)


def serve_late(peer, tag):
    """Say nothing before the client's FIN, then all that came."""
    data = b""
    while more := peer.sock.recv(65536):
        data += more
    peer.sock.sendall(tag + b"\n" + data)


def serve_early_end(peer, tag):
    """Greet and end; then read on until the client ends too."""
    peer.sock.sendall(tag + b"\n")
    peer.sock.shutdown(socket.SHUT_WR)
    while peer.sock.recv(65536):
        pass


def serve_reset(peer, tag):
    """Greet, and reset when the client says "reset" behind its hello."""
    peer.sock.sendall(tag + b"\n")
    data = b""
    while not data.endswith(b"reset"):
        data += peer.sock.recv(65536)
    peer.reset()


def serve_silent(peer, _tag):
    """Never read, never say anything."""
    threading.Event().wait()


PORTS = {443: serve_echo, 444: serve_late, 445: serve_early_end,
         446: serve_reset, 447: serve_silent}


def serve_one(behaviour, sock, tag):
    sock.settimeout(None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        peer = Peer(sock)
        sock.settimeout(None)
        behaviour(peer, tag)
    except OSError:
        pass
    sock.close()


def accept_all(listener, behaviour, tag):
    while True:
        sock = listener.accept()[0]
        threading.Thread(target=serve_one, args=(behaviour, sock, tag),
                         daemon=True).start()


def serve(tag):
    for port, behaviour in PORTS.items():
        listener = socket.create_server(("::", port), backlog=1024,
                                        family=socket.AF_INET6,
                                        dualstack_ipv6=True)
        threading.Thread(target=accept_all,
                         args=(listener, behaviour, tag.encode()),
                         daemon=True).start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "serve":
        sys.exit("usage: peer.py serve TAG")
    serve(sys.argv[2])
