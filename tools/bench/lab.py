# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A network of namespaces, made by netlab, and what runs in it."""

import os
import re
import signal
import subprocess
import time

import machine

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NETLAB = os.path.join(ROOT, "tools", "netlab", "netlab")
LISTEN_STATE = "0A"
# Debian's default, whatever the machine's is: BBR's pacing timers would be
# measured with everything. Reno where namespaces are not allowed to have it
# (net.ipv4.tcp_allowed_congestion_control); without loss they are alike.
CONGESTION = ("cubic", "reno")

# topology: netlab's options, address of the router, of the backend as the
# router dials it, of the backend as a client dials it past any proxy, and the
# host that the backend is.
TOPOLOGIES = {
    "routed": (
        ["--topology", "routed", "--forward"],
        "192.0.2.1",
        "198.51.100.11",
        "198.51.100.11",
        "backend1",
    ),
    "one-armed": (
        ["--topology", "one-armed", "--forward"],
        "192.0.2.1",
        "192.0.2.101",
        "192.0.2.101",
        "backend1",
    ),
    # 10 ms each way between client and router.
    "far": (
        ["--topology", "routed", "--forward", "--impair", "client", "delay=10"],
        "192.0.2.1",
        "198.51.100.11",
        "198.51.100.11",
        "backend1",
    ),
    "local": (
        ["--topology", "routed"],
        "192.0.2.1",
        "127.0.0.1",
        "192.0.2.1",
        "router",
    ),
}


class Lab:
    """One lab at a time; leaves nothing behind however the bench ends."""

    def __init__(self, topology):
        self.name = f"bench-{os.getpid()}"
        self.topology = topology
        options, self.router, self.target, self.direct, self.server = TOPOLOGIES[
            topology
        ]
        self.options = options
        self.sessions = []

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)
        remove_orphans()
        subprocess.run([NETLAB, "up", self.name, *self.options], check=True)
        self.path = subprocess.run(
            [NETLAB, "path", self.name], check=True, capture_output=True, text=True
        ).stdout.strip()
        try:
            for host in os.listdir(f"{self.path}/ns"):
                self._set_congestion(host)
            if self.topology == "one-armed":
                self._forward_in_one_arm()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run([NETLAB, "down", self.name], check=False)

    def _set_congestion(self, host):
        for self.congestion in CONGESTION:
            if self.try_congestion(host, self.congestion):
                return

    def try_congestion(self, host, name):
        """Return: whether the host has it now for its connections."""
        name = f"net.ipv4.tcp_congestion_control={name}"
        return not subprocess.run(
            self.command(host, ["sysctl", "-qw", name]),
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode

    def _forward_in_one_arm(self):
        """Client and backend see each other through the router, as they do
        where it is a proxy; it must not tell them of the shorter way."""
        self.run(
            "router",
            "sh",
            "-c",
            "echo 0 | tee /proc/sys/net/ipv4/conf/*/send_redirects >/dev/null",
        )
        self.run("client", "ip", "route", "add", self.target, "via", self.router)
        self.run("backend1", "ip", "route", "add", "192.0.2.10", "via", self.router)

    def command(self, host, argv):
        return ["nsenter", f"--net={self.path}/ns/{host}", "--", *argv]

    def run(self, host, *argv, timeout=60):
        return subprocess.run(
            self.command(host, argv),
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout,
        ).stdout

    def popen(self, host, argv, **more):
        return subprocess.Popen(self.command(host, argv), text=True, **more)

    def start(self, host, *argv):
        """A daemon, ended by stop() or with the lab. Returns its session."""
        done = subprocess.run(
            [NETLAB, "start", self.name, host, *argv],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        session = int(done.stdout)
        self.sessions.append(session)
        return session

    def stop(self, session, how="TERM"):
        subprocess.run([NETLAB, "stop", self.name, str(session), how], check=True)
        self.sessions.remove(session)

    def log(self, host):
        return machine.read(f"{self.path}/log/{host}.log")

    def scratch(self, name):
        path = f"{self.path}/run/{name}"
        os.makedirs(path, exist_ok=True)
        return path


def leave(number, _frame):
    """Ended from outside: by an exception, so that all is cleaned up."""
    raise SystemExit(128 + number)


def remove_orphans():
    """Labs of runs that were killed and could not clean up."""
    listed = subprocess.run(
        [NETLAB, "list"], check=True, capture_output=True, text=True
    ).stdout
    for number in re.findall(r"^bench-(\d+)$", listed, re.M):
        if not os.path.exists(f"/proc/{number}"):
            subprocess.run([NETLAB, "down", f"bench-{number}"], check=False)


def listens(pid, port):
    """Whether somebody in the process's network namespace listens there."""
    for table in ("tcp", "tcp6"):
        try:
            text = machine.read(f"/proc/{pid}/net/{table}")
        except OSError:
            return False
        if re.search(rf":{port:04X} [0-9A-F]+:0000 {LISTEN_STATE} ", text):
            return True
    return False


def wait_for_listener(pid, port, seconds=10.0):
    """Return: how long it took."""
    begin = time.monotonic()
    while not listens(pid, port):
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"nothing listens on port {port} after {seconds} s")
        time.sleep(0.001)
    return time.monotonic() - begin


def end(process, seconds=5.0):
    """End a process that popen() began, and take what it printed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


def ask(process, seconds):
    """What a process prints until it ends; it is killed when it takes longer,
    or when we have to go."""
    with process:
        try:
            return process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()
        except BaseException:
            process.kill()
            raise


def end_session(process, seconds=5.0):
    """End what popen(start_new_session=True) began, and all it forked: the
    number of a session is nobody else's while it has members."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(timeout=seconds)
