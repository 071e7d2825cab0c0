// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "cleanup.h"
#include "inherit.h"

/* unix(7): an abstract name is one of its network namespace, and is free when
 * the socket is closed. */
static const char claim_name[] = "snictl/splice";

static bool is_taken(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

/* Every change replaces the state file: what is locked is a file beside it. */
static int open_lock(const char *state)
{
	AUTO_FREE char *name = NULL;
	AUTO_FREE char *copy = strdup(state);

	if (!copy || asprintf(&name, "%s.lock", state) < 0)
		return -1;
	mkdir(dirname(copy), 0755);
	return open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int claim_take(const struct paths *paths, int pins, int *ret_fd,
	       struct error *error)
{
	AUTO_FD lock = -1;

	if (is_taken(pins))
		return error_set(error, EXIT_FAILED, EADDRINUSE,
				 "another agent works with the maps in %s: "
				 "give this one another --bpffs",
				 paths->bpffs);
	lock = open_lock(paths->state);
	if (lock >= 0 && is_taken(lock))
		return error_set(error, EXIT_FAILED, EADDRINUSE,
				 "another agent works with the state file %s: "
				 "give this one another --state",
				 paths->state);
	*ret_fd = take_fd(&lock);
	return 0;
}

int claim_namespace(int *ret_fd, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_FD claim = inherit_claim();
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 +
			 sizeof(claim_name) - 1;

	if (claim >= 0) {
		*ret_fd = take_fd(&claim);
		return 0;
	}
	claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path + 1, claim_name, sizeof(claim_name) - 1);
	if (claim < 0 || bind(claim, (struct sockaddr *)&address, size))
		return error_set(
			error, EXIT_FAILED, errno, "%s",
			errno == EADDRINUSE
				? "another snictld splices in this network "
				  "namespace (it has the socket "
				  "@snictl/splice)"
				: strerror(errno));
	*ret_fd = take_fd(&claim);
	return 0;
}
