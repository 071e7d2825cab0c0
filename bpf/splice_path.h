/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The handshake with the backend: it agrees to what the client has agreed to,
 * and measures nothing by which it would misjudge the way to him. */
#ifndef SNICTL_SPLICE_PATH_H
#define SNICTL_SPLICE_PATH_H

#include <linux/bpf.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_maps.h"
#include "splice_options.h"
#include "splice_packet.h"

/* Linux hides the options of a SYN in so many low bits of a cookie's TSval. */
#define COOKIE_BITS 6
/* The TCP header's fourth word: flags are its second byte. */
#define FLAGS_WORD 3
#define FLAG_ECE_CWR 0x00c00000

/*
 * What the backend's SYN-ACK says. Of the two that a doubled SYN draws, see
 * send_twice(), the stack gets the second: if that echoes the first SYN's
 * timestamp, the backend remembers it, else its answers are SYN cookies.
 *
 * Return: it is to be dropped.
 */
static __noinline int read_answer(struct __sk_buff *skb, __u32 index, __u32 l4,
				  __u32 length)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	struct walk walk = {.task = WALK_READ};
	struct tcphdr *tcp = (void *)walk.header.byte;
	__u32 old[TCP_HEADER_MAX / 4] = {};

	if (!splice || l4 > 128 || !walk_load(skb, l4, length, &walk))
		return 0;
	__builtin_memcpy(old, walk.header.byte, sizeof(old));
	walk_options(&walk);
	if (tcp->ece && !tcp->cwr)
		walk.keep |= ABI_SPLICE_ECN;
	/* RFC 9293 section 3.7.1: what is meant where nothing is said. */
	splice->mss = walk.found_mss		  ? (__u16)walk.found_mss
		      : splice->family == AF_INET ? 536
						  : 1220;
	splice->answered = (__u8)walk.keep;
	if (!splice->far_ms)
		return 0;
	if (!splice->has_echo) {
		splice->handshake.echo = walk.tsecr;
		splice->has_echo = 1;
		return 1;
	}
	splice->cookie = walk.tsecr != splice->handshake.echo;
	if (splice->cookie)
		return 0;
	/* The stack knows only of its own, the next one. */
	walk.at = sizeof(*tcp);
	walk.task = WALK_TRANSLATE;
	walk.tsval = 0;
	walk.tsecr = 1;
	walk_options(&walk);
	return walk_store(skb, l4, length, &walk, old);
}

static __noinline int read_tsval(struct __sk_buff *skb, __u32 l4, __u32 length,
				 __u32 index)
{
	struct walk walk = {.task = WALK_READ};

	(void)index;
	if (!walk_load(skb, l4, length, &walk))
		return 0;
	walk_options(&walk);
	return (int)walk.tsval;
}

/* The agent's SYN to the backend offers what the client has agreed to. */
static __noinline int offer(struct __sk_buff *skb, __u32 index, __u32 l4,
			    __u32 length)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	struct walk walk = {.task = WALK_STRIP};
	__u32 old[TCP_HEADER_MAX / 4] = {};

	if (!splice || l4 > 128 || !walk_load(skb, l4, length, &walk))
		return 0;
	__builtin_memcpy(old, walk.header.byte, sizeof(old));
	walk.keep = splice->offered;
	walk_options(&walk);
	walk.header.word[FLAGS_WORD] &= ~bpf_htonl(FLAG_ECE_CWR);
	if (splice->offered & ABI_SPLICE_ECN)
		walk.header.word[FLAGS_WORD] |= bpf_htonl(FLAG_ECE_CWR);
	return walk_store(skb, l4, length, &walk, old);
}

static __noinline int add_tsval(struct __sk_buff *skb, __u32 l4, __u32 length,
				__u32 more)
{
	struct walk walk = {.task = WALK_TRANSLATE, .tsval = more};
	__u32 old[TCP_HEADER_MAX / 4] = {};

	if (l4 > 128 || !walk_load(skb, l4, length, &walk))
		return 0;
	__builtin_memcpy(old, walk.header.byte, sizeof(old));
	walk_options(&walk);
	return walk_store(skb, l4, length, &walk, old);
}

/*
 * A SYN that came twice is not measured by (Karn's rule, RFC 6298 section 3).
 * The first is a millisecond older, so that read_answer() sees which of them
 * the backend has in mind. It comes through splice_out() by itself.
 */
static __always_inline void send_twice(struct __sk_buff *skb, __u32 l4,
				       __u32 length)
{
	add_tsval(skb, l4, length, (__u32)-1);
	bpf_clone_redirect(skb, skb->ifindex, 0);
	add_tsval(skb, l4, length, 1);
}

/*
 * Timestamps that come back measure the way too. Where there is none, nothing
 * is measured, but in those of SYN cookies the backend finds its options: there
 * it measures too much, which all congestion controls forget at once. Others
 * would not do, for Linux 6.15 and later want one that it has sent.
 */
static __noinline int hide_path(struct __sk_buff *skb, __u32 index, __u32 l4,
				__u32 length)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	struct walk walk = {};
	__u32 old[TCP_HEADER_MAX / 4] = {}, *word = walk.header.word, far;

	if (!splice || l4 > 128 || length < sizeof(struct tcphdr) + 12 ||
	    !walk_load(skb, l4, length, &walk) ||
	    word[5] != bpf_htonl(TIMESTAMPS_ALIGNED))
		return 0;
	__builtin_memcpy(old, walk.header.byte, sizeof(old));
	far = ((splice->far_ms >> COOKIE_BITS) + 1) << COOKIE_BITS;
	word[7] = splice->cookie ? bpf_htonl(bpf_ntohl(word[7]) - far) : 0;
	return walk_store(skb, l4, length, &walk, old);
}

#endif
