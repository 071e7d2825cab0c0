#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ask the container's backend over one connection, at first and for each line
of standard input; say "answered" or "ended"."""
import socket
import ssl
import sys

NAME = "pbx.example.com"
context = ssl.create_default_context(cafile="/srv/backend/certificate.pem")
connection = context.wrap_socket(
    socket.create_connection(("127.0.0.1", 443), 5), server_hostname=NAME)


def ask():
    """One request, and its whole answer."""
    wanted = f"backend {NAME} 127.0.0.1".encode()
    try:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        got = b""
        while not got.endswith(wanted):
            more = connection.recv(4096)
            if not more:
                return "ended"
            got += more
    except OSError:
        return "ended"
    return "answered"


print(ask(), flush=True)
for _ in sys.stdin:
    print(ask(), flush=True)
