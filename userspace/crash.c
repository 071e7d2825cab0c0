// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "crash.h"

#ifdef CRASH_POINTS
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void crash_point(const char *name)
{
	const char *folder = getenv("SNICTL_CRASH");
	char path[PATH_MAX];

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/%s.always", folder, name);
	if (!access(path, F_OK))
		raise(SIGSEGV);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (!unlink(path))
		raise(SIGKILL);
}
#endif
