# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who is measured. A row of CONTENDERS is all that a new one needs."""

import json
import os
import resource
import signal
import socket
import time
from dataclasses import dataclass, field, replace

import machine
from lab import HERE, ROOT, wait_for_listener

NAME = "bench.test"
TLS_NAME = "tls.bench.test"
HTTP_NAME = "http.bench.test"
# Of the backend, for requests in the clear.
HTTP_PORT = 9080
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))

# Of the backend, by the PROXY version that it expects.
BACKEND_PORTS = {"off": 9000, "v1": 9001, "v2": 9002}
TLS_PORTS = {"off": 9440, "v1": 9441, "v2": 9441}


@dataclass
class Contender:
    name: str
    label: str
    proxy: str = "off"  # the PROXY version that it sends
    port: int = 0  # where it listens; 0: it is no proxy
    package: str = ""
    config: str = ""  # in peers/
    fill: dict = field(default_factory=dict)
    argv: list = field(default_factory=list)
    datapath: str = ""  # of snictld
    build: str = BUILD  # where snictl and snictld are
    hooks: bool = False  # costs others something: runs in its own turns only
    basics: bool = False  # takes part in the basic variants only
    asked: bool = False  # takes part only when asked for by name
    most_flows: int = 1 << 20
    change: str = ""  # how a route is changed at run time
    http: int = 0  # where it listens for HTTP; 0: nowhere

    @property
    def ours(self):
        return bool(self.datapath)

    @property
    def version(self):
        if self.ours:
            return machine.first_line(f"{self.build}/snictld", "--version")
        return machine.package_version(self.package) if self.package else ""


# The service has a user of its own. Were it root's here, HAProxy's pipes would
# be counted with its own (pipe-user-pages-soft), and it would be left none.
OWN_ACCOUNT = ["setpriv", "--ruid", "daemon"]

SPLICE = {
    # Pipes as large as the socket buffers that they stand between, see
    # tune.pipesize; both directions, without waiting for its heuristic.
    "SPLICE_GLOBAL": "tune.pipesize 1048576",
    "SPLICE_DEFAULTS": "option splice-request\n\toption splice-response",
}
NO_SPLICE = {"SPLICE_GLOBAL": "nosplice", "SPLICE_DEFAULTS": ""}
HAPROXY = ["haproxy", "-db", "-f", "@CONFIG@"]

CONTENDERS = [
    Contender("forward", "plain IP forwarding"),
    Contender(
        "haproxy",
        "HAProxy",
        proxy="v2",
        port=7001,
        package="haproxy",
        config="haproxy.cfg",
        fill=NO_SPLICE,
        argv=HAPROXY,
        change="socket",
        http=7081,
    ),
    Contender(
        "haproxy-splice",
        "HAProxy, splice",
        proxy="v2",
        port=7002,
        package="haproxy",
        config="haproxy.cfg",
        fill=SPLICE,
        argv=HAPROXY,
        http=7082,
    ),
    Contender(
        "nginx",
        "nginx stream",
        proxy="v1",
        port=7003,
        package="nginx-light",
        config="nginx.conf",
        argv=["nginx", "-c", "@CONFIG@", "-e", "stderr"],
        change="reload",
        http=7083,
    ),
    Contender(
        "sniproxy",
        "sniproxy",
        proxy="v1",
        port=7004,
        package="sniproxy",
        config="sniproxy.conf",
        argv=["sniproxy", "-f", "-c", "@CONFIG@", "-n", "@NOFILE@"],
        basics=True,
    ),
    Contender(
        "sslh",
        "sslh-select",
        port=7005,
        package="sslh",
        config="sslh.cfg",
        argv=["sslh-select", "-F@CONFIG@"],
        basics=True,
        most_flows=500,
    ),
    Contender(
        "relay",
        "snictld relay",
        proxy="v2",
        port=7010,
        datapath="relay",
        change="command",
        http=7090,
    ),
    Contender(
        "sockmap", "snictld sockmap", proxy="v2", port=7011, datapath="sockmap"
    ),
    Contender(
        "splice",
        "snictld splice",
        proxy="v2",
        port=7012,
        datapath="splice",
        hooks=True,
    ),
    # Which is the splice where it is proved, else the relay.
    Contender(
        "auto",
        "snictld auto",
        proxy="v2",
        port=7013,
        datapath="auto",
        hooks=True,
        asked=True,
    ),
]


def add_before(build):
    """Ours from another build beside those of this one, for a change's figures
    before and after it from one run."""
    for contender in [c for c in CONTENDERS if c.ours]:
        before = replace(
            contender,
            name=f"{contender.name}-before",
            label=f"{contender.label}, before",
            port=contender.port + 50,
            http=contender.http and contender.http + 50,
            build=build,
        )
        CONTENDERS.append(before)
        BY_NAME[before.name] = before


BY_NAME = {contender.name: contender for contender in CONTENDERS}


def nofile():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def filled(text, values):
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


class Running:
    """A contender's processes in a lab."""

    def __init__(self, lab, contender):
        self.lab = lab
        self.contender = contender
        self.session = None
        self.backend_port = BACKEND_PORTS[contender.proxy]
        self.tls_port = TLS_PORTS[contender.proxy]

    def address(self, tls=False):
        """Where a client connects to."""
        if self.contender.port:
            return f"{self.lab.router}:{self.contender.port}"
        port = self.tls_port if tls else self.backend_port
        return f"{self.lab.direct}:{port}"

    def http_address(self):
        return f"{self.lab.router}:{self.contender.http}"

    def argv(self):
        """Write its configuration; what starts it."""
        return self._snictld() if self.contender.ours else self._peer()

    def start(self):
        if not self.contender.port or self.session:
            return self
        self.session = self.lab.start("router", *self.argv())
        try:
            wait_for_listener(self.session, self.contender.port)
        except TimeoutError as error:
            raise RuntimeError(
                f"{self.contender.label}: {error}\n{self.lab.log('router')[-2000:]}"
            ) from error
        if self.contender.ours:
            self._check_datapath()
        return self

    def change(self, number):
        """Change the second route, which nobody takes meanwhile; return when
        it is done. HAProxy's is not kept over a restart, ours is on disk."""
        target = f"10.255.{number >> 8 & 255}.{number & 255}"
        run = self.lab.scratch(self.contender.name)
        if self.contender.change == "command":
            self.snictl("route", "replace", TLS_NAME, f"{target}:443")
        elif self.contender.change == "socket":
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(10)
                control.connect(f"{run}/socket")
                control.sendall(f"set server tls/one addr {target}\n".encode())
                while control.recv(4096):
                    pass
        elif self.contender.change == "reload":
            before = self.pids()
            os.kill(self.session, signal.SIGHUP)
            end = time.monotonic() + 10
            while self.pids() == before and time.monotonic() < end:
                time.sleep(0.001)

    def capacity(self):
        """Flows that it has set memory aside for."""
        if not self.contender.ours:
            return 0
        return json.loads(self.snictl("status", "--json"))["flows"]["capacity"]

    def spliced(self):
        """Flows, since it has started."""
        if not self.contender.ours:
            return 0
        return json.loads(self.snictl("stats", "--json"))["datapaths"]["splice"]

    def _check_datapath(self):
        """Where a data path is off, flows go by another one: not what the row
        is named after."""
        status = json.loads(self.snictl("status", "--json"))
        for path in status["datapaths"]:
            if path["name"] == self.contender.datapath and not path["on"]:
                self.stop()
                raise RuntimeError(f"the data path is off: {path['why']}")

    def stop(self):
        if self.session:
            self.lab.stop(self.session, "KILL")
            self.session = None

    def pids(self):
        return machine.session_members(self.session) if self.session else []

    def _peer(self):
        contender = self.contender
        run = self.lab.scratch(contender.name)
        config = f"{run}/{contender.config}"
        values = {
            **contender.fill,
            "PORT": contender.port,
            "ADDRESS": self.lab.target,
            "BACKEND_PORT": self.backend_port,
            "TLS_PORT": self.tls_port,
            "TARGET": f"{self.lab.target}:{self.backend_port}",
            "TLS_TARGET": f"{self.lab.target}:{self.tls_port}",
            "HTTP_TARGET": f"{self.lab.target}:{HTTP_PORT}",
            "RUN": run,
            "NAME": NAME,
            "TLS_NAME": TLS_NAME,
            "HTTP_NAME": HTTP_NAME,
            "HTTP_PORT": contender.http,
            "NAME_REGEX": NAME.replace(".", "\\."),
            "TLS_NAME_REGEX": TLS_NAME.replace(".", "\\."),
            "NOFILE": nofile(),
            "MAXCONN": (nofile() - 1000) // 2,
            "CONFIG": config,
        }
        text = machine.read(os.path.join(HERE, "peers", contender.config))
        with open(config, "w", encoding="utf-8") as file:
            file.write(filled(text, values))
        return [filled(word, values) for word in contender.argv]

    def places(self):
        """Options of both of our programs."""
        run = self.lab.scratch(self.contender.name)
        return [
            f"--bpffs={self.lab.path}/bpf/{self.contender.name}",
            f"--run-dir={run}",
            f"--state={run}/state",
        ]

    def pins(self):
        """The folder of ours in the bpffs: one version is there."""
        bpffs = f"{self.lab.path}/bpf/{self.contender.name}"
        return f"{bpffs}/{os.listdir(bpffs)[0]}"

    def snictl(self, *words, timeout=120):
        return self.lab.run(
            "router",
            f"{self.contender.build}/snictl",
            *self.places(),
            *words,
            timeout=timeout,
        )

    def _snictld(self):
        run = self.lab.scratch(self.contender.name)
        proxy = f"--proxy {self.contender.proxy}"
        rows = [
            f"listen add {self.contender.port}",
            f"route add {NAME} {self.lab.target}:{self.backend_port} {proxy}",
            f"route add {TLS_NAME} {self.lab.target}:{self.tls_port} {proxy}",
            # All load comes from one client address.
            "set hello-pending-per-source 0",
            # The peers write no line a connection either.
            "set log off",
        ]
        if self.contender.http:
            rows += [
                f"listen add {self.contender.http} --http",
                f"route add {HTTP_NAME} {self.lab.target}:{self.tls_port}"
                f" --http proxy --http-target {self.lab.target}:{HTTP_PORT}",
            ]
        with open(f"{run}/rows", "w", encoding="utf-8") as file:
            file.write("\n".join(rows) + "\n")
        self.snictl("apply", f"{run}/rows")
        return [
            *OWN_ACCOUNT,
            f"{self.contender.build}/snictld",
            *self.places(),
            "--workers",
            "1",
            "--datapath",
            self.contender.datapath,
        ]
