/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One agent for a state file, one for a folder of maps, and one that splices in
 * a network namespace. */
#ifndef SNICTL_CLAIM_H
#define SNICTL_CLAIM_H

#include "error.h"
#include "paths.h"

/**
 * claim_take() - be the agent of this state file and of these maps.
 * @pins:   the folder of the pinned maps; borrowed, and locked until all its
 *          descriptors are closed.
 * @ret_fd: of STATE.lock, to be kept open; -1 where there can be none, on a
 *          file system that is read-only. Written only on success.
 *
 * What writes both for a moment, as snictl does, needs no claim.
 *
 * Return: 0; -EADDRINUSE (another agent has one of them) with a sentence.
 */
int claim_take(const struct paths *paths, int pins, int *ret_fd,
	       struct error *error);

/**
 * claim_namespace() - be the one that splices in this network namespace: a port
 * without a socket is known to its own maps only, and another agent would give
 * it to a connection of its own.
 * @ret_fd: to be kept open; the last worker's, if there is one. Written only
 *          on success.
 *
 * Return: 0; -EADDRINUSE (another one is) with a sentence; another -errno.
 */
int claim_namespace(int *ret_fd, struct error *error);

#endif
