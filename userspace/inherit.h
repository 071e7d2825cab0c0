/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The descriptors that a dead worker left in the table of the supervisor,
 * which the next worker shares. */
#ifndef SNICTL_INHERIT_H
#define SNICTL_INHERIT_H

#include "addr.h"

/**
 * inherit_open() - find the listening sockets, close all else but the standard
 * streams.
 *
 * To be called before anything is opened.
 *
 * Return: 0, or -errno: nothing is known of what there is.
 */
int inherit_open(void);

/** inherit_take() - a socket that listens there; -1: none, or no more. */
int inherit_take(const struct abi_endpoint *endpoint);

/** inherit_close() - close those that nobody took. */
void inherit_close(void);

#endif
