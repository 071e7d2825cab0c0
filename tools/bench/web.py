# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Port 80: wrk against redirections, and against requests that a backend
answers; the backend is the nginx of tls.py."""

import http.client
import re
import subprocess

import lab as labs
import load
import machine
import tls
from contenders import HTTP_NAME, NAME

CONNECTIONS = 32
# wrk takes whole seconds.
SECONDS = 1
COUNTED = re.compile(r"^ *(\d+) requests in ([0-9.]+)(m?)s", re.M)
ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


def check(lab, running, name):
    """One answer, looked at: what is counted is what was meant."""
    host, port = running.http_address().rsplit(":", 1)
    code = f"""
import http.client
answer = http.client.HTTPConnection("{host}", {port}, timeout=5)
answer.request("GET", "/body", headers={{"Host": "{name}", "Connection": "close"}})
answer = answer.getresponse()
print(answer.status, answer.getheader("Location"), answer.read().decode())
"""
    said = lab.run("client", "python3", "-c", code).strip()
    wanted = (
        f"200 None {tls.BODY}"
        if name == HTTP_NAME
        else f"{http.client.MOVED_PERMANENTLY} https://{name}/body"
    )
    if not said.startswith(wanted):
        raise load.LoadFailed(f"port 80 says {said[:100]}")


def exchange(lab, running, variant):
    """Return: figures; "completed" requests, each on a connection of its own
    but for variants "-kept"."""
    tls.ensure_backend(lab)
    name = NAME if variant == "redirect" else HTTP_NAME
    check(lab, running, name)
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", f"Host: {name}"]
    if not variant.endswith("-kept"):
        argv += ["-H", "Connection: close"]
    argv.append(f"http://{running.http_address()}/body")
    meter = machine.Meter(lab.sessions, running.pids())
    meter.start()
    client = lab.popen("client", argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = labs.ask(client, load.PATIENCE_S)
    figures = meter.stop()
    counted = COUNTED.search(output)
    if not counted:
        raise load.LoadFailed((errors + output).strip()[:300])
    figures["completed"] = int(counted[1])
    figures["seconds"] = float(counted[2]) / (1000 if counted[3] else 1)
    failed = ERRORS.search(output)
    figures["failures"] = sum(map(int, failed.groups())) if failed else 0
    figures["complaint"] = failed[0] if failed else ""
    return figures
