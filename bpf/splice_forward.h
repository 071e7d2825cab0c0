/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet of one connection becomes one of the other, and leaves. */
#ifndef SNICTL_SPLICE_FORWARD_H
#define SNICTL_SPLICE_FORWARD_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_maps.h"
#include "splice_news.h"
#include "splice_options.h"
#include "splice_packet.h"

/* Let the record say what has passed. Where two CPUs have packets of one way
 * at once, one of them counts. */
static __always_inline void account(struct abi_splice *splice,
				    enum abi_direction from, __u32 seq,
				    __u32 length)
{
	struct abi_splice_way *way = &splice->way[from];
	__u32 flow = splice->flow, next = way->next, end = seq + length;
	struct abi_flow_hot *hot = bpf_map_lookup_elem(&flow_hot, &flow);
	struct abi_flow_direction *figures;
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!hot)
		return;
	figures = &hot->direction[from];
	__sync_fetch_and_add(&figures->packets, 1);
	/* Bytes that come again, or from nowhere, are none. */
	if (!length || (__s32)(end - next) <= 0 || (__s32)(seq - next) > 0)
		return;
	if (__sync_val_compare_and_swap(&way->next, next, end) != next)
		return;
	__sync_fetch_and_add(&figures->bytes, end - next);
	if (hot->last_ns != now)
		hot->last_ns = now;
}

/* The receiver knows best what has come through. @ack: in the numbers of the
 * one whose bytes it acknowledges. */
static __always_inline void acknowledge(struct abi_splice *splice,
					enum abi_direction to, __u32 ack)
{
	struct abi_splice_way *way = &splice->way[to];
	__u32 flow = splice->flow, next = way->next;
	struct abi_splice_passage *passage = &splice->passage;
	__u32 fins = *(volatile __u32 *)&passage->fins, fin;
	struct abi_flow_hot *hot;

	if ((__s32)(ack - way->acked) > 0)
		way->acked = ack;
	if (fins & ABI_SPLICE_FIN_SEEN << to) {
		fin = *(volatile __u32 *)&passage->fin[to];
		if (ack == fin + 1)
			__sync_fetch_and_or(&passage->fins,
					    ABI_SPLICE_FIN_ACKED << to);
		/* A FIN is none of the bytes below. */
		if ((__s32)(ack - fin) > 0)
			ack = fin;
	}
	/* Bytes that were counted on no CPU, or came in disorder. */
	if ((__s32)(ack - next) <= 0 ||
	    __sync_val_compare_and_swap(&way->next, next, ack) != next)
		return;
	hot = bpf_map_lookup_elem(&flow_hot, &flow);
	if (hot)
		__sync_fetch_and_add(&hot->direction[to].bytes, ack - next);
}

static __always_inline void close_splice(struct abi_splice *splice, __u32 index,
					 enum abi_splice_end end)
{
	if (__sync_val_compare_and_swap(&splice->state, ABI_SPLICE_SPLICED,
					ABI_SPLICE_CLOSED) !=
	    ABI_SPLICE_SPLICED)
		return;
	splice->end = (__u8)end;
	tell(splice, index);
}

static __always_inline __u32 unscale(__u16 window_be,
				     struct abi_splice_shift shift)
{
	return (__u32)bpf_ntohs(window_be) << shift.left;
}

/*
 * What a receiver would look at (RFC 9293 section 3.10.7.4, RFC 5961 section
 * 5), as far as it can be known here: who does not see the connection has to
 * guess both numbers.
 */
static __always_inline bool is_plausible(const struct abi_splice_way *way,
					 __u32 number)
{
	return number - way->acked + way->window <= 2 * way->window;
}

/*
 * Both receivers judge RST and FIN themselves, their numbers are translated
 * one to one. What the record makes of them has to be right only for those
 * that a receiver takes: a RST with exactly the next number (RFC 5961 section
 * 3.2), a FIN that has been acknowledged.
 */
/* Return: it is plausible. */
static __always_inline bool watch(struct abi_splice *splice, __u32 index,
				  enum abi_direction from, __u32 length,
				  const struct tcphdr *tcp)
{
	struct abi_splice_way *way = &splice->way[from];
	struct abi_splice_way *back = &splice->way[!from];
	struct abi_splice_passage *passage = &splice->passage;
	__u32 seq = bpf_ntohl(tcp->seq);
	__u32 ack = bpf_ntohl(tcp->ack_seq) - back->seq;
	__u32 window = unscale(tcp->window, splice->shift[from]);

	if (!is_plausible(way, seq) || (tcp->ack && !is_plausible(back, ack)))
		return false;
	account(splice, from, seq, length);
	if (tcp->fin && tcp->ack &&
	    !(passage->fins & ABI_SPLICE_FIN_ACKED << from)) {
		passage->fin[from] = seq + length;
		if (!(passage->fins & ABI_SPLICE_FIN_SEEN << from)) {
			__sync_fetch_and_or(&passage->fins,
					    ABI_SPLICE_FIN_SEEN << from);
			tell(splice, index);
		}
	}
	if (tcp->ack && !tcp->rst) {
		if (window > back->window)
			back->window = window;
		/* He has had something, if he has nothing to say himself. */
		if (from == ABI_FROM_CLIENT && splice->far_ms &&
		    ((!length && !tcp->fin) || (__s32)(ack - back->acked) > 0))
			splice->far_ms = 0;
		acknowledge(splice, !from, ack);
	}
	if (tcp->rst && (seq == way->acked || seq == way->next))
		close_splice(splice, index,
			     from == ABI_FROM_CLIENT
				     ? ABI_SPLICE_END_RESET_BY_CLIENT
				     : ABI_SPLICE_END_RESET_BY_BACKEND);
	else if ((*(volatile __u32 *)&passage->fins & ABI_SPLICE_FINS_ACKED) ==
		 ABI_SPLICE_FINS_ACKED)
		close_splice(splice, index, ABI_SPLICE_END_CLOSED);
	return true;
}

static __always_inline __u16 scale(__u16 window_be,
				   struct abi_splice_shift shift)
{
	__u32 window = unscale(window_be, shift) >> shift.right;

	return bpf_htons(window > 0xffff ? 0xffff : (__u16)window);
}

/*
 * Ethernet pads frames of less than 60 bytes, and what it adds is no payload:
 * the stack cuts it off too, further up. What has been merged may be longer
 * than IP can say.
 *
 * Return: the frame ends before the packet does.
 */
static __noinline int cut_padding(struct __sk_buff *skb)
{
	const __u32 l3 = sizeof(struct ethhdr);
	__u32 length;
	__be16 word;

	if (skb->gso_size)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(
			    skb, l3 + __builtin_offsetof(struct iphdr, tot_len),
			    &word, sizeof(word)))
			return 1;
		length = l3 + bpf_ntohs(word);
	} else {
		if (bpf_skb_load_bytes(skb,
				       l3 + __builtin_offsetof(struct ipv6hdr,
							       payload_len),
				       &word, sizeof(word)))
			return 1;
		length = l3 + sizeof(struct ipv6hdr) + bpf_ntohs(word);
	}
	return length > skb->len || bpf_skb_change_tail(skb, length, 0);
}

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)((sum & 0xffff) + (sum >> 16));
}

/* Return: what the addresses add to TCP's checksum, -1: dropped. */
static __always_inline __s64 rewrite_ip(struct __sk_buff *skb,
					const struct abi_splice *splice,
					struct abi_splice_way *way)
{
	const __u32 l3 = sizeof(struct ethhdr);
	/* The zeros behind those of IPv4 add nothing. */
	__be32 *addresses = (__be32 *)way->source;
	const __u32 size = sizeof(way->source) + sizeof(way->destination);
	struct ipv6hdr ip6;
	struct iphdr ip;
	__s64 diff;

	if (splice->family == AF_INET) {
		if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)))
			return -1;
		diff = bpf_csum_diff(&ip.saddr, 8, addresses, size, 0);
		__builtin_memcpy(&ip.saddr, way->source, 4);
		__builtin_memcpy(&ip.daddr, way->destination, 4);
		/* RFC 1624 section 3; TTL is the high byte of its word. */
		ip.check = (__u16)~fold((__u64)(__u16)~ip.check + (__u32)diff +
					(__u16)~bpf_htons(0x0100));
		ip.ttl--;
		if (bpf_skb_store_bytes(skb, l3, &ip, sizeof(ip), 0))
			return -1;
	} else {
		if (bpf_skb_load_bytes(skb, l3, &ip6, sizeof(ip6)))
			return -1;
		diff = bpf_csum_diff((__be32 *)&ip6.saddr, size, addresses,
				     size, 0);
		__builtin_memcpy(&ip6.saddr, way->source, size);
		ip6.hop_limit--;
		if (bpf_skb_store_bytes(skb, l3, &ip6, sizeof(ip6), 0))
			return -1;
	}
	return diff & 0xffffffff;
}

static __always_inline void translate_options(struct walk *walk,
					      const struct abi_splice_way *way,
					      const struct abi_splice_way *back)
{
	__u32 *word = walk->header.word;

	walk->tsval = way->tsval;
	walk->tsecr = -back->tsval;
	walk->ack = -back->seq;
	if (walk->end == sizeof(struct tcphdr))
		return;
	if (walk->end == sizeof(struct tcphdr) + 12 &&
	    word[5] == bpf_htonl(TIMESTAMPS_ALIGNED)) {
		walk->clock = bpf_ntohl(word[6]) + way->tsval;
		word[6] = bpf_htonl(walk->clock);
		if (word[7])
			word[7] = bpf_htonl(bpf_ntohl(word[7]) - back->tsval);
		return;
	}
	walk->task = WALK_TRANSLATE;
	walk_options(walk);
}

static __noinline int forward(struct __sk_buff *skb, __u32 index, __u32 from,
			      __u32 l4)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	struct walk walk = {};
	struct tcphdr *tcp = (void *)walk.header.byte;
	__u32 old[TCP_HEADER_MAX / 4] = {}, length;
	struct abi_splice_way *way, *back;
	bool known = false;
	__s64 addresses;

	if (!splice || from > 1 || l4 > 128 ||
	    bpf_skb_load_bytes(skb, l4, tcp, sizeof(*tcp)))
		return TC_ACT_SHOT;
	way = &splice->way[from];
	back = &splice->way[!from];
	length = tcp->doff * 4;
	if (length < sizeof(*tcp) || l4 + length > skb->len ||
	    !walk_load(skb, l4, length, &walk))
		return TC_ACT_SHOT;
	__builtin_memcpy(old, walk.header.byte, sizeof(old));
	if (splice->state == ABI_SPLICE_SPLICED)
		known = watch(splice, index, from, skb->len - l4 - length, tcp);

	tcp->source = way->source_port_be;
	tcp->dest = way->destination_port_be;
	tcp->seq = bpf_htonl(bpf_ntohl(tcp->seq) + way->seq);
	if (tcp->ack)
		tcp->ack_seq = bpf_htonl(bpf_ntohl(tcp->ack_seq) - back->seq);
	if (!tcp->syn)
		tcp->window = scale(tcp->window, splice->shift[from]);
	translate_options(&walk, way, back);
	if (known && walk.clock && (__s32)(walk.clock - way->clock) > 0)
		way->clock = walk.clock;

	addresses = rewrite_ip(skb, splice, way);
	if (addresses < 0)
		return TC_ACT_SHOT;
	/* The tag that it has come in with; the way out has its own. */
	if (skb->vlan_present && bpf_skb_vlan_pop(skb))
		return TC_ACT_SHOT;
	if (walk_store(skb, l4, length, &walk, old) ||
	    bpf_l4_csum_replace(skb,
				l4 + __builtin_offsetof(struct tcphdr, check),
				0, (__u32)addresses, BPF_F_PSEUDO_HDR))
		return TC_ACT_SHOT;
	return bpf_redirect_neigh(way->interface, 0, 0, 0);
}

#endif
