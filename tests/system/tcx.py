#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Somebody else's program at TC.

tcx.py INTERFACE ingress|egress before|after VERDICT

Attaches to the interface by tcx (Linux 6.6), before or after all others, a
program that says VERDICT of every packet: next, pass or drop; or "tag", which
makes each a packet of VLAN 5, and says next. Prints "ready"; it hangs there
until this ends.
"""

import ctypes
import platform
import signal
import socket
import struct
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, LINK_CREATE = 5, 28
SCHED_CLS = 3
TYPES = {"ingress": 46, "egress": 47}
PLACES = {"before": 1 << 3, "after": 1 << 4}
VERDICTS = {"next": -1, "pass": 0, "drop": 2, "tag": -1}
VLAN_PUSH, ETH_P_8021Q = 18, 0x8100


def instruction(code, registers, value):
    return struct.pack("=BBhi", code, registers, 0, value)


def program(verdict):
    """r0 = verdict; exit; to tag: first bpf_skb_vlan_push()."""
    code = instruction(0xB7, 0, VERDICTS[verdict]) + instruction(0x95, 0, 0)
    if verdict == "tag":
        code = (instruction(0xB7, 2, socket.htons(ETH_P_8021Q))
                + instruction(0xB7, 3, 5)
                + instruction(0x85, 0, VLAN_PUSH) + code)
    return code


libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    fd = libc.syscall(BPF, command, room, 128)
    if fd < 0:
        sys.exit(f"tcx.py: bpf({command}): errno {ctypes.get_errno()}")
    return fd


def main():
    interface, way, place, verdict = sys.argv[1:]
    code = program(verdict)
    room = ctypes.create_string_buffer(code)
    text = ctypes.create_string_buffer(b"Dual BSD/GPL")
    loaded = bpf(PROG_LOAD, struct.pack("=IIQQ", SCHED_CLS, len(code) // 8,
                                        ctypes.addressof(room),
                                        ctypes.addressof(text)))
    bpf(LINK_CREATE, struct.pack("=IIII", loaded,
                                 socket.if_nametoindex(interface),
                                 TYPES[way], PLACES[place]))
    print("ready", flush=True)
    signal.pause()


main()
