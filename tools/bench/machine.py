# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the machine did: processor time by owner, memory, versions."""

import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
CPUS = os.cpu_count()
PF_KTHREAD = 0x00200000


@dataclass
class Process:
    pid: int
    parent: int
    session: int
    kernel: bool
    ticks: int  # user and system time, its own
    child_ticks: int  # and of children that have ended


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def processes():
    """All processes by number. Some may be gone by the time they are read."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = read(f"/proc/{name}/stat")
        except OSError:
            continue
        # The name, in brackets, may hold blanks and brackets.
        field = text[text.rindex(")") + 2 :].split()
        found[int(name)] = Process(
            pid=int(name),
            parent=int(field[1]),
            session=int(field[3]),
            kernel=bool(int(field[6]) & PF_KTHREAD),
            ticks=int(field[11]) + int(field[12]),
            child_ticks=int(field[13]) + int(field[14]),
        )
    return found


def session_members(session):
    return [p.pid for p in processes().values() if p.session == session]


def task_seconds(pids):
    """Processor time of processes, all their threads: to the nanosecond,
    where utime and stime in /proc/PID/stat are cut to 10 ms."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                text = read(f"/proc/{pid}/task/{task}/schedstat")
                total += int(text.split()[0])
        except OSError:
            continue
    return total / 1e9


def family(pid, table):
    """A process and all that descend from it."""
    members = {pid}
    grown = True
    while grown:
        more = {p.pid for p in table.values() if p.parent in members}
        grown = not more <= members
        members |= more
    return members


def grown_ticks(before, after):
    """What processes have used between two looks.

    The time of one that has ended is found with whoever waited for it, but
    all of it, also what it had used before the first look.
    """
    known = {pid: p.ticks + p.child_ticks for pid, p in before.items()}
    for pid, process in before.items():
        heir = process.parent
        while pid not in after and heir in before and heir not in after:
            heir = before[heir].parent
        if pid not in after and heir in after and heir in known:
            known[heir] += process.ticks + process.child_ticks
    return sum(
        max(0, p.ticks + p.child_ticks - known.get(pid, 0))
        for pid, p in after.items()
    )


class Meter:
    """Processor time between start() and stop().

    cpu: of the whole machine, idle and stolen time taken off
    proxy: of the contender's processes
    foreign: of processes that are not the bench's, and stolen, as a share
             of the machine
    """

    def __init__(self, sessions, proxy_pids):
        self.sessions = set(sessions)
        self.proxy_pids = proxy_pids

    def _foreign(self):
        table = processes()
        ours = family(os.getpid(), table)
        return {
            p.pid: p
            for p in table.values()
            if not p.kernel
            and p.pid not in ours
            and p.session not in self.sessions
        }

    @staticmethod
    def _idle_and_stolen():
        field = [int(word) for word in read("/proc/stat").split("\n", 1)[0].split()[1:]]
        return (field[3] + field[4]) / TICKS, field[7] / TICKS

    def start(self):
        self.foreign_begin = time.monotonic()
        self.foreign_before = self._foreign()
        self.proxy_before = task_seconds(self.proxy_pids)
        self.idle_before, self.stolen_before = self._idle_and_stolen()
        self.begin = time.monotonic()

    def stop(self):
        elapsed = time.monotonic() - self.begin
        idle, stolen = self._idle_and_stolen()
        stolen -= self.stolen_before
        cpu = elapsed * CPUS - (idle - self.idle_before) - stolen
        proxy = task_seconds(self.proxy_pids) - self.proxy_before
        foreign = grown_ticks(self.foreign_before, self._foreign()) / TICKS
        # To look at all processes takes its time, on a busy machine above all.
        foreign /= (time.monotonic() - self.foreign_begin) * CPUS
        return {
            "elapsed_s": elapsed,
            "cpu_s": max(0.0, cpu),
            "proxy_s": proxy,
            "foreign": foreign + stolen / (elapsed * CPUS),
        }


# ---- memory -----------------------------------------------------------------


def meminfo():
    """/proc/meminfo in bytes."""
    rows = re.findall(r"^(\S+):\s+(\d+) kB", read("/proc/meminfo"), re.M)
    return {name: int(value) * 1024 for name, value in rows}


def available_bytes():
    return meminfo()["MemAvailable"]


def private_bytes(pids):
    """What processes hold for themselves; pages that they share once."""
    total = 0
    for pid in pids:
        try:
            text = read(f"/proc/{pid}/smaps_rollup")
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024
    return total


def tcp_is_short_of_memory():
    """The whole machine's TCP, all namespaces. A FIN is then put into a packet
    that has been sent already and comes with its retransmission, after 200 ms
    (tcp_send_fin()): short connections become a hundred times slower."""
    row = re.search(r"^TCP .*$", read("/proc/net/protocols"), re.M)
    return bool(row) and row[0].split()[4] == "yes"


# ---- what is measured here --------------------------------------------------


def first_line(*command):
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip().split("\n")[0]


def package_version(package):
    return first_line("dpkg-query", "-W", "-f=${Version}", package)


def describe():
    cpu = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": cpu[1] if cpu else "",
        "cpus": CPUS,
        "memory_bytes": meminfo()["MemTotal"],
        "nofile": os.sysconf("SC_OPEN_MAX"),
        "tcp": {
            name: read(f"/proc/sys/net/ipv4/{name}").strip()
            for name in ("tcp_rmem", "tcp_wmem")
        },
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
