/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The splice's programs, loaded: to be verified takes them a third of a second,
 * in which nobody is served. So they are pinned, by a hash of what they were
 * loaded from, and the next worker has them from there. */
#ifndef SNICTL_SPLICE_PROGRAM_H
#define SNICTL_SPLICE_PROGRAM_H

#include <stdint.h>
#include "store.h"

enum splice_program {
	SPLICE_PROGRAM_IN,
	SPLICE_PROGRAM_OUT,
	SPLICE_PROGRAMS
};

/**
 * splice_program_get() - what an earlier worker has loaded.
 * @ret_fds: the caller's; written only on success.
 * Return: 0; -ENOENT: not these; or -errno.
 */
int splice_program_get(const struct store *store, uint64_t hash,
		       int ret_fds[SPLICE_PROGRAMS]);

/** splice_program_keep() - for the next one, instead of all earlier ones. */
int splice_program_keep(const struct store *store, uint64_t hash,
			const int fds[SPLICE_PROGRAMS]);

#endif
