/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's control socket: what needs a process and not just a map.
 *
 * RUN_DIR/control is a SOCK_SEQPACKET Unix socket, for its owner. A request
 * is one JSON object in one message, so is the answer:
 *
 *   {"command": "status"}
 *   {"command": "listen"}          make the sockets equal to the map, and
 *                                  look at the settings again
 *   {"command": "kill", "id": 7} | {"command": "kill", "client": "192.0.2.1"}
 *                                | {"command": "kill", "name": "a.example"}
 *   {"command": "bans"}            end the flows of whom the tables ban now
 *   {"command": "upgrade"}         go on as the program that is installed
 *
 * An answer has "ok": true, or "error": a sentence. "status" and "listen"
 * answer with
 *   "version", "pid", "threads", "started_ns" (CLOCK_MONOTONIC),
 *   "datapath" (the preference), "draining", "accept_paused" (booleans),
 *   "listeners": [{"id", "listen", "state": "listening"|"failed", "error"}],
 *   "datapaths": [{"name", "on", "why"}]     ("why" and "error" may be null)
 * and "kill" and "bans" with "killed", the number of flows that have ended when
 * the answer is sent. "upgrade" is answered by the new program, when it serves,
 * with "version".
 */
#ifndef SNICTL_CONTROL_H
#define SNICTL_CONTROL_H

#include <jansson.h>
#include "error.h"
#include "paths.h"

#define CONTROL_MESSAGE_MAX 65536
/* How long an answer may take; that to "upgrade" takes two starts. */
#define CONTROL_PATIENCE_S 10
#define CONTROL_UPGRADE_S 120

/**
 * control_call() - ask the agent and wait for its answer.
 * @request:    borrowed.
 * @patience_s: for so long.
 * @ret_answer: a new reference, "ok" is true; written only on success.
 *
 * Return: 0; -ECONNREFUSED where no agent runs; another -errno, or what the
 * agent answered as "error" (-EREMOTEIO); all with a sentence.
 */
int control_call(const struct paths *paths, json_t *request,
		 unsigned patience_s, json_t **ret_answer, struct error *error);

/**
 * control_listen() - make the run directory if absent, and the socket in it.
 * @ret_fd: non-blocking, listening; written only on success.
 *
 * A socket that a dead agent left behind is replaced.
 *
 * Return: 0, -EADDRINUSE (an agent runs there), or another -errno.
 */
int control_listen(const struct paths *paths, int *ret_fd, struct error *error);

#endif
