/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which process listens on a port that somebody else wants. */
#ifndef SNICTL_HOLDER_H
#define SNICTL_HOLDER_H

#include <sys/types.h>
#include "../bpf/abi.h"

/**
 * struct holder - a listening socket and its process.
 * @endpoint: what it listens on.
 * @pid:      0: no process that we may see has it.
 * @command:  the process's name, "" without one.
 */
struct holder {
	struct abi_endpoint endpoint;
	pid_t pid;
	char command[16];
};

/**
 * holder_find() - look for a TCP listener that is in the way of another.
 * @wanted:     family 0: every address.
 * @last:       the agent's command name: its own listeners, which are never
 *              in its way, count only where there is nobody else.
 * @ret_holder: written only on success.
 *
 * Looks in this process's network namespace, and in all of /proc.
 *
 * Return: 0, -ENOENT (nobody that we can see), or another -errno.
 */
int holder_find(const struct abi_endpoint *wanted, const char *last,
		struct holder *ret_holder);

#endif
