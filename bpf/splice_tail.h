/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The last segment of a first flight, for the agent to send once more. A backend
 * that was kept from measuring the way to a far client, see splice_path.h, does
 * not know when an answer is due: were all of its first flight lost, it would
 * wait for a second or more where one that knows sends a tail loss probe after
 * two round trips (RFC 8985 section 7). So that is the agent's to do.
 */
#ifndef SNICTL_SPLICE_TAIL_H
#define SNICTL_SPLICE_TAIL_H

#include <linux/bpf.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_maps.h"
#include "splice_news.h"

static __noinline int keep_tail(struct __sk_buff *skb, __u32 index, __u32 l4)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	__u32 payload, length, size, last;
	struct abi_tail *tail;
	struct tcphdr tcp;
	void *ring;

	if (bpf_skb_load_bytes(skb, l4, &tcp, sizeof(tcp)))
		return 0;
	payload = l4 + tcp.doff * 4;
	length = skb->len - payload;
	size = length;
	if (skb->gso_size && length > skb->gso_size) {
		size = length % skb->gso_size;
		if (!size)
			size = skb->gso_size;
	}
	ring = splice ? find_ring(splice) : 0;
	if (!ring || size > length)
		return 0;
	/* 1 to ABI_TAIL_MAX, in a way that also the verifier of 6.1 sees. */
	last = size - 1;
	asm volatile("" : "+r"(last));
	if (last >= ABI_TAIL_MAX ||
	    bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > RING_TAILS_BYTES)
		return 0;
	tail = bpf_ringbuf_reserve(ring, sizeof(*tail), 0);
	if (!tail)
		return 0;
	size = last + 1;
	tail->sent_ns = bpf_ktime_get_ns();
	tail->splice = index;
	tail->seq = bpf_ntohl(tcp.seq) + length - size;
	tail->window = bpf_ntohs(tcp.window);
	tail->size = (__u16)size;
	if (bpf_skb_load_bytes(skb, payload + length - size, tail->payload,
			       size))
		bpf_ringbuf_discard(tail, 0);
	else
		bpf_ringbuf_submit(tail, wakeup(splice));
	return 0;
}

#endif
