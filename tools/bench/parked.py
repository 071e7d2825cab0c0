# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Flows that stand still: the memory that they take, and what becomes of them
when who carries them dies."""

import os
import signal
import subprocess
import time

import lab as labs
import load
import machine
from contenders import nofile
from measure import LESS, MORE, Metric, finish

# Descriptors that are not flows': pipes are the most of them.
SPARE = 1600


def idle_flows():
    return min(10000, (nofile() - SPARE) // 2)


# Nothing moves while memory is looked at.
PARKED_PATIENCE = ("--timeout", "60")


def flows_for(running, wanted):
    return min(wanted, running.contender.most_flows)


class Parked:
    """@count flows that stand still between park() and release()."""

    def __init__(self, lab, running, words, count):
        self.lab, self.running, self.count = lab, running, count
        self.words = [*words, "--connections", count, "--concurrency", count]
        self.client = self.serving = None

    def __enter__(self):
        self.serving = load.server(
            self.lab, self.running.contender.proxy, load.ANSWER, PARKED_PATIENCE
        )
        return self

    def __exit__(self, *_):
        if self.client:
            labs.end(self.client)
        labs.end(self.serving)

    def park(self):
        argv = load.client_argv(
            self.running.address(),
            [*self.words, "--ready-fd", 1],
            patience=PARKED_PATIENCE,
        )
        self.client = self.lab.popen(
            "client", argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        load.wait_for_word(self.client, "parked")

    def release(self):
        """Return: figures, when all have gone on and ended."""
        begin = time.monotonic()
        self.client.send_signal(signal.SIGUSR1)
        output, errors = self.client.communicate(timeout=load.PATIENCE_S)
        end = time.monotonic()
        served_output, served_errors = labs.end(self.serving)
        sent, served = load.parse_report(output), load.parse_report(served_output)
        if not sent or not served:
            raise load.LoadFailed((errors + served_errors).strip()[:300])
        return {
            "elapsed_s": end - begin,
            "cpu_s": 0.0,
            "proxy_s": 0.0,
            "foreign": 0.0,
            "client": sent,
            "server": served,
            "failures": load.failures(sent, served),
            "complaint": (errors + served_errors).strip()[:300],
            "flows": self.count,
        }


# ---- memory -----------------------------------------------------------------


def memory_now(pids):
    info = machine.meminfo()
    return {
        "process": machine.private_bytes(pids),
        "slab": info["Slab"],
        "available": info["MemAvailable"],
    }


def settled_memory(pids, seconds=10.0):
    """Memory once it changes no more: sender and receiver have filled what
    there is to fill."""
    last = memory_now(pids)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        now = memory_now(pids)
        if abs(now["available"] - last["available"]) < 1 << 20:
            return now
        last = now
    return last


def measured(lab, running, words, count):
    """Memory before and while flows stand still."""
    with Parked(lab, running, words, count) as flows:
        before = memory_now(running.pids())
        flows.park()
        during = settled_memory(running.pids())
        figures = flows.release()
    return figures | {
        "before_bytes": before["process"],
        "process_bytes": during["process"] - before["process"],
        "slab_bytes": during["slab"] - before["slab"],
        "available_bytes": before["available"] - during["available"],
    }


IDLE_METRICS = (
    Metric("process_b", "memory of the process, growth", "bytes/flow", LESS),
    Metric("whole_b", "with its share of what it had before", "bytes/flow", LESS),
    Metric("kernel_b", "memory of the kernel, all hosts", "bytes/flow", LESS),
)


def sample_idle(lab, running, variant, _seconds):
    """Flows that have exchanged one message and wait. The kernel's part holds
    the sockets of client and backend too: forwarding shows how much that is.
    What a process had before, mapped BPF maps among it, is shared by the
    flows that it has room for; by those that there are where it has no such
    number."""
    count = flows_for(running, idle_flows() if variant == "most" else int(variant))
    words = ["--shape", "idle", "--message", 1]
    figures = measured(lab, running, words, count)
    return finish(
        figures,
        process_b=figures["process_bytes"] / count,
        whole_b=figures["process_bytes"] / count
        + figures["before_bytes"] / (running.capacity() or count),
        kernel_b=figures["slab_bytes"] / count,
    )


STALLED_METRICS = (
    Metric("total_kib", "memory of everything", "KiB/flow", LESS),
    Metric("process_kib", "memory of the process", "KiB/flow", LESS),
)


def sample_stalled(lab, running, variant, _seconds):
    """Readers that stop at 4 MiB of 16, with a sender at full speed behind."""
    count = flows_for(running, int(variant))
    words = ["--shape", "client-stall", "--stall", "signal", "--size", 16 << 20]
    figures = measured(lab, running, words, count)
    return finish(
        figures,
        total_kib=figures["available_bytes"] / count / 1024,
        process_kib=figures["process_bytes"] / count / 1024,
    )


# ---- death ------------------------------------------------------------------

RECOVER_METRICS = (
    Metric("flows", "idle before that", "flows", MORE),
    Metric("new_ms", "until a new connection is served", "ms", LESS),
    Metric("all_ms", "until all of the flows have answered and ended", "ms", LESS),
)


def worker(running):
    """The supervisor leads the session, and waits."""
    table = machine.processes()
    return next(p.pid for p in table.values() if p.parent == running.session)


def new_connection_s(lab, running, event):
    """From @event() until a connection begun after it has been served; the
    client's process is there before."""
    argv = load.client_argv(running.address(), ["--shape", "echo", "--size", 1024])
    wait = ["sh", "-c", 'echo ready; read -r go; exec "$@"', "sh", *argv]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    client = lab.popen("client", wait, **pipes)
    try:
        load.wait_for_word(client, "ready")
        begin = time.monotonic()
        event()
        output, errors = client.communicate("go\n", timeout=load.PATIENCE_S)
        elapsed = time.monotonic() - begin
    finally:
        labs.end(client)
    report = load.parse_report(output)
    if not report or report["failed"]:
        raise load.LoadFailed(f"no new connection: {errors.strip()[:300]}")
    return elapsed


def sample_recover(lab, running, variant, _seconds):
    """The worker is killed twice. Once nobody has anything to say but one new
    client; then all of the flows, at once. "undisturbed" is the same without
    the deaths: what is more than that is theirs."""

    def event():
        if variant == "killed":
            os.kill(worker(running), signal.SIGKILL)

    count = flows_for(running, idle_flows())
    with Parked(lab, running, ["--shape", "idle", "--message", 1], count) as flows:
        flows.park()
        new_s = new_connection_s(lab, running, event)
        event()
        figures = flows.release()
    return finish(
        figures, flows=count, new_ms=new_s * 1e3, all_ms=figures["elapsed_s"] * 1e3
    )
