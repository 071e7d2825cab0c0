// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "keep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "cleanup.h"
#include "descriptors.h"
#include "log.h"
#include "notify.h"

/* What one message of a Unix socket carries at most (SCM_MAX_FD). */
#define KEEP_MESSAGE_FDS 253
#define KEEP_CONNECTIONS "connections"

static bool keep_is_inet(int fd)
{
	int family = descriptors_option(fd, SO_DOMAIN);

	return family == AF_INET || family == AF_INET6;
}

static bool keep_is_listener(int fd)
{
	return descriptors_option(fd, SO_ACCEPTCONN) == 1 && keep_is_inet(fd);
}

/* ---- listeners ----------------------------------------------------------- */

static bool keep_has(const struct keep *keep, uint64_t cookie)
{
	size_t i = 0;

	while (i < keep->count && keep->cookie[i] != cookie)
		i++;
	return i < keep->count;
}

static void keep_tell(const char *what, uint64_t cookie, int fd)
{
	char text[96];

	snprintf(text, sizeof(text),
		 "%s=1\nFDNAME=listener-%" PRIu64 "\nFDPOLL=0", what, cookie);
	notify_send_fd(text, fd);
}

/** struct keep_look - those before, or NULL: none is new; and those of now. */
struct keep_look {
	const struct keep *before;
	struct keep now;
};

static void keep_look_at(int fd, void *context)
{
	struct keep_look *look = context;
	uint64_t cookie, *more;
	socklen_t size = sizeof(cookie);

	if (!keep_is_listener(fd) ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size))
		return;
	more = reallocarray(look->now.cookie, look->now.count + 1,
			    sizeof(*more));
	if (!more)
		return;
	look->now.cookie = more;
	look->now.cookie[look->now.count++] = cookie;
	if (look->before && !keep_has(look->before, cookie))
		keep_tell("FDSTORE", cookie, fd);
}

void keep_listeners(struct keep *keep)
{
	struct keep_look look = {.before = keep};

	if (!notify_is_on() || descriptors_visit(keep_look_at, &look))
		return;
	for (size_t i = 0; i < keep->count; i++) {
		if (!keep_has(&look.now, keep->cookie[i]))
			keep_tell("FDSTOREREMOVE", keep->cookie[i], -1);
	}
	free(keep->cookie);
	*keep = look.now;
}

/* ---- connections --------------------------------------------------------- */

/** struct keep_parcel - descriptors that go into one message. */
struct keep_parcel {
	int socket;
	size_t count;
	int fd[KEEP_MESSAGE_FDS];
};

union keep_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(KEEP_MESSAGE_FDS * sizeof(int))];
};

static void keep_send(struct keep_parcel *parcel)
{
	size_t size = parcel->count * sizeof(int);
	union keep_control control = {.header = {.cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(size)}};
	char nothing = 0;
	struct iovec data = {&nothing, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(size)};

	if (!parcel->count)
		return;
	memcpy(CMSG_DATA(&control.header), parcel->fd, size);
	if (sendmsg(parcel->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_say(LOG_LEVEL_ERROR,
			"%zu descriptors cannot be handed over: %s",
			parcel->count, strerror(errno));
	parcel->count = 0;
}

static void keep_pack(int fd, void *context)
{
	struct keep_parcel *parcel = context;
	struct stat status;

	if (fstat(fd, &status) ||
	    !(S_ISFIFO(status.st_mode) || fcntl(fd, F_GET_SEALS) > 0 ||
	      (S_ISSOCK(status.st_mode) && keep_is_inet(fd) &&
	       !keep_is_listener(fd))))
		return;
	parcel->fd[parcel->count++] = fd;
	if (parcel->count == KEEP_MESSAGE_FDS)
		keep_send(parcel);
}

void keep_connections(void)
{
	struct keep_parcel parcel = {0};
	int pair[2];

	if (!notify_is_on() ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return;
	parcel.socket = pair[0];
	descriptors_visit(keep_pack, &parcel);
	keep_send(&parcel);
	notify_send_fd("FDSTORE=1\nFDNAME=" KEEP_CONNECTIONS "\nFDPOLL=0",
		       pair[1]);
}

/* What it received stays open: that is all. */
static bool keep_receive(int socket)
{
	union keep_control control;
	char nothing;
	struct iovec data = {&nothing, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	return recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0;
}

static void keep_unpack(int fd, void *context)
{
	(void)context;
	if (descriptors_option(fd, SO_DOMAIN) != AF_UNIX ||
	    descriptors_option(fd, SO_TYPE) != SOCK_SEQPACKET ||
	    descriptors_option(fd, SO_ACCEPTCONN) == 1)
		return;
	while (keep_receive(fd))
		continue;
}

/* ---- open ---------------------------------------------------------------- */

void keep_open(struct keep *keep)
{
	struct keep_look look = {0};

	*keep = (struct keep){0};
	if (!notify_is_on())
		return;
	descriptors_visit(keep_unpack, NULL);
	notify_send("FDSTOREREMOVE=1\nFDNAME=" KEEP_CONNECTIONS);
	descriptors_visit(keep_look_at, &look);
	*keep = look.now;
}
