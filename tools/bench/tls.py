# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Real TLS: an nginx with a certificate of its own, a client that counts
full handshakes."""

import json
import os
import subprocess

import lab as labs
import load
import machine
from contenders import BUILD, HTTP_PORT, TLS_NAME, TLS_PORTS, filled
from lab import HERE

HANDSHAKE = os.path.join(BUILD, "tools", "bench", "handshake")
# As handshake.c checks it.
BODY = "x" * 1024


def make_certificate(run):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec"]
        + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", f"/CN={TLS_NAME}", "-keyout", f"{run}/key.pem"]
        + ["-out", f"{run}/certificate.pem"],
        check=True,
        capture_output=True,
    )


def ensure_backend(lab):
    """Once a lab: it is the same for all contenders."""
    if getattr(lab, "tls_backend", None):
        return
    run = lab.scratch("backend")
    make_certificate(run)
    os.makedirs(f"{run}/www", exist_ok=True)
    with open(f"{run}/www/body", "w", encoding="utf-8") as file:
        file.write(BODY)
    values = {
        "RUN": run,
        "PLAIN_PORT": TLS_PORTS["off"],
        "PROXY_PORT": TLS_PORTS["v2"],
        "HTTP_PORT": HTTP_PORT,
    }
    text = machine.read(os.path.join(HERE, "peers", "backend.conf"))
    with open(f"{run}/backend.conf", "w", encoding="utf-8") as file:
        file.write(filled(text, values))
    session = lab.start(
        lab.server, "nginx", "-c", f"{run}/backend.conf", "-e", "stderr"
    )
    labs.wait_for_listener(session, TLS_PORTS["v2"])
    lab.tls_backend = session


def exchange(lab, running, concurrency, seconds):
    ensure_backend(lab)
    address, port = running.address(tls=True).rsplit(":", 1)
    argv = [HANDSHAKE, address, port, TLS_NAME, str(concurrency), str(seconds)]
    meter = machine.Meter(lab.sessions, running.pids())
    meter.start()
    client = lab.popen("client", argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = labs.ask(client, load.PATIENCE_S)
    figures = meter.stop()
    if not output:
        raise load.LoadFailed(errors.strip()[:300] or "no report")
    figures["client"] = json.loads(output)
    figures["failures"] = figures["client"]["failed"]
    figures["complaint"] = errors.strip()[:300]
    return figures
