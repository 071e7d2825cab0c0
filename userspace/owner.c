// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "owner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void owner_give(int folder, const char *name)
{
	struct stat owner;

	if (!fstat(folder, &owner) &&
	    fchownat(folder, name, owner.st_uid, owner.st_gid,
		     AT_SYMLINK_NOFOLLOW))
		return;
}
