// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int stream_info(int fd, struct tcp_info *ret_info)
{
	socklen_t size = sizeof(*ret_info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &size) ? -errno
								      : 0;
}

int stream_lock(int fd)
{
	struct tcp_info info;

	return stream_info(fd, &info);
}

/* Two equal readings of what is acknowledged, and of the state, enclose the
 * queue's. */
int stream_sent(int fd, uint64_t *ret_sent, enum stream_state *ret_state)
{
	struct tcp_info before, after;
	int queued = 0, result = stream_info(fd, &after);

	do {
		before = after;
		if (!result && ioctl(fd, SIOCOUTQ, &queued))
			result = -errno;
		if (!result)
			result = stream_info(fd, &after);
	} while (!result &&
		 (after.tcpi_bytes_acked != before.tcpi_bytes_acked ||
		  after.tcpi_state != before.tcpi_state));
	if (result)
		return result;
	*ret_state = (enum stream_state)after.tcpi_state;
	*ret_sent = after.tcpi_bytes_acked + (unsigned)queued -
		    stream_is_shut(*ret_state);
	return 0;
}

/* What has been received and not been taken, a FIN too. Not by SIOCINQ, which
 * gives another queue's length behind a sockmap since 6.18.14; nor by a look at
 * all of it, which costs the square of the segments that are queued. */
static int stream_unread(int fd, uint32_t *ret_unread)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space;
	char byte;
	struct iovec one = {&byte, 1};
	struct msghdr message = {.msg_iov = &one,
				 .msg_iovlen = 1,
				 .msg_control = &space,
				 .msg_controllen = sizeof(space)};
	int on = 1;

	*ret_unread = 0;
	if (setsockopt(fd, IPPROTO_TCP, TCP_INQ, &on, sizeof(on)))
		return -errno;
	if (recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!CMSG_FIRSTHDR(&message) || space.header.cmsg_type != TCP_CM_INQ)
		return -EPROTO;
	memcpy(ret_unread, CMSG_DATA(&space.header), sizeof(*ret_unread));
	return 0;
}

int stream_taken(int fd, uint64_t *ret_taken, enum stream_state *ret_state)
{
	struct tcp_info before, after;
	int result = stream_info(fd, &after);
	uint32_t unread = 0;

	do {
		before = after;
		if (!result)
			result = stream_unread(fd, &unread);
		if (!result)
			result = stream_info(fd, &after);
	} while (!result &&
		 (after.tcpi_bytes_received != before.tcpi_bytes_received ||
		  after.tcpi_state != before.tcpi_state));
	if (result)
		return result;
	*ret_state = (enum stream_state)after.tcpi_state;
	*ret_taken = after.tcpi_bytes_received - unread;
	return 0;
}
