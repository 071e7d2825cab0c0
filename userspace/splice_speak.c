// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is said to a side whose connection has no socket any more: that comes
 * back for a moment, by TCP_REPAIR, and the stack sends what it sends at an
 * abort, or to ask whether the side is still there. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include "addr.h"
#include "cleanup.h"
#include "conntrack.h"
#include "splice.h"

static struct abi_endpoint endpoint(const struct abi_splice *slot,
				    const __u8 *address, __be16 port_be)
{
	struct abi_endpoint at = {.port_be = port_be, .family = slot->family};

	memcpy(at.addr, address, sizeof(at.addr));
	return at;
}

static int set(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

/* The numbers of a connection that is not made but said to be there. */
static int place(int fd, __u32 seq, __u32 ack)
{
	return set(fd, TCP_REPAIR, TCP_REPAIR_ON) ||
	       set(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) ||
	       set(fd, TCP_QUEUE_SEQ, (int)seq) ||
	       set(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) ||
	       set(fd, TCP_QUEUE_SEQ, (int)ack);
}

static int set_timestamps(int fd, __u32 clock)
{
	const struct tcp_repair_opt option = {TCPOPT_TIMESTAMP, 0};

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, &option,
			  sizeof(option)) ||
	       set(fd, TCP_TIMESTAMP, (int)clock);
}

/*
 * A socket that talks to the side that packets of this way go to.
 * @ack: what that is told to have been received of it.
 * Return: a descriptor, under TCP_REPAIR: its close is silent; or -1.
 */
static int open_way(const struct abi_splice *slot, enum abi_direction from,
		    __u32 ack)
{
	const struct abi_splice_way *way = &slot->way[from];
	struct abi_endpoint ours =
		endpoint(slot, way->source, way->source_port_be);
	struct abi_endpoint theirs =
		endpoint(slot, way->destination, way->destination_port_be);
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(&ours, &address);
	AUTO_FD fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || place(fd, way->next + way->seq, ack) ||
	    bind(fd, (struct sockaddr *)&address, size))
		return -1;
	size = addr_to_sockaddr(&theirs, &address);
	if (connect(fd, (struct sockaddr *)&address, size))
		return -1;
	return take_fd(&fd);
}

static void reset_way(const struct abi_splice *slot, enum abi_direction from)
{
	const struct linger linger = {.l_onoff = 1};
	AUTO_FD fd = open_way(slot, from, slot->way[!from].next);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	set(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

void splice_reset(const struct splice *splice, uint32_t index)
{
	reset_way(&splice->slots[index], ABI_FROM_BACKEND);
	reset_way(&splice->slots[index], ABI_FROM_CLIENT);
}

/*
 * Nothing may be acknowledged here that the other side has not: so not what has
 * passed, but what that has acknowledged. The timestamp is the last one again:
 * Linux 6.18 does not answer an older one, and RFC 7323 section 3.2 has none at
 * all dropped.
 */
void splice_ask(const struct splice *splice, uint32_t index,
		enum abi_direction side)
{
	const struct abi_splice *slot = &splice->slots[index];
	const struct abi_splice_way *way = &slot->way[!side];
	struct abi_endpoint ours =
		endpoint(slot, way->source, way->source_port_be);
	struct abi_endpoint theirs =
		endpoint(slot, way->destination, way->destination_port_be);
	AUTO_FD fd = open_way(slot, !side, slot->way[side].acked);

	if (fd < 0 || (slot->answered & ABI_SPLICE_TIMESTAMPS &&
		       set_timestamps(fd, way->clock)))
		return;
	/* At the end of TCP_REPAIR the stack sends what asks for a window. */
	set(fd, TCP_REPAIR, TCP_REPAIR_OFF);
	set(fd, TCP_REPAIR, TCP_REPAIR_ON);
	conntrack_forget(&splice->conntrack, &ours, &theirs);
}
