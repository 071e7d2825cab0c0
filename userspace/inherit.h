/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The descriptors that a dead worker left in the table of the supervisor,
 * which the next worker shares. */
#ifndef SNICTL_INHERIT_H
#define SNICTL_INHERIT_H

#include <stdbool.h>
#include "addr.h"

/**
 * inherit_open() - find sockets and pipes that the last worker had; close all
 * else but the standard streams and those that are @kept.
 *
 * To be called before anything is opened.
 *
 * Return: 0, or -errno: nothing is known of what there is.
 */
int inherit_open(const int *kept, unsigned kept_count);

/** inherit_listener() - a socket that listens there; -1: none, or no more. */
int inherit_listener(const struct abi_endpoint *endpoint);

/** inherit_has() - whether a connection with that SO_COOKIE is there. */
bool inherit_has(uint64_t cookie);

/**
 * inherit_connection() - take one, the caller's to close.
 * @cookie: no other is ever asked for by another thread.
 *
 * Return: -1: there is none, or it has been taken.
 */
int inherit_connection(uint64_t cookie);

/** inherit_any() - a connection that nobody has taken; -1: none. */
int inherit_any(void);

/**
 * inherit_waiting() - accept what waits at a listening socket that nobody has
 * taken: a worker with fewer threads has fewer of them. -1: nothing.
 */
int inherit_waiting(void);

/**
 * inherit_pipe() - take both ends of a pipe.
 * @inode: as fstat() gives it.
 *
 * Return: false where it is not there.
 */
bool inherit_pipe(uint64_t inode, int ret_fd[2]);

/** inherit_control() - the control socket, listening; -1: none. */
int inherit_control(void);

/** inherit_claim() - what claim_namespace() had given; -1: none. */
int inherit_claim(void);

/**
 * inherit_close() - close what nobody took.
 * Return: whether there were listening sockets.
 */
bool inherit_close(void);

#endif
