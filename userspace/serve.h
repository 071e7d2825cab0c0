/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's end of the control socket: control.h says what is spoken. */
#ifndef SNICTL_SERVE_H
#define SNICTL_SERVE_H

#include "agent.h"

/**
 * serve_request() - accept one connection, answer its one request.
 * @listening: the control socket, readable.
 */
void serve_request(struct agent *agent, int listening);

/**
 * serve_bans() - end the flows of who is banned: by request, and of flows that
 * were there before this agent.
 * Return: how many there were.
 */
unsigned serve_bans(struct agent *agent);

#endif
