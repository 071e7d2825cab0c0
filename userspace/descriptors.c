// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "number.h"

int descriptors_visit(void (*visit)(int fd, void *context), void *context)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t fd;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		if (!number_parse(entry->d_name, STDERR_FILENO + 1, INT32_MAX,
				  &fd) &&
		    (int)fd != dirfd(folder))
			visit((int)fd, context);
	}
	closedir(folder);
	return 0;
}

int descriptors_option(int fd, int option)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) ? -1 : value;
}

void descriptors_close_on_exec(void)
{
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void descriptors_keep(int fd, void *context)
{
	(void)context;
	fcntl(fd, F_SETFD, 0);
}

int descriptors_keep_on_exec(void)
{
	return descriptors_visit(descriptors_keep, NULL);
}
