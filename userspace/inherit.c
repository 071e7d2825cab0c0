// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "inherit.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cleanup.h"
#include "number.h"

/** struct inherited - a listening socket; fd -1: taken. */
struct inherited {
	struct inherited *next;
	struct abi_endpoint endpoint;
	int fd;
};

static struct inherited *inherit_list;

static bool inherit_listens(int fd, struct abi_endpoint *ret_endpoint)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(int);
	int listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ||
	    !listens)
		return false;
	size = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &size) ||
	    (address.ss_family != AF_INET && address.ss_family != AF_INET6))
		return false;
	addr_from_sockaddr(&address, ret_endpoint);
	return true;
}

static void inherit_look_at(int fd)
{
	struct inherited *one = calloc(1, sizeof(*one));

	if (!one || !inherit_listens(fd, &one->endpoint)) {
		free(one);
		close(fd);
		return;
	}
	one->fd = fd;
	one->next = inherit_list;
	inherit_list = one;
}

static inline void inherit_close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

int inherit_open(void)
{
	__attribute__((cleanup(inherit_close_folder))) DIR *folder =
		opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t fd;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		if (!number_parse(entry->d_name, STDERR_FILENO + 1, INT32_MAX,
				  &fd) &&
		    (int)fd != dirfd(folder))
			inherit_look_at((int)fd);
	}
	return 0;
}

int inherit_take(const struct abi_endpoint *endpoint)
{
	struct inherited *one = inherit_list;

	while (one && (one->fd < 0 || memcmp(&one->endpoint, endpoint,
					     sizeof(*endpoint)) != 0))
		one = one->next;
	return one ? take_fd(&one->fd) : -1;
}

void inherit_close(void)
{
	while (inherit_list) {
		AUTO_FREE struct inherited *one = inherit_list;

		inherit_list = one->next;
		if (one->fd >= 0)
			close(one->fd);
	}
}
