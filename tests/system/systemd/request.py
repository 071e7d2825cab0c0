#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A plain request, and its backend, which answers when told to: by a line in
/srv/answer. Say "asked" when the backend has it, then "answered" or "ended"."""
import socket
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"


def serve(listener):
    """One request, one answer."""
    peer, _ = listener.accept()
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        more = peer.recv(4096)
        if not more:
            return
        request += more
    print("asked", flush=True)
    with open("/srv/answer", encoding="ascii") as told:
        told.readline()
    peer.sendall(ANSWER)
    peer.close()


backend = socket.create_server(("127.0.0.1", 8080))
server = threading.Thread(target=serve, args=(backend,), daemon=True)
server.start()
client = socket.create_connection(("127.0.0.1", 80), 60)
client.sendall(b"GET / HTTP/1.1\r\nHost: pbx.example.com\r\n\r\n")
got = b""
try:
    while more := client.recv(4096):
        got += more
except OSError:
    pass
server.join(60)
print("answered" if got.endswith(b"late") else "ended", flush=True)
