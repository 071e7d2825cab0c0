# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Load: a server of the traffic tool, a client, and what both found."""

import json
import os
import select
import subprocess

import lab as labs
from contenders import BACKEND_PORTS, BUILD, NAME
from machine import Meter

TRAFFIC = os.path.join(BUILD, "tests", "tools", "traffic")
# What a client may take over its own time before it is given up.
PATIENCE_S = 30
# As clients of TLS do, ours wait for an answer to their hello before they send
# more; where they send nothing, what they are sent is the answer.
ANSWER = ("--answer", 1)
# After which a connection without progress has failed.
PATIENCE = ("--timeout", "5")


class LoadFailed(Exception):
    pass


def parse_report(text):
    begin = text.find("{")
    try:
        return json.loads(text[begin:]) if begin >= 0 else None
    except json.JSONDecodeError:
        return None


def answer(words):
    return () if "down" in words else ANSWER


def server(lab, proxy, words, patience=PATIENCE):
    """A server on the backend that checks PROXY header, name and bytes."""
    argv = [TRAFFIC, "serve", "--listen", f"0.0.0.0:{BACKEND_PORTS[proxy]}"]
    argv += ["--expect-name", NAME, "--expect-proxy", proxy]
    argv += [*patience, *map(str, words)]
    process = lab.popen(
        lab.server, argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_word(process, "ready")
    return process


def client_argv(address, words, patience=PATIENCE):
    argv = [TRAFFIC, "connect", "--to", address, "--name", NAME]
    return [*argv, *patience, *map(str, (*words, *answer(words)))]


def wait_for_word(process, word, seconds=30):
    """A line that the traffic tool prints when it has come that far."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline().strip() if ready else ""
    if line != word:
        _, errors = labs.end(process)
        raise LoadFailed(f'"{line}" instead of "{word}": {errors.strip()[:300]}')


def exchange(lab, running, words, server_words=()):
    """One client against a contender. Return: figures of machine and load.

    The server is a new one, so that its figures are of this exchange alone;
    it starts before and ends after what is measured.
    """
    serving = server(
        lab, running.contender.proxy, (*server_words, *answer(words))
    )
    meter = Meter(lab.sessions, running.pids())
    try:
        meter.start()
        client = lab.popen(
            "client",
            client_argv(running.address(), words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, errors = labs.ask(client, PATIENCE_S)
        figures = meter.stop()
    finally:
        served_output, served_errors = labs.end(serving)
    sent, served = parse_report(output), parse_report(served_output)
    if not sent or not served:
        raise LoadFailed((errors + served_errors).strip()[:300] or "no report")
    figures["client"] = sent
    figures["server"] = served
    figures["failures"] = failures(sent, served)
    figures["complaint"] = (errors + served_errors).strip()[:300]
    return figures


def failures(sent, served):
    """Both ends count; a connection that fails on both counts once."""
    return max(sent["failed"] + sent["empty"], served["failed"])
