#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Somebody else's program at TC.

tcx.py INTERFACE ingress|egress before|after VERDICT

Attaches to the interface by tcx (Linux 6.6), before or after all others, a
program that says VERDICT of every packet: next, pass or drop. Prints "ready";
it hangs there until this ends.
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
VERDICTS = {"next": -1, "pass": 0, "drop": 2}

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    fd = libc.syscall(BPF, command, room, 128)
    if fd < 0:
        sys.exit(f"tcx.py: bpf({command}): errno {ctypes.get_errno()}")
    return fd


def main():
    interface, way, place, verdict = sys.argv[1:]
    # r0 = verdict; exit
    code = ctypes.create_string_buffer(
        struct.pack("=BBhi", 0xB7, 0, 0, VERDICTS[verdict])
        + struct.pack("=BBhi", 0x95, 0, 0, 0)
    )
    text = ctypes.create_string_buffer(b"Dual BSD/GPL")
    program = bpf(PROG_LOAD, struct.pack("=IIQQ", SCHED_CLS, 2,
                                         ctypes.addressof(code),
                                         ctypes.addressof(text)))
    bpf(LINK_CREATE, struct.pack("=IIII", program,
                                 socket.if_nametoindex(interface),
                                 TYPES[way], PLACES[place]))
    print("ready", flush=True)
    signal.pause()


main()
