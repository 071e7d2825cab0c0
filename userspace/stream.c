// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "stream.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
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

/* SIOCINQ gives the wrong queue's length since 6.18.14. */
static int stream_queued(int fd, size_t *ret_queued)
{
	ssize_t queued =
		recv(fd, NULL, INT_MAX, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (queued < 0 && errno != EAGAIN)
		return -errno;
	*ret_queued = queued < 0 ? 0 : (size_t)queued;
	return 0;
}

int stream_taken(int fd, uint64_t *ret_taken, enum stream_state *ret_state)
{
	struct tcp_info before, after;
	int result = stream_info(fd, &after);
	size_t queued = 0;

	do {
		before = after;
		if (!result)
			result = stream_queued(fd, &queued);
		if (!result)
			result = stream_info(fd, &after);
	} while (!result &&
		 (after.tcpi_bytes_received != before.tcpi_bytes_received ||
		  after.tcpi_state != before.tcpi_state));
	if (result)
		return result;
	*ret_state = (enum stream_state)after.tcpi_state;
	*ret_taken = after.tcpi_bytes_received - queued -
		     stream_has_ended(*ret_state);
	return 0;
}
