// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A RST of a connection whose socket is gone: the socket comes back for a
 * moment, by TCP_REPAIR, and the stack sends what it sends at an abort. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include "addr.h"
#include "cleanup.h"
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

/* To the side that packets of this way go to. */
static void reset_way(const struct abi_splice *slot, enum abi_direction from)
{
	const struct abi_splice_way *way = &slot->way[from];
	const struct abi_splice_way *back = &slot->way[!from];
	const struct linger linger = {.l_onoff = 1};
	struct abi_endpoint ours =
		endpoint(slot, way->source, way->source_port_be);
	struct abi_endpoint theirs =
		endpoint(slot, way->destination, way->destination_port_be);
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(&ours, &address);
	AUTO_FD fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || place(fd, way->next + way->seq, back->next) ||
	    bind(fd, (struct sockaddr *)&address, size))
		return;
	size = addr_to_sockaddr(&theirs, &address);
	if (connect(fd, (struct sockaddr *)&address, size))
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	set(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
}

void splice_reset(const struct splice *splice, uint32_t index)
{
	reset_way(&splice->slots[index], ABI_FROM_BACKEND);
	reset_way(&splice->slots[index], ABI_FROM_CLIENT);
}
