/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The last segment of a first flight, for the agent to send once more. A
 * backend that was kept from measuring the way to a far client, see
 * splice_path.h, does not know when an answer is due: were all of its first
 * flight lost, it would wait for a second or more, where one that knows sends a
 * tail loss probe after two round trips (RFC 8985 section 7). So that is the
 * agent's to do.
 */
#ifndef SNICTL_SPLICE_TAIL_H
#define SNICTL_SPLICE_TAIL_H

#include <linux/bpf.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_forward.h"
#include "splice_maps.h"
#include "splice_news.h"

/* What the client will take for the backend's, see watch(); and if it is lost,
 * what tells the backend so: a selective acknowledgement, or, where it is all
 * there is, any. */
static __always_inline bool is_worth_it(const struct abi_splice *splice,
					const struct tcphdr *tcp, bool is_alone)
{
	const struct abi_splice_way *way = &splice->way[ABI_FROM_BACKEND];
	const struct abi_splice_way *back = &splice->way[ABI_FROM_CLIENT];
	__u32 seq = bpf_ntohl(tcp->seq);

	return splice->state == ABI_SPLICE_SPLICED && tcp->ack && !tcp->syn &&
	       !tcp->rst && is_plausible(way, seq) &&
	       is_plausible(back, bpf_ntohl(tcp->ack_seq) - back->seq) &&
	       (splice->answered & ABI_SPLICE_SACK ||
		(is_alone && seq == way->acked));
}

static __noinline int keep_tail(struct __sk_buff *skb, __u32 index, __u32 l4)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	__u32 options, behind, length, last, before;
	struct abi_tail *tail;
	struct tcphdr tcp;
	void *ring;

	if (!splice || bpf_skb_load_bytes(skb, l4, &tcp, sizeof(tcp)))
		return 0;
	behind = l4 + tcp.doff * 4;
	length = skb->len - behind;
	before = 0;
	if (skb->gso_size && length > skb->gso_size)
		before = (length - 1) / skb->gso_size * skb->gso_size;
	ring = find_ring(splice);
	if (!ring || !is_worth_it(splice, &tcp, !before))
		return 0;
	if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > RING_TAILS_BYTES)
		return 0;
	tail = bpf_ringbuf_reserve(ring, sizeof(*tail), 0);
	if (!tail)
		return 0;
	tail->sent_ns = bpf_ktime_get_ns();
	tail->splice = index;
	tail->before = before;
	tail->size = length - before;
	/* Least and most of each, in a way that the verifier of 6.1 sees. */
	options = tcp.doff * 4 - sizeof(tcp);
	asm volatile("" : "+r"(options));
	if (options > TCP_OPTIONS_MAX ||
	    bpf_skb_load_bytes(skb, l4, tail->header, options + sizeof(tcp)))
		goto discard;
	last = length - before - 1;
	asm volatile("" : "+r"(last));
	if (last >= ABI_TAIL_MAX ||
	    bpf_skb_load_bytes(skb, behind + before, tail->payload, last + 1))
		goto discard;
	bpf_ringbuf_submit(tail, wakeup(splice));
	return 0;
discard:
	bpf_ringbuf_discard(tail, 0);
	return 0;
}

#endif
