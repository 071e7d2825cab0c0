/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two connections become one, or stay as they are: see splice.bpf.c. */
#ifndef SNICTL_SPLICE_FLIP_H
#define SNICTL_SPLICE_FLIP_H

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_kernel.h"
#include "splice_maps.h"
#include "splice_news.h"
#include "splice_packet.h"

#define IFF_LOOPBACK 8
/* linux/if_arp.h, which brings in the C library. */
#define ARPHRD_ETHER 1
/* Until a side says more: what this host has let it send. */
#define WINDOW_UNSCALED 65536
/* A round trip that is no longer than ABI_SPLICE_NEAR_US, or than so many times
 * the other side's, does not change what that one has measured. */
#define PATH_TIMES 4
/* tcp_sock.srtt_us counts eighths. */
#define SRTT_UNIT 8

/* A socket by the tuple of what it receives. */
static __always_inline void *find_socket(struct __sk_buff *skb,
					 const struct abi_splice *splice,
					 enum abi_direction side)
{
	/* What goes to this side has its tuple, turned round. */
	const struct abi_splice_way *way = &splice->way[!side];
	struct bpf_sock_tuple tuple = {};
	__u32 size;

	if (splice->family == AF_INET) {
		__builtin_memcpy(&tuple.ipv4.saddr, way->destination, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, way->source, 4);
		tuple.ipv4.sport = way->destination_port_be;
		tuple.ipv4.dport = way->source_port_be;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, way->destination, 16);
		__builtin_memcpy(tuple.ipv6.daddr, way->source, 16);
		tuple.ipv6.sport = way->destination_port_be;
		tuple.ipv6.dport = way->source_port_be;
		size = sizeof(tuple.ipv6);
	}
	return bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/* What can be sent to a socket's peer by its interface; 0: nothing, the route
 * is none for packets that go out by themselves. */
static __always_inline __u32 route_of(struct tcp_sock *tcp, __u32 *ret_mtu)
{
	struct dst_entry *dst = ((struct sock *)tcp)->sk_dst_cache;
	struct net_device *device;

	if (!dst || BPF_CORE_READ(dst, lwtstate))
		return 0;
	if (bpf_core_field_exists(dst->xfrm) && BPF_CORE_READ(dst, xfrm))
		return 0;
	device = BPF_CORE_READ(dst, dev);
	if (!device || BPF_CORE_READ(device, flags) & IFF_LOOPBACK ||
	    BPF_CORE_READ(device, type) != ARPHRD_ETHER)
		return 0;
	*ret_mtu = BPF_CORE_READ(device, mtu);
	return (__u32)BPF_CORE_READ(device, ifindex);
}

static __always_inline bool is_microseconds(struct tcp_sock *tcp)
{
	return bpf_core_field_exists(tcp->tcp_usec_ts) &&
	       BPF_CORE_READ_BITFIELD(tcp, tcp_usec_ts);
}

static __always_inline enum abi_why judge_options(struct abi_splice *splice,
						  struct tcp_sock *client,
						  struct tcp_sock *backend)
{
	bool sack[2] = {BPF_CORE_READ_BITFIELD(client, rx_opt.sack_ok) & 1,
			BPF_CORE_READ_BITFIELD(backend, rx_opt.sack_ok) & 1};

	if (BPF_CORE_READ_BITFIELD(client, rx_opt.tstamp_ok) !=
		    BPF_CORE_READ_BITFIELD(backend, rx_opt.tstamp_ok) ||
	    sack[0] != sack[1] || is_microseconds(client) ||
	    is_microseconds(backend))
		return ABI_WHY_OPTIONS;
	if (!(client->ecn_flags & TCP_ECN_OK) !=
	    !(splice->answered & ABI_SPLICE_ECN))
		return ABI_WHY_ECN;
	return ABI_WHY_NONE;
}

/* What the client may send us must not be too large for the backend; the
 * reverse was seen to by our own SYN's maximum segment size. */
static __always_inline enum abi_why judge_routes(struct abi_splice *splice,
						 struct tcp_sock *client,
						 struct tcp_sock *backend)
{
	__u32 headers = sizeof(struct tcphdr) +
			(splice->family == AF_INET ? sizeof(struct iphdr)
						   : sizeof(struct ipv6hdr));
	__u32 mtu[2] = {0, 0};

	splice->way[ABI_FROM_BACKEND].interface = route_of(client, &mtu[0]);
	splice->way[ABI_FROM_CLIENT].interface = route_of(backend, &mtu[1]);
	if (!splice->way[0].interface || !splice->way[1].interface)
		return ABI_WHY_ROUTE;
	if (client->advmss > splice->mss || client->advmss + headers > mtu[1])
		return ABI_WHY_MTU;
	return ABI_WHY_NONE;
}

static __always_inline enum abi_why judge_bytes(struct abi_splice *splice,
						struct tcp_sock *client,
						struct tcp_sock *backend,
						__u32 ack)
{
	/* What the agent has read; it reads no more before the verdict. */
	__u32 read[2] = {client->copied_seq, backend->copied_seq};

	if (((struct sock *)client)->__sk_common.skc_state != TCP_ESTABLISHED ||
	    ((struct sock *)backend)->__sk_common.skc_state != TCP_ESTABLISHED)
		return ABI_WHY_STATE;
	/* One read each: see NOTHING ACKED AND MISSING. Out of order is what
	 * may be acknowledged selectively. */
	if (*(volatile __u32 *)&client->rcv_nxt != read[0] ||
	    *(volatile __u32 *)&backend->rcv_nxt != read[1] ||
	    client->out_of_order_queue.rb_node ||
	    backend->out_of_order_queue.rb_node ||
	    client->bytes_received != splice->handshake.received ||
	    backend->bytes_received)
		return ABI_WHY_EAGER;
	if (client->write_seq != client->snd_una || backend->write_seq != ack)
		return ABI_WHY_STATE;
	return ABI_WHY_NONE;
}

/*
 * Each side has measured the way to this host, and will meet the way to the
 * other side. A congestion control that takes the shortest round trip for the
 * length of the pipe is misled: a download by BBR over 20 ms took 11 s instead
 * of 0.46 s. The backend was kept from measuring where the client is far, see
 * hide_path(); a client has measured before anything is known of it.
 */
static __always_inline enum abi_why judge_path(struct tcp_sock *client,
					       struct tcp_sock *backend)
{
	__u32 to_client = client->srtt_us, to_backend = backend->srtt_us;
	__u32 near = ABI_SPLICE_NEAR_US * SRTT_UNIT;

	/* Behind SYN cookies nothing is measured. */
	if (!to_client ||
	    (to_backend > near && to_backend / PATH_TIMES > to_client))
		return ABI_WHY_PATH;
	return ABI_WHY_NONE;
}

/* The clocks of the timestamps: each side goes on from what it has seen of
 * the stack, and so never sees one go back (RFC 7323 section 5.3). */
static __always_inline void join_clocks(struct abi_splice *splice,
					struct tcp_sock *client,
					struct tcp_sock *backend, __u32 tsval)
{
	__u32 now = (__u32)(bpf_ktime_get_ns() / MS_NS);
	__u32 to_backend = now + backend->tsoffset + 1;
	__u32 to_client = now + client->tsoffset + 1;

	splice->way[ABI_FROM_CLIENT].clock = to_backend;
	splice->way[ABI_FROM_BACKEND].clock = to_client;
	splice->way[ABI_FROM_CLIENT].tsval =
		to_backend - client->rx_opt.ts_recent;
	splice->way[ABI_FROM_BACKEND].tsval = to_client - tsval;
}

static __always_inline void join(struct abi_splice *splice,
				 struct tcp_sock *client,
				 struct tcp_sock *backend, __u32 ack,
				 __u32 tsval)
{
	struct abi_splice_way *up = &splice->way[ABI_FROM_CLIENT];
	struct abi_splice_way *down = &splice->way[ABI_FROM_BACKEND];

	splice->passage = (struct abi_splice_passage){};
	up->seq = ack - client->copied_seq;
	down->seq = client->write_seq - backend->copied_seq;
	up->next = client->copied_seq;
	up->acked = up->next;
	down->next = backend->copied_seq;
	down->acked = down->next;
	up->window = WINDOW_UNSCALED;
	down->window = WINDOW_UNSCALED;
	if (BPF_CORE_READ_BITFIELD(client, rx_opt.tstamp_ok))
		join_clocks(splice, client, backend, tsval);
	splice->shift[ABI_FROM_CLIENT] = (struct abi_splice_shift){
		.left = BPF_CORE_READ_BITFIELD(client, rx_opt.snd_wscale),
		.right = BPF_CORE_READ_BITFIELD(backend, rx_opt.rcv_wscale)};
	splice->shift[ABI_FROM_BACKEND] = (struct abi_splice_shift){
		.left = BPF_CORE_READ_BITFIELD(backend, rx_opt.snd_wscale),
		.right = BPF_CORE_READ_BITFIELD(client, rx_opt.rcv_wscale)};
}

static __noinline int flip(struct __sk_buff *skb, __u32 index, __u32 ack,
			   __u32 tsval)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	enum abi_why why = ABI_WHY_STATE;
	struct tcp_sock *client, *backend;
	void *sock[2];

	if (!splice)
		return 0;
	/* A full barrier: from here splice_out() lets nothing pass. */
	if (__sync_val_compare_and_swap(&splice->state, ABI_SPLICE_ARMED,
					ABI_SPLICE_FLIPPING) !=
	    ABI_SPLICE_ARMED)
		return 0;
	sock[0] = find_socket(skb, splice, ABI_FROM_CLIENT);
	sock[1] = find_socket(skb, splice, ABI_FROM_BACKEND);
	if (sock[0] && sock[1]) {
		client = bpf_skc_to_tcp_sock(sock[0]);
		backend = bpf_skc_to_tcp_sock(sock[1]);
		if (client && backend) {
			why = judge_bytes(splice, client, backend, ack);
			if (!why)
				why = judge_options(splice, client, backend);
			if (!why)
				why = judge_routes(splice, client, backend);
			if (!why)
				why = judge_path(client, backend);
			if (!why)
				join(splice, client, backend, ack, tsval);
		}
	}
	if (sock[0])
		bpf_sk_release(sock[0]);
	if (sock[1])
		bpf_sk_release(sock[1]);
	splice->why = (__u8)why;
	__sync_lock_test_and_set(&splice->state,
				 why ? ABI_SPLICE_ABORTED : ABI_SPLICE_SPLICED);
	tell(splice, index);
	return 0;
}

#endif
