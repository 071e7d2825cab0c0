// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two TCP connections joined packet by packet: what comes in from one side is
 * rewritten, and goes out to the other, without a socket or a byte of memory.
 *
 * A flow is ARMED by the agent before it connects. The stack has the packets
 * until one from the backend acknowledges all that the agent sent. There
 * flip() looks at both sockets and, if neither holds anything that the other
 * side does not have, the packets are the splice's from that one on.
 *
 * Invariant NOTHING ACKED AND MISSING: no byte that a side has an
 * acknowledgement for is lost by the flip. Acknowledgements are sent by the
 * stack, for bytes below rcv_nxt, through splice_out(). The flip first stores
 * FLIPPING (a full barrier) and then reads rcv_nxt, once, and wants it equal
 * to copied_seq, which stands still: the agent does not read now. Let a byte
 * arrive meanwhile. Either rcv_nxt had moved when it was read: the flip is
 * off, and the sockets go on as they are. Or it moves later: then its
 * acknowledgement comes to splice_out() after the FLIPPING, and is dropped.
 * The sender never hears of it, sends again, and that goes through the splice.
 *
 * Invariant STACK SILENCE: from FLIPPING on no packet that the stack itself
 * makes leaves with a spliced tuple: no RST for a socket that is gone, no
 * retransmission, no probe. What the stack makes has come in by no interface.
 * The agent may ask whether a side is still there, see is_question(), and send
 * a far client once more what has gone to him before, see is_tail().
 * Where these programs have been taken away, splice_guard.bpf.c keeps it
 * silent.
 */
#include <linux/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_flip.h"
#include "splice_forward.h"
#include "splice_icmp.h"
#include "splice_maps.h"
#include "splice_packet.h"
#include "splice_path.h"
#include "splice_tail.h"

/* Unless the agent has put another one there. */
static __noinline int forget_entry(const struct abi_tuple *tuple, __u32 entry)
{
	struct abi_bucket *bucket =
		find_bucket(abi_tuple_hash(tuple, tuple_key));

	for (int i = 0; bucket && i < ABI_BUCKET_ENTRIES; i++)
		__sync_val_compare_and_swap(&bucket->entry[i], entry, 0);
	return 0;
}

SEC("tc")
int splice_in(struct __sk_buff *skb)
{
	struct packet p = {};
	struct tcphdr *tcp = read_packet(skb, false, &p);
	struct abi_splice *splice;
	__u32 index = 0, side = 0, state, ack, tsval, length, mtu;
	bool syn, is_ack, rst;

	if (!tcp)
		return tell_error(skb);
	syn = tcp->syn;
	is_ack = tcp->ack;
	rst = tcp->rst;
	ack = bpf_ntohl(tcp->ack_seq);
	length = tcp->doff * 4;
	splice = find_splice(&p.tuple, &index, &side);
	if (!splice)
		return TC_ACT_UNSPEC;
	state = *(volatile __u32 *)&splice->state;
	if (state == ABI_SPLICE_ARMED && side == ABI_FROM_BACKEND && is_ack &&
	    !rst && splice->has_iss) {
		if (syn) {
			if (read_answer(skb, index, p.l4, length))
				return TC_ACT_SHOT;
		} else if (ack ==
			   splice->handshake.iss + 1 + splice->handshake.sent) {
			tsval = (__u32)read_tsval(skb, p.l4, length, index);
			flip(skb, index, ack, tsval);
			state = *(volatile __u32 *)&splice->state;
		}
	}
	/* A new connection where one has ended: the stack's. */
	if (state == ABI_SPLICE_CLOSED && syn && !is_ack) {
		forget_entry(&p.tuple, find_entry(&p.tuple));
		return TC_ACT_UNSPEC;
	}
	if (state == ABI_SPLICE_SPLICED || state == ABI_SPLICE_CLOSED) {
		/* A SYN-ACK that comes late was for the agent. */
		if (p.hops <= 1 || p.fragment || (syn && is_ack) ||
		    (p.uneven && cut_padding(skb)))
			return TC_ACT_SHOT;
		mtu = exceeded_mtu(skb, p.l4 + length,
				   splice->way[side & 1].interface);
		if (mtu)
			return say_too_big(skb, index, side, p.l4, mtu);
		if (splice->far_ms && side == ABI_FROM_BACKEND)
			keep_tail(skb, index, p.l4);
		return forward(skb, index, side, p.l4);
	}
	/* On another CPU; the sender will send again, but for a RST: the agent
	 * finds that at the socket. */
	return state == ABI_SPLICE_FLIPPING && !rst ? TC_ACT_SHOT
						    : TC_ACT_UNSPEC;
}

/*
 * A keep-alive as in RFC 9293 section 3.8.4: nothing, with the number before
 * the next one. Without a socket the stack sends nothing of the kind by itself.
 */
static __always_inline bool is_question(const struct __sk_buff *skb,
					const struct tcphdr *tcp, __u32 l4,
					const struct abi_splice_way *way)
{
	return tcp->ack && !tcp->syn && !tcp->fin && !tcp->rst &&
	       skb->len == l4 + tcp->doff * 4 &&
	       bpf_ntohl(tcp->seq) == way->next + way->seq - 1;
}

/* Bytes that have gone to a far client, who has said nothing to that: as in
 * splice_tail.h. */
static __always_inline bool is_tail(const struct __sk_buff *skb,
				    const struct tcphdr *tcp, __u32 l4,
				    const struct abi_splice *splice)
{
	const struct abi_splice_way *way = &splice->way[ABI_FROM_BACKEND];
	__u32 behind = l4 + tcp->doff * 4;
	__u32 length = skb->len > behind ? skb->len - behind : 0;
	__u32 first = bpf_ntohl(tcp->seq) - way->seq - way->acked;
	__u32 passed = way->next - way->acked;

	return splice->far_ms && length && tcp->ack && !tcp->syn && !tcp->fin &&
	       !tcp->rst && first < passed && length <= passed - first;
}

SEC("tc")
int splice_out(struct __sk_buff *skb)
{
	struct packet p = {};
	struct abi_splice *splice;
	__u32 index = 0, side = 0, state, length;
	bool is_first;
	struct tcphdr *tcp;

	/* Forwarded, by the splice or by others. */
	if (skb->ingress_ifindex)
		return TC_ACT_UNSPEC;
	tcp = read_packet(skb, true, &p);
	if (!tcp)
		return TC_ACT_UNSPEC;
	splice = find_splice(&p.tuple, &index, &side);
	if (!splice)
		return TC_ACT_UNSPEC;
	/* A full barrier, the other half of the flip's. */
	state = __sync_fetch_and_or(&splice->state, 0);
	if (state == ABI_SPLICE_SPLICED && side <= ABI_FROM_BACKEND &&
	    (is_question(skb, tcp, p.l4, &splice->way[!side]) ||
	     (side == ABI_FROM_CLIENT && is_tail(skb, tcp, p.l4, splice))))
		return TC_ACT_UNSPEC;
	if (state == ABI_SPLICE_FLIPPING || state == ABI_SPLICE_SPLICED ||
	    (state == ABI_SPLICE_CLOSED && !tcp->syn))
		return TC_ACT_SHOT;
	if (state != ABI_SPLICE_ARMED || side != ABI_FROM_BACKEND)
		return TC_ACT_UNSPEC;
	length = tcp->doff * 4;
	if (tcp->syn) {
		is_first = !splice->has_iss;
		splice->handshake.iss = bpf_ntohl(tcp->seq);
		splice->has_iss = 1;
		offer(skb, index, p.l4, length);
		if (splice->far_ms && is_first)
			send_twice(skb, p.l4, length);
	} else if (splice->far_ms) {
		hide_path(skb, index, p.l4, length);
	}
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
