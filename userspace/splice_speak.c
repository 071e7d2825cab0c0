// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is said to a side whose connection has no socket any more: that comes
 * back for a moment, by TCP_REPAIR, and the stack sends what it sends at an
 * abort, or to ask whether the side is still there, or what it has to send. */
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

/* As large as what is kept, and as timestamps make it. */
#define SPEAK_MSS (ABI_TAIL_MAX + TCPOLEN_TSTAMP_APPA)

/* The numbers of a connection that is not made but said to be there. */
static int place(int fd, __u32 seq, __u32 ack)
{
	return set(fd, TCP_REPAIR, TCP_REPAIR_ON) ||
	       set(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) ||
	       set(fd, TCP_QUEUE_SEQ, (int)seq) ||
	       set(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) ||
	       set(fd, TCP_QUEUE_SEQ, (int)ack) ||
	       set(fd, TCP_MAXSEG, SPEAK_MSS) || set(fd, TCP_NODELAY, 1);
}

static int set_option(int fd, __u32 kind, __u32 value)
{
	const struct tcp_repair_opt option = {kind, value};

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, &option,
			  sizeof(option));
}

static int set_timestamps(int fd, const struct abi_splice *slot,
			  const struct abi_splice_way *way)
{
	/* From Linux 6.7 on an odd one would go on in microseconds. */
	__u32 even = (way->clock + 1) & ~1U;

	if (!(slot->answered & ABI_SPLICE_TIMESTAMPS))
		return 0;
	return set_option(fd, TCPOPT_TIMESTAMP, 0) ||
	       set(fd, TCP_TIMESTAMP, (int)even);
}

/*
 * A socket that talks to the side that packets of this way go to.
 * @seq: of what it says, in the numbers of the one it speaks for.
 * @ack: what the side is told to have been received of it.
 * Return: a descriptor, under TCP_REPAIR: its close is silent; or -1.
 */
static int open_way(const struct abi_splice *slot, enum abi_direction from,
		    __u32 seq, __u32 ack)
{
	const struct abi_splice_way *way = &slot->way[from];
	struct abi_endpoint ours =
		endpoint(slot, way->source, way->source_port_be);
	struct abi_endpoint theirs =
		endpoint(slot, way->destination, way->destination_port_be);
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(&ours, &address);
	AUTO_FD fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || place(fd, seq + way->seq, ack) ||
	    bind(fd, (struct sockaddr *)&address, size))
		return -1;
	size = addr_to_sockaddr(&theirs, &address);
	if (connect(fd, (struct sockaddr *)&address, size))
		return -1;
	return take_fd(&fd);
}

/* What has been said there has begun a connection in the firewall's eyes. */
static void forget_way(const struct splice *splice,
		       const struct abi_splice *slot, enum abi_direction from)
{
	const struct abi_splice_way *way = &slot->way[from];
	struct abi_endpoint ours =
		endpoint(slot, way->source, way->source_port_be);
	struct abi_endpoint theirs =
		endpoint(slot, way->destination, way->destination_port_be);

	conntrack_forget(&splice->conntrack, &ours, &theirs);
}

static void reset_way(const struct abi_splice *slot, enum abi_direction from)
{
	const struct linger linger = {.l_onoff = 1};
	AUTO_FD fd = open_way(slot, from, slot->way[from].next,
			      slot->way[!from].next);

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
	AUTO_FD fd = open_way(slot, !side, way->next, slot->way[side].acked);

	if (fd < 0 || set_timestamps(fd, slot, way))
		return;
	/* At the end of TCP_REPAIR the stack sends what asks for a window. */
	set(fd, TCP_REPAIR, TCP_REPAIR_OFF);
	set(fd, TCP_REPAIR, TCP_REPAIR_ON);
	forget_way(splice, slot, !side);
}

/* So that the side is told to have just this room: the stack does not take back
 * what has been promised, and has none to promise more. */
static int set_window(int fd, struct abi_splice_shift shift,
		      const struct tcphdr *tcp, __u32 ack)
{
	const struct tcp_repair_window is = {
		.snd_wl1 = ack,
		.snd_wnd = UINT16_MAX,
		.max_window = UINT16_MAX,
		.rcv_wnd = (__u32)be16toh(tcp->window) << shift.left,
		.rcv_wup = ack,
	};
	int least = 0;

	return set_option(fd, TCPOPT_WINDOW, (__u32)shift.right << 16) ||
	       setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) ||
	       setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &is, sizeof(is));
}

/* RFC 1071; not yet folded. */
static uint32_t sum(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint32_t total = 0;

	for (size_t i = 0; i < size; i++)
		total += i % 2 ? byte[i] : (uint32_t)byte[i] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	total = (total & 0xffff) + (total >> 16);
	return (uint16_t)((total & 0xffff) + (total >> 16));
}

/* The stack would find any sum right, for it makes a new one. What was merged
 * has been looked at; what a virtual interface has not summed up yet has only
 * the sum of the addresses. */
static bool is_as_sent(const struct abi_splice *slot,
		       const struct abi_tail *tail, const struct tcphdr *tcp)
{
	const struct abi_splice_way *back = &slot->way[ABI_FROM_CLIENT];
	size_t header = tcp->doff * 4U;
	uint32_t total = sum(back->source, sizeof(back->source)) +
			 sum(back->destination, sizeof(back->destination)) +
			 IPPROTO_TCP + (uint32_t)header + tail->size;

	return tail->before || be16toh(tcp->check) == fold(total) ||
	       fold(total + sum(tail->header, header) +
		    sum(tail->payload, tail->size)) == 0xffff;
}

void splice_send_tail(const struct splice *splice, const struct abi_tail *tail)
{
	const struct abi_splice *slot = &splice->slots[tail->splice];
	const struct abi_splice_way *way = &slot->way[ABI_FROM_BACKEND];
	struct tcphdr tcp;
	AUTO_FD fd = -1;
	__u32 ack;

	memcpy(&tcp, tail->header, sizeof(tcp));
	ack = be32toh(tcp.ack_seq) - slot->way[ABI_FROM_CLIENT].seq;
	if (!is_as_sent(slot, tail, &tcp))
		return;
	fd = open_way(slot, ABI_FROM_BACKEND, be32toh(tcp.seq) + tail->before,
		      ack);
	if (fd < 0 || set_timestamps(fd, slot, way) ||
	    set_window(fd, slot->shift[ABI_FROM_BACKEND], &tcp, ack))
		return;
	set(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	send(fd, tail->payload, tail->size, MSG_DONTWAIT | MSG_NOSIGNAL);
	set(fd, TCP_REPAIR, TCP_REPAIR_ON);
	forget_way(splice, slot, ABI_FROM_BACKEND);
}
