// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Invariant STACK SILENCE, where the splice's own programs are gone from an
 * interface: it was made anew, or somebody took them away. A packet of a
 * spliced flow then comes to a stack that has no socket for it, and that would
 * answer it with a RST and end the flow. Here, at the netfilter hook through
 * which all goes that is for this host, it is dropped: its sender sends again,
 * until the agent has put the programs back.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_kernel.h"
#include "splice_packet.h"

/* Linux 6.4, for programs at netfilter. */
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset,
			      void *buffer, __u32 size) __ksym;

struct packet_v4 {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct packet_v6 {
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

static __always_inline const struct tcphdr *
read_v4(const struct bpf_dynptr *skb, void *room, struct abi_tuple *tuple)
{
	const struct packet_v4 *p =
		bpf_dynptr_slice(skb, 0, room, sizeof(struct packet_v4));

	if (!p || p->ip.protocol != IPPROTO_TCP || p->ip.ihl != 5)
		return 0;
	*tuple = (struct abi_tuple){.family = AF_INET};
	__builtin_memcpy(tuple->remote, &p->ip.saddr, 4);
	__builtin_memcpy(tuple->local, &p->ip.daddr, 4);
	return &p->tcp;
}

static __always_inline const struct tcphdr *
read_v6(const struct bpf_dynptr *skb, void *room, struct abi_tuple *tuple)
{
	const struct packet_v6 *p =
		bpf_dynptr_slice(skb, 0, room, sizeof(struct packet_v6));

	if (!p || p->ip.nexthdr != IPPROTO_TCP)
		return 0;
	*tuple = (struct abi_tuple){.family = AF_INET6};
	__builtin_memcpy(tuple->remote, &p->ip.saddr, 16);
	__builtin_memcpy(tuple->local, &p->ip.daddr, 16);
	return &p->tcp;
}

SEC("?netfilter")
int splice_guard(struct bpf_nf_ctx *ctx)
{
	const struct abi_splice *splice;
	const struct tcphdr *tcp;
	struct abi_tuple tuple;
	struct bpf_dynptr skb;
	struct packet_v6 room;
	__u32 index, side;

	if (bpf_dynptr_from_skb((struct __sk_buff *)ctx->skb, 0, &skb))
		return NF_ACCEPT;
	tcp = ctx->state->pf == NFPROTO_IPV4 ? read_v4(&skb, &room, &tuple)
					     : read_v6(&skb, &room, &tuple);
	if (!tcp || !is_our_port(tcp->dest))
		return NF_ACCEPT;
	tuple.remote_port_be = tcp->source;
	tuple.local_port_be = tcp->dest;
	splice = find_splice(&tuple, &index, &side);
	if (!splice)
		return NF_ACCEPT;
	switch ((enum abi_splice_state)splice->state) {
	case ABI_SPLICE_FLIPPING:
	case ABI_SPLICE_SPLICED:
		return NF_DROP;
	case ABI_SPLICE_CLOSED:
		/* A new connection where one has ended. */
		return tcp->syn && !tcp->ack ? NF_ACCEPT : NF_DROP;
	case ABI_SPLICE_FREE:
	case ABI_SPLICE_ARMED:
	case ABI_SPLICE_ABORTED:
		break;
	}
	return NF_ACCEPT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
