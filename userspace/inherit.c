// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "cleanup.h"
#include "descriptors.h"

enum inherit_kind {
	INHERIT_OTHER,
	INHERIT_LISTENER,
	INHERIT_CONNECTION,
	INHERIT_PIPE_OUT, /* the end to read from */
	INHERIT_PIPE_IN,
	INHERIT_CONTROL, /* that commands connect to */
	INHERIT_CLAIM, /* the one datagram socket of AF_UNIX that has a name */
	INHERIT_KINDS
};

/**
 * struct inherited - a descriptor; fd -1: taken.
 * @number: the socket's cookie or the pipe's inode.
 */
struct inherited {
	uint64_t number;
	int fd;
};

/** struct inherit_list - those of a kind, in the order of their numbers. */
struct inherit_list {
	struct inherited *row;
	size_t count;
	size_t size;
};

static struct inherit_list inherit_lists[INHERIT_KINDS];

/* ---- look ---------------------------------------------------------------- */

/* The others, to the log, are only connected. */
static bool inherit_is_named(int fd)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);

	return descriptors_option(fd, SO_TYPE) == SOCK_DGRAM &&
	       !getsockname(fd, (struct sockaddr *)&address, &size) &&
	       size > sizeof(address.sun_family);
}

static enum inherit_kind inherit_socket(int fd, uint64_t *ret_number)
{
	socklen_t size = sizeof(*ret_number);
	int family = descriptors_option(fd, SO_DOMAIN);

	*ret_number = 0;
	if (family == AF_UNIX && descriptors_option(fd, SO_ACCEPTCONN) == 1)
		return INHERIT_CONTROL;
	if (family == AF_UNIX && inherit_is_named(fd))
		return INHERIT_CLAIM;
	if ((family != AF_INET && family != AF_INET6) ||
	    descriptors_option(fd, SO_TYPE) != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret_number, &size))
		return INHERIT_OTHER;
	return descriptors_option(fd, SO_ACCEPTCONN) == 1 ? INHERIT_LISTENER
							  : INHERIT_CONNECTION;
}

static enum inherit_kind inherit_kind(int fd, uint64_t *ret_number)
{
	struct stat status;

	if (fstat(fd, &status))
		return INHERIT_OTHER;
	if (S_ISSOCK(status.st_mode))
		return inherit_socket(fd, ret_number);
	if (!S_ISFIFO(status.st_mode))
		return INHERIT_OTHER;
	*ret_number = status.st_ino;
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ? INHERIT_PIPE_OUT
							    : INHERIT_PIPE_IN;
}

static bool inherit_keep(struct inherit_list *list, struct inherited one)
{
	if (list->count == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		struct inherited *row =
			reallocarray(list->row, size, sizeof(*row));

		if (!row)
			return false;
		list->row = row;
		list->size = size;
	}
	list->row[list->count++] = one;
	return true;
}

/** struct inherit_kept - those that are not the worker's. */
struct inherit_kept {
	const int *fd;
	unsigned count;
};

static void inherit_look_at(int fd, void *context)
{
	const struct inherit_kept *kept = context;
	struct inherited one = {.fd = fd};
	enum inherit_kind kind;

	for (unsigned i = 0; i < kept->count; i++) {
		if (kept->fd[i] == fd)
			return;
	}
	kind = inherit_kind(fd, &one.number);
	if (kind == INHERIT_OTHER || !inherit_keep(&inherit_lists[kind], one))
		close(fd);
}

static int inherit_compare(const void *a, const void *b)
{
	const struct inherited *one = a, *other = b;

	return (one->number > other->number) - (one->number < other->number);
}

int inherit_open(const int *kept, unsigned kept_count)
{
	struct inherit_kept context = {kept, kept_count};
	int result = descriptors_visit(inherit_look_at, &context);

	if (result)
		return result;
	for (unsigned i = 0; i < INHERIT_KINDS; i++) {
		struct inherit_list *list = &inherit_lists[i];

		if (list->count)
			qsort(list->row, list->count, sizeof(*list->row),
			      inherit_compare);
	}
	return 0;
}

/* ---- take ---------------------------------------------------------------- */

static bool inherit_is_at(int fd, const struct abi_endpoint *endpoint)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	struct abi_endpoint local;

	if (getsockname(fd, (struct sockaddr *)&address, &size))
		return false;
	addr_from_sockaddr(&address, &local);
	return !memcmp(&local, endpoint, sizeof(local));
}

int inherit_listener(const struct abi_endpoint *endpoint)
{
	const struct inherit_list *list = &inherit_lists[INHERIT_LISTENER];

	for (size_t i = 0; i < list->count; i++) {
		if (list->row[i].fd >= 0 &&
		    inherit_is_at(list->row[i].fd, endpoint))
			return take_fd(&list->row[i].fd);
	}
	return -1;
}

static struct inherited *inherit_find(enum inherit_kind kind, uint64_t number)
{
	const struct inherit_list *list = &inherit_lists[kind];
	const struct inherited key = {.number = number};

	return list->count ? bsearch(&key, list->row, list->count,
				     sizeof(*list->row), inherit_compare)
			   : NULL;
}

bool inherit_has(uint64_t cookie)
{
	return inherit_find(INHERIT_CONNECTION, cookie);
}

int inherit_connection(uint64_t cookie)
{
	struct inherited *one = inherit_find(INHERIT_CONNECTION, cookie);

	return one ? take_fd(&one->fd) : -1;
}

int inherit_any(void)
{
	const struct inherit_list *list = &inherit_lists[INHERIT_CONNECTION];

	for (size_t i = 0; i < list->count; i++) {
		if (list->row[i].fd >= 0)
			return take_fd(&list->row[i].fd);
	}
	return -1;
}

int inherit_waiting(void)
{
	const struct inherit_list *list = &inherit_lists[INHERIT_LISTENER];
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < list->count; i++) {
		if (list->row[i].fd < 0)
			continue;
		do {
			fd = accept4(list->row[i].fd, NULL, NULL,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);
		} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	}
	return fd;
}

bool inherit_pipe(uint64_t inode, int ret_fd[2])
{
	struct inherited *out = inherit_find(INHERIT_PIPE_OUT, inode);
	struct inherited *in = inherit_find(INHERIT_PIPE_IN, inode);

	if (!out || !in || out->fd < 0 || in->fd < 0)
		return false;
	ret_fd[0] = take_fd(&out->fd);
	ret_fd[1] = take_fd(&in->fd);
	return true;
}

static int inherit_first(enum inherit_kind kind)
{
	const struct inherit_list *list = &inherit_lists[kind];

	return list->count ? take_fd(&list->row[0].fd) : -1;
}

int inherit_control(void)
{
	return inherit_first(INHERIT_CONTROL);
}

int inherit_claim(void)
{
	return inherit_first(INHERIT_CLAIM);
}

/* The service manager may keep a listening socket open: it ends all the same.
 */
static bool inherit_end(enum inherit_kind kind, int fd)
{
	if (kind == INHERIT_LISTENER)
		shutdown(fd, SHUT_RD);
	close(fd);
	return kind == INHERIT_LISTENER;
}

bool inherit_close(void)
{
	bool listened = false;

	for (unsigned i = 0; i < INHERIT_KINDS; i++) {
		struct inherit_list *list = &inherit_lists[i];

		for (size_t j = 0; j < list->count; j++) {
			if (list->row[j].fd >= 0)
				listened |= inherit_end((enum inherit_kind)i,
							list->row[j].fd);
		}
		free(list->row);
		*list = (struct inherit_list){0};
	}
	return listened;
}
