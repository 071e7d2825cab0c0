# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What stands in the kernel for the splice, by its pins: what a packet that is
not its own pays there, and the memory of the maps."""

import json
import os
import socket
import statistics
import struct
import subprocess

import load
import machine
from measure import LESS, Metric, finish

PINNED_METRICS = (
    Metric("in_ns", "a packet that is not ours, coming in", "ns", LESS),
    Metric("out_ns", "going out", "ns", LESS),
    Metric("maps_b", "maps, of each flow that there is room for", "bytes/flow", LESS),
)
# A look at a processor that others use too: the least of some. And some client
# ports, for what hashes have in their way is a matter of luck.
LOOKS, REPEAT = 5, 20000
CLIENT_PORTS = range(40000, 40008)
# Of struct __sk_buff in linux/bpf.h.
CONTEXT_BYTES, INGRESS_IFINDEX_AT = 192, 36
# That grow with the number of flows; routes and bans are there without any.
MAPS = ("flow_", "splice", "sockmap_")


def bpftool(*words):
    done = subprocess.run(
        ["bpftool", "-j", *words], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def packet(family, ports):
    """Of 1,400 bytes in TCP."""
    tcp = struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, 1 << 4, 65535, 0, 0)
    tcp += bytes(1400)
    if family == socket.AF_INET:
        kind, addresses = 0x0800, ("203.0.113.1", "203.0.113.2")
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
    else:
        kind, addresses = 0x86DD, ("2001:db8::1", "2001:db8::2")
        header = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64)
    for address in addresses:
        header += socket.inet_pton(family, address)
    return bytes(12) + struct.pack("!H", kind) + header + tcp


def program_ns(link, scratch):
    """By BPF_PROG_TEST_RUN; what that itself takes is in it."""
    number = str(bpftool("link", "show", "pinned", link)["prog_id"])
    files = ["data_in", f"{scratch}/packet", "ctx_in", f"{scratch}/context"]
    files += ["data_out", f"{scratch}/out", "repeat", str(REPEAT)]
    done = [bpftool("prog", "run", "id", number, *files) for _ in range(LOOKS)]
    if any(run["retval"] != 0xFFFFFFFF for run in done):
        raise RuntimeError(f"{link} takes a packet that is not its own")
    return min(run["duration"] for run in done)


def foreign_ns(link, scratch, port, out):
    """Of packets with a listener's port, which are looked up, by the version of
    IP for which it is more. What was forwarded goes out without a look; so one
    goes out that came in by no interface."""
    context = bytearray(CONTEXT_BYTES)
    struct.pack_into("=I", context, INGRESS_IFINDEX_AT, 0 if out else 1)
    with open(f"{scratch}/context", "wb") as file:
        file.write(context)
    found = {socket.AF_INET: [], socket.AF_INET6: []}
    for family, values in found.items():
        for other in CLIENT_PORTS:
            with open(f"{scratch}/packet", "wb") as file:
                file.write(packet(family, (port, other) if out else (other, port)))
            values.append(program_ns(link, scratch))
    return max(statistics.median(values) for values in found.values())


def map_bytes(pins):
    return sum(
        bpftool("map", "show", "pinned", f"{pins}/{name}")["bytes_memlock"]
        for name in os.listdir(pins)
        if name.startswith(MAPS) and is_map(f"{pins}/{name}")
    )


def is_map(path):
    """Programs and links are pinned beside them."""
    done = subprocess.run(
        ["bpftool", "map", "show", "pinned", path], capture_output=True, check=False
    )
    return not done.returncode


def sample_pinned(lab, running, _variant, _seconds):
    """Once a flow has been spliced: before that no port is looked up."""
    load.exchange(lab, running, ["--shape", "down", "--size", 1024])
    if not running.spliced():
        raise load.LoadFailed("it was not spliced")
    pins, port = running.pins(), running.contender.port
    scratch = lab.scratch("pinned")
    pinned_in, pinned_out = (
        next(f"{pins}/{name}" for name in os.listdir(pins) if name.startswith(kind))
        for kind in ("splice_i_", "splice_o_")
    )
    meter = machine.Meter(lab.sessions, running.pids())
    meter.start()
    found = {
        "in_ns": foreign_ns(pinned_in, scratch, port, out=False),
        "out_ns": foreign_ns(pinned_out, scratch, port, out=True),
        "maps_b": map_bytes(pins) / running.capacity(),
    }
    figures = meter.stop() | {"failures": 0, "complaint": ""}
    return finish(figures, **found)
