# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What comes in on eth0, whoever gets it: TCP segments from port 443."""

import socket
import struct
from dataclasses import dataclass

ETH_P_ALL = 3
PROTOCOLS = {0x0800: 4, 0x86DD: 6}
PSH = 8
OPTION_NOP, OPTION_TIMESTAMPS = 1, 8


def checksum(data):
    """RFC 1071; 0 where @data has its own in it, and it is right."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass
class Segment:
    """@clock: its TSval, None without timestamps."""

    port: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes
    is_whole: bool
    clock: int = None


def clock_of(options):
    while options:
        if options[0] == OPTION_NOP:
            options = options[1:]
            continue
        if options[0] == OPTION_TIMESTAMPS:
            return struct.unpack("!I", options[2:6])[0]
        options = options[options[1]:] if options[0] else b""
    return None


def segment(addresses, tcp):
    _, port, seq, ack, offset, flags, window = struct.unpack("!HHIIBBH", tcp[:16])
    header = (offset >> 4) * 4
    pseudo = addresses + struct.pack("!II", len(tcp), socket.IPPROTO_TCP)
    return Segment(port, seq, ack, flags, window, tcp[header:],
                   not checksum(pseudo + tcp), clock_of(tcp[20:header]))


class Tap:
    """From now on; before a filter of this host sees it."""

    def __init__(self, patience):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                  socket.htons(ETH_P_ALL))
        self.sock.bind(("eth0", ETH_P_ALL))
        self.sock.settimeout(patience)

    def segments(self):
        """One after the other, with payload."""
        while True:
            frame, address = self.sock.recvfrom(65536)
            version = PROTOCOLS.get(int.from_bytes(frame[12:14], "big"))
            if address[2] == socket.PACKET_OUTGOING or not version:
                continue
            if version == 4:
                length = int.from_bytes(frame[16:18], "big")
                kind, addresses, tcp = frame[23], frame[26:34], frame[34:14 + length]
            else:
                length = int.from_bytes(frame[18:20], "big")
                kind, addresses, tcp = frame[20], frame[22:54], frame[54:54 + length]
            if kind != socket.IPPROTO_TCP or tcp[:2] != b"\x01\xbb":
                continue
            found = segment(addresses, tcp)
            if found.payload:
                yield found
