// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "paths.h"

#include <stdlib.h>

static const char *from_environment(const char *name, const char *fallback)
{
	/* A program that was given rights does not let its caller say where
	 * to use them. */
	const char *value = secure_getenv(name);

	return value && *value ? value : fallback;
}

void paths_init(struct paths *paths)
{
	paths->bpffs = from_environment("SNICTL_BPFFS", PATHS_BPFFS);
	paths->run_dir = from_environment("SNICTL_RUN_DIR", PATHS_RUN_DIR);
	paths->state = from_environment("SNICTL_STATE", PATHS_STATE);
}
