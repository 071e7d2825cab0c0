#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""wrapped.py INTERFACE MAC KIND - one SYN from 192.0.2.11 or 2001:db8:1::11 to
the router's port 443, wrapped as KIND says; "list": what kinds there are.
MAC "tun": INTERFACE is a tun device, and this its other end."""

import fcntl
import ipaddress
import socket
import struct
import sys

TCP, HOPS, ROUTING, FRAGMENT, OPTIONS = 6, 0, 43, 44, 60
SYN = struct.pack("!HHIIBBHHH", 4711, 443, 1, 0, 0x50, 2, 1000, 0, 0)


def ipv4(options=b"", payload=SYN, fragment=0, protocol=TCP):
    words = 5 + len(options) // 4
    return 0x0800, struct.pack(
        "!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), 1, fragment,
        64, protocol, 0, ipaddress.ip_address("192.0.2.11").packed,
        ipaddress.ip_address("192.0.2.1").packed) + options + payload


def ipv6(*extensions):
    """@extensions: their kinds, each of 8 bytes that say nothing."""
    kinds = [*extensions, TCP]
    payload = b"".join(
        struct.pack("!BBHI", after, 0, 0 if kind == FRAGMENT else 0x0104, 0)
        for kind, after in zip(kinds, kinds[1:])) + SYN
    return 0x86DD, struct.pack(
        "!IHBB16s16s", 6 << 28, len(payload), kinds[0], 64,
        ipaddress.ip_address("2001:db8:1::11").packed,
        ipaddress.ip_address("2001:db8:1::1").packed) + payload


def tagged(packet, *protocols):
    for protocol in protocols:
        packet = protocol, struct.pack("!HH", 7, packet[0]) + packet[1]
    return packet


KINDS = {
    "ipv4": ipv4(),
    "ipv4-options": ipv4(options=b"\1" * 40),
    "ipv4-first-fragment": ipv4(fragment=0x2000),
    "ipv6": ipv6(),
    "ipv6-extensions": ipv6(HOPS, OPTIONS, ROUTING, FRAGMENT, OPTIONS),
    "vlan": tagged(ipv4(), 0x8100),
    "vlan-ipv6": tagged(ipv6(OPTIONS), 0x8100),
    "vlan-in-vlan": tagged(ipv4(), 0x8100, 0x88A8),
}


def main():
    interface, mac, kind = sys.argv[1:4]
    if kind == "list":
        print(*KINDS)
        return
    protocol, packet = KINDS[kind]
    if mac == "tun":
        with open("/dev/net/tun", "r+b", buffering=0) as tun:
            # TUNSETIFF; IFF_TUN and IFF_NO_PI
            fcntl.ioctl(tun, 0x400454CA,
                        struct.pack("16sH22x", interface.encode(), 0x1001))
            tun.write(packet)
        return
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    out.send(bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\1" +
             struct.pack("!H", protocol) + packet)


main()
