/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows of a worker that died go on in the next one.
 *
 * Their sockets are in the table of descriptors that the supervisor keeps, and
 * what a record says of them is enough, since the kernel is the cursor:
 *
 * ALL_SENT    Of each direction, what has been sent to the sink (stream_sent())
 *             beyond before_sent, and what has been taken from the source
 *             (stream_taken()) beyond before_taken, are the same bytes. Were
 *             more sent than taken, the worker died between the two, and the
 *             rest is taken now. Were more taken than sent, they are in the
 *             pipe of the record.
 * NOTHING_YET Until a backend has got a byte, the hello is in the client's
 *             socket, but for pieces of it that the heart has kept: such a flow
 *             begins again. For the splice the whole hello is taken before it
 *             is sent; then the heart has it.
 */
#ifndef SNICTL_ADOPT_H
#define SNICTL_ADOPT_H

#include <stdbool.h>
#include "agent.h"

/** adopt_is_left() - whether a socket of that record is there. */
bool adopt_is_left(const struct abi_flow_cold *cold);

/**
 * adopt_flows() - let the threads go on with all flows that are left, and with
 * connections that were accepted and have no record.
 * @agent: it serves.
 */
void adopt_flows(struct agent *agent);

#endif
