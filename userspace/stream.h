/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How far the two streams of a connection have got, as its socket counts. The
 * kernel is the only one to know for sure: what a process has counted dies
 * with it. */
#ifndef SNICTL_STREAM_H
#define SNICTL_STREAM_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 9293 section 3.3.2, numbered as in include/net/tcp_states.h; not among
 * what the kernel exports. */
enum stream_state {
	STREAM_ESTABLISHED = 1,
	STREAM_SYN_SENT,
	STREAM_SYN_RECEIVED,
	STREAM_FIN_WAIT_1,
	STREAM_FIN_WAIT_2,
	STREAM_TIME_WAIT,
	STREAM_CLOSED,
	STREAM_CLOSE_WAIT,
	STREAM_LAST_ACK,
	STREAM_LISTEN,
	STREAM_CLOSING
};

/** stream_is_shut() - our FIN is on its way; unknown where it is CLOSED. */
static inline bool stream_is_shut(enum stream_state state)
{
	return state == STREAM_FIN_WAIT_1 || state == STREAM_FIN_WAIT_2 ||
	       state == STREAM_CLOSING || state == STREAM_LAST_ACK ||
	       state == STREAM_TIME_WAIT;
}

/**
 * stream_sent() - bytes that TCP has ever taken to send.
 * @ret_sent: one more (the SYN) where we connected; and one more (the FIN)
 *            where it is CLOSED after both ended.
 *
 * Return: 0 or -errno.
 */
int stream_sent(int fd, uint64_t *ret_sent, enum stream_state *ret_state);

/**
 * stream_taken() - bytes that have ever left TCP's own receive queue.
 *
 * Asks for TCP_INQ from here on: who reads without recvmsg(2) sees nothing of
 * it. Not where bytes are to be read that a sockmap has passed.
 *
 * Return: 0 or -errno.
 */
int stream_taken(int fd, uint64_t *ret_taken, enum stream_state *ret_state);

/**
 * stream_lock() - take and leave the socket's lock, so that nothing is under
 * way any more on what arrives there that began before.
 *
 * Return: 0 or -errno.
 */
int stream_lock(int fd);

#endif
