/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ownership by scope: a local that owns something says so and is released. */
#ifndef SNICTL_CLEANUP_H
#define SNICTL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

/** AUTO_FD - a descriptor closed at the end of its scope; -1: none. */
#define AUTO_FD __attribute__((cleanup(cleanup_fd))) int
/** AUTO_FREE - on a pointer: freed at the end of its scope. */
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
/** AUTO_FILE - a stdio stream closed at the end of its scope. */
#define AUTO_FILE __attribute__((cleanup(cleanup_file))) FILE *

/** take_fd() - move a descriptor out of its owner, which keeps none. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/** take_pointer() - move a pointer out of its owner, which keeps none. */
#define take_pointer(owner)                                                    \
	({                                                                     \
		__typeof__(owner) taken_pointer = (owner);                     \
		(owner) = NULL;                                                \
		taken_pointer;                                                 \
	})

#endif
