# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What is measured: a row of MEASURES each, with how one sample is taken."""

import contextlib
import json
import os
import subprocess
import threading
import time

import lab as labs
import load
import machine
import parked
import pinned
import tls
import web
from measure import LESS, MORE, Measure, Metric, finish

# ---- bulk -------------------------------------------------------------------

STREAMS = {"1": 1, "8": 8, "64": 64}
BULK = tuple(
    f"{direction}-{streams}" for direction in ("down", "up", "both") for streams in STREAMS
)
BULK_METRICS = (
    Metric("gbit_s", "throughput", "Gbit/s", MORE),
    Metric("cpu_s_gb", "CPU, whole machine", "s/GB", LESS),
    Metric("proxy_s_gb", "CPU, proxy process", "s/GB", LESS),
)


def per_byte(figures):
    """Only bytes that arrived and were right count, at both ends."""
    received = (
        figures["client"]["bytes_received"] + figures["server"]["bytes_received"]
    )
    gigabytes = max(received, 1) / 1e9
    return finish(
        figures,
        gbit_s=received * 8 / 1e9 / figures["client"]["seconds"],
        cpu_s_gb=figures["cpu_s"] / gigabytes,
        proxy_s_gb=figures["proxy_s"] / gigabytes,
    )


def sample_bulk(lab, running, variant, seconds):
    direction, streams = variant.split("-")
    words = ["--shape", direction, "--size", "unlimited", "--seconds", seconds]
    words += ["--connections", streams, "--concurrency", streams]
    return per_byte(load.exchange(lab, running, words))


def sample_paced(lab, running, variant, seconds):
    """Segments of 16 KiB, one each 0 to 10 ms a flow: far below saturation,
    so that what counts is the work per wake-up."""
    words = ["--shape", "down", "--size", "unlimited", "--seconds", seconds]
    words += ["--connections", variant, "--concurrency", variant]
    words += ["--chunk", 16384, "--pace", 10000]
    return per_byte(load.exchange(lab, running, words))


# ---- connections ------------------------------------------------------------

CONNECTION_METRICS = (
    Metric("per_s", "new connections", "1/s", MORE),
    Metric("cpu_us", "CPU, whole machine", "us/connection", LESS),
    Metric("proxy_us", "CPU, proxy process", "us/connection", LESS),
)


def per_connection(figures, completed, seconds):
    count = max(completed, 1)
    return finish(
        figures,
        per_s=completed / seconds,
        cpu_us=figures["cpu_s"] / count * 1e6,
        proxy_us=figures["proxy_s"] / count * 1e6,
    )


# One client and one server are busy before the machine is: what is compared then
# is how well a contender keeps them so.
CROWD = ("--processes", 2)


def sample_connections(lab, running, variant, seconds):
    """A hello, 1 KiB back, both ends close."""
    words = ["--shape", "down", "--size", 1024, "--seconds", seconds]
    words += ["--concurrency", variant, *CROWD]
    figures = load.exchange(lab, running, words, CROWD)
    return per_connection(
        figures, figures["client"]["completed"], figures["client"]["seconds"]
    )


def sample_tls(lab, running, variant, seconds):
    figures = tls.exchange(lab, running, int(variant), seconds)
    return per_connection(
        figures, figures["client"]["completed"], figures["client"]["seconds"]
    )


# ---- latency ----------------------------------------------------------------

LATENCY_METRICS = (
    Metric("p50_us", "p50", "us", LESS),
    Metric("p99_us", "p99", "us", LESS),
    Metric("p999_us", "p99.9", "us", LESS),
    Metric("cpu_us", "CPU, whole machine", "us/echo", LESS),
)
# flows, and the longest pause of each before its next byte
LATENCY = {"low": (1, 0), "medium": (64, 16000), "contended": (1, 0)}


@contextlib.contextmanager
def contention(lab):
    """As many busy processes as there are processors."""
    spin = ["sh", "-c", "while :; do :; done"]
    busy = [lab.popen("client", spin) for _ in range(machine.CPUS)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def sample_latency(lab, running, variant, seconds):
    flows, pace_us = LATENCY[variant]
    words = ["--shape", "echo", "--message", 1, "--size", "unlimited"]
    words += ["--connections", flows, "--concurrency", flows]
    words += ["--pace", pace_us, "--seconds", seconds]
    busy = contention(lab) if variant == "contended" else contextlib.nullcontext()
    with busy:
        figures = load.exchange(lab, running, words)
    echo = figures["client"].get("echo_us")
    if not echo:
        raise load.LoadFailed("no echo came back")
    return finish(
        figures,
        p50_us=echo["p50"],
        p99_us=echo["p99"],
        p999_us=echo["p99.9"],
        cpu_us=figures["cpu_s"] / echo["count"] * 1e6,
    )


# ---- far away ---------------------------------------------------------------

FAR_METRICS = (Metric("ms", "20 MB, until the last byte", "ms", LESS),)


@contextlib.contextmanager
def sysctl(lab, host, name, value):
    before = lab.run(host, "sysctl", "-n", name).strip()
    lab.run(host, "sysctl", "-qw", f"{name}={value}")
    try:
        yield
    finally:
        lab.run(host, "sysctl", "-qw", f"{name}={before}")


@contextlib.contextmanager
def lost_flight(lab):
    """The first ten segments of data (RFC 6928) do not reach the client."""
    rule = "ip protocol tcp meta length > 1000 quota until 15000 bytes counter drop"
    hook = "type filter hook prerouting priority -400;"
    lab.run("client", "nft", f"table ip flight {{ chain c {{ {hook} {rule}; }}; }}")
    try:
        yield
        listed = lab.run("client", "nft", "list", "table", "ip", "flight")
        if "packets 10 bytes" not in listed:
            raise load.LoadFailed(f"not ten segments were lost: {listed}")
    finally:
        lab.run("client", "nft", "delete", "table", "ip", "flight")


def forget_paths(lab):
    lab.run("backend1", "ip", "tcp_metrics", "flush", "all")


@contextlib.contextmanager
def unknown_path(lab):
    """The backend remembers nothing of the path from one download to the next."""
    with sysctl(lab, "backend1", "net.ipv4.tcp_no_metrics_save", 1):
        forget_paths(lab)
        yield


FAR_CONDITIONS = {
    "": lambda lab: contextlib.nullcontext(),
    # Of the client, so of both connections.
    "bare": lambda lab: sysctl(lab, "client", "net.ipv4.tcp_timestamps", 0),
    "cookies": lambda lab: sysctl(lab, "backend1", "net.ipv4.tcp_syncookies", 2),
    "lost": lost_flight,
    "lost-unknown": lost_flight,
}
CONTROLS = ("bbr", "cubic", "reno")


def sample_far(lab, running, variant, _seconds):
    """One download over a path of 20 ms, by the backend's own congestion
    control: a router must not stand between it and what it measures. It knows
    nothing of the path; only in "lost" it has learnt from one connection before
    how long to wait for what is lost, as Linux does."""
    control, _, condition = variant.partition("-")
    words = ["--shape", "down", "--size", 20 * 1000 * 1000]
    congestion = ["--congestion", control]
    with contextlib.ExitStack() as stack:
        if condition == "lost":
            forget_paths(lab)
            load.exchange(lab, running, words, congestion)
        else:
            stack.enter_context(unknown_path(lab))
        spliced = running.spliced() + 1
        stack.enter_context(FAR_CONDITIONS[condition](lab))
        figures = load.exchange(lab, running, words, congestion)
    if running.contender.datapath == "splice" and running.spliced() != spliced:
        raise load.LoadFailed("it was not spliced")
    return finish(figures, ms=figures["client"]["seconds"] * 1e3)


# ---- flood ------------------------------------------------------------------

FLOOD = os.path.join(labs.ROOT, "tests", "system", "syn_flood.py")
FLOOD_METRICS = (
    Metric("per_s", "new connections", "1/s", MORE),
    Metric("first_p99_us", "p99 of the first byte", "us", LESS),
)


@contextlib.contextmanager
def flood(lab, port, rate, seconds):
    """SYNs of forged sources, for so long at most; the answers to them end in
    the client's namespace."""
    forged = "198.18.0.0/15"
    lab.run("router", "ip", "route", "replace", forged, "via", "192.0.2.10")
    lab.run("client", "ip", "route", "replace", "blackhole", forged)
    links = json.loads(lab.run("router", "ip", "-j", "link", "show", "client"))
    argv = [FLOOD, "eth0", links[0]["address"], lab.router, rate, seconds, port]
    process = lab.popen("client", list(map(str, argv)), stdout=subprocess.PIPE)
    try:
        load.wait_for_word(process, "ready")
        yield
    finally:
        process.kill()
        process.wait()


def sample_flood(lab, running, variant, seconds):
    """As "conn", while SYNs come that nobody will acknowledge: SYN cookies are
    the kernel's work, and here its figures stand."""
    words = ["--shape", "down", "--size", 1024, "--seconds", seconds]
    words += ["--concurrency", 64, *CROWD]
    with flood(lab, running.contender.port, variant, seconds + 3):
        figures = load.exchange(lab, running, words, CROWD)
    return finish(
        figures,
        per_s=figures["client"]["completed"] / figures["client"]["seconds"],
        first_p99_us=figures["client"]["first_byte_us"]["p99"],
    )


# ---- start ------------------------------------------------------------------

START_METRICS = (Metric("start_ms", "until it listens", "ms", LESS),)


def sample_start(lab, running, _variant, _seconds):
    """Spawned by hand: netlab's own shell would be measured too."""
    argv = running.argv()
    begin = time.monotonic()
    process = lab.popen(
        "router",
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        labs.wait_for_listener(process.pid, running.contender.port)
        elapsed = time.monotonic() - begin
        running.session = process.pid
        figures = load.exchange(lab, running, ["--shape", "down", "--size", 1024])
    finally:
        running.session = None
        labs.end_session(process)
    return finish(figures, start_ms=elapsed * 1e3)


# ---- changes ----------------------------------------------------------------

CHANGE_METRICS = (
    Metric("changes_s", "changes", "1/s", MORE),
    Metric("first_p99_us", "p99 of the first byte meanwhile", "us", LESS),
)


def sample_change(lab, running, variant, seconds):
    """One change after the other, each as an operator makes it, and
    connections at a steady rate that must not notice."""
    words = ["--shape", "down", "--size", 1024, "--seconds", seconds]
    words += ["--concurrency", 1000, "--rate", variant]
    stop = threading.Event()
    made = [0]

    def change():
        while not stop.is_set():
            running.change(made[0])
            made[0] += 1

    changing = threading.Thread(target=change)
    changing.start()
    try:
        figures = load.exchange(lab, running, words)
    finally:
        stop.set()
        changing.join()
    return finish(
        figures,
        changes_s=made[0] / figures["elapsed_s"],
        first_p99_us=figures["client"]["first_byte_us"]["p99"],
    )


# ---- http -------------------------------------------------------------------

HTTP_METRICS = (
    Metric("per_s", "requests", "1/s", MORE),
    Metric("cpu_us", "CPU, whole machine", "us/request", LESS),
    Metric("proxy_us", "CPU, proxy process", "us/request", LESS),
)


def sample_http(lab, running, variant, _seconds):
    """A connection a request, as a browser makes one to be redirected; "kept"
    where the client would keep it: a router that serves one request a
    connection pays for that here."""
    figures = web.exchange(lab, running, variant)
    return per_connection(figures, figures["completed"], figures["seconds"])


MEASURES = [
    Measure(
        "bulk",
        "Bulk transfer",
        BULK_METRICS,
        BULK,
        sample_bulk,
        quick=("down-8",),
        basics=("down-1", "down-8", "down-64"),
        elsewhere=("down-8",),
        topologies=("routed", "one-armed", "local"),
        seconds=0.3,
    ),
    Measure(
        "conn",
        "New connections: hello and 1 KiB",
        CONNECTION_METRICS,
        ("64",),
        sample_connections,
        quick=("64",),
        elsewhere=("64",),
        topologies=("routed", "one-armed", "local"),
        seconds=0.6,
    ),
    Measure(
        "tls",
        "New connections: full TLS 1.3 handshake and 1 KiB",
        CONNECTION_METRICS,
        ("32",),
        sample_tls,
        quick=("32",),
        seconds=0.6,
    ),
    Measure(
        "latency",
        "Latency of a 1-byte echo",
        LATENCY_METRICS,
        ("low", "medium"),
        sample_latency,
        quick=("low",),
        basics=("low",),
        elsewhere=("low",),
        topologies=("routed", "one-armed", "local"),
        seconds=0.4,
    ),
    Measure(
        "contended",
        "Latency of a 1-byte echo beside busy processes",
        LATENCY_METRICS,
        ("contended",),
        sample_latency,
        seconds=0.4,
        rounds=2,
        claim=False,
    ),
    Measure(
        "paced",
        "64 paced flows",
        BULK_METRICS,
        ("64",),
        sample_paced,
        quick=("64",),
        seconds=0.6,
    ),
    Measure(
        "idle",
        "Memory of an idle flow",
        parked.IDLE_METRICS,
        ("most",),
        parked.sample_idle,
        fresh=True,
        rounds=1,
    ),
    Measure(
        "stalled",
        "Memory behind 100 stalled readers",
        parked.STALLED_METRICS,
        ("100",),
        parked.sample_stalled,
        fresh=True,
        rounds=1,
    ),
    Measure(
        "recover",
        "The worker dies",
        parked.RECOVER_METRICS,
        ("killed", "undisturbed"),
        parked.sample_recover,
        takes_part=lambda contender: contender.ours,
        fresh=True,
        rounds=1,
    ),
    Measure(
        "pinned",
        "What the splice's programs and maps take",
        pinned.PINNED_METRICS,
        ("all",),
        pinned.sample_pinned,
        takes_part=lambda c: c.name == "splice",
        rounds=1,
        # The least of some looks, and memory that does not change.
        alone=False,
    ),
    Measure(
        "http",
        "HTTP on port 80",
        HTTP_METRICS,
        ("redirect", "proxied", "proxied-kept"),
        sample_http,
        # A KiB is not spliced.
        takes_part=lambda c: c.http and c.name != "haproxy-splice",
    ),
    Measure(
        "far",
        "A download over 20 ms, by congestion control",
        FAR_METRICS,
        (),
        sample_far,
        topologies=("far",),
        elsewhere=CONTROLS,
        takes_part=lambda c: c.name in ("forward", "haproxy", "relay", "splice"),
        # The path takes the time; and its wire is a process, a foreign one.
        alone=False,
    ),
    Measure(
        "flood",
        "New connections beside 100,000 forged SYNs a second",
        FLOOD_METRICS,
        ("100000",),
        sample_flood,
        takes_part=lambda c: c.name in ("haproxy", "nginx", "relay", "splice"),
        rounds=2,
        claim=False,
    ),
    Measure(
        "start",
        "Start-up",
        START_METRICS,
        ("1 route",),
        sample_start,
        quick=("1 route",),
        takes_part=lambda contender: contender.port,
        fresh=True,
        starts=True,
        rounds=3,
    ),
    Measure(
        "change",
        "Route changes beside 1,000 connections/s",
        CHANGE_METRICS,
        ("1000",),
        sample_change,
        takes_part=lambda contender: contender.change,
    ),
]
BY_NAME = {measure.name: measure for measure in MEASURES}
