/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The options of a TCP header: translated, read, taken away. */
#ifndef SNICTL_SPLICE_OPTIONS_H
#define SNICTL_SPLICE_OPTIONS_H

#include <linux/bpf.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

#define TCP_HEADER_MAX 60
#define TCP_OPTIONS_MAX 40
/* RFC 9293 section 3.1, RFC 7323 section 3.2, RFC 2018 sections 2 and 3. */
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK 5
#define OPTION_TIMESTAMPS 8
/* NOP, NOP, timestamps, ten bytes: what all but a few packets begin with. */
#define TIMESTAMPS_ALIGNED 0x0101080a

enum walk_task {
	WALK_TRANSLATE,
	WALK_READ,
	WALK_STRIP
};

/**
 * struct walk - over the options of one TCP header.
 * @header: the header, from its first byte.
 * @at, @end: offsets in it.
 * @tsval, @tsecr, @ack: for TRANSLATE, what is added; for READ, found.
 * @clock:  for TRANSLATE, the timestamp that it became, or 0.
 * @keep:   for STRIP, enum abi_splice_option; for READ, what was found.
 */
struct walk {
	union {
		__u8 byte[TCP_HEADER_MAX + 4];
		__u32 word[TCP_HEADER_MAX / 4 + 1];
	} header;
	__u32 at;
	__u32 end;
	enum walk_task task;
	__u32 tsval;
	__u32 tsecr;
	__u32 ack;
	__u32 keep;
	__u32 found_mss;
	__u32 clock;
};

static __always_inline __u32 get_word(struct walk *walk, __u32 at)
{
	__u8 *byte = walk->header.byte;

	/* One register: what the verifier sees checked is what is used. */
	asm volatile("" : "+r"(at));
	if (at > TCP_HEADER_MAX - 4)
		return 0;
	return (__u32)byte[at] << 24 | (__u32)byte[at + 1] << 16 |
	       (__u32)byte[at + 2] << 8 | byte[at + 3];
}

static __always_inline void add_word(struct walk *walk, __u32 at, __u32 more)
{
	__u32 sum = get_word(walk, at) + more;
	__u8 *byte = walk->header.byte;

	asm volatile("" : "+r"(at));
	if (at > TCP_HEADER_MAX - 4)
		return;
	byte[at] = (__u8)(sum >> 24);
	byte[at + 1] = (__u8)(sum >> 16);
	byte[at + 2] = (__u8)(sum >> 8);
	byte[at + 3] = (__u8)sum;
}

static __always_inline void option_translate(struct walk *walk, __u32 at,
					     __u8 kind, __u32 length)
{
	if (kind == OPTION_TIMESTAMPS && length == 10) {
		add_word(walk, at + 2, walk->tsval);
		walk->clock = get_word(walk, at + 2);
		if (get_word(walk, at + 6))
			add_word(walk, at + 6, walk->tsecr);
	} else if (kind == OPTION_SACK) {
		for (__u32 i = 2; i < TCP_OPTIONS_MAX - 4; i += 4) {
			if (i + 4 > length)
				break;
			add_word(walk, at + i, walk->ack);
		}
	}
}

static __always_inline void option_read(struct walk *walk, __u32 at, __u8 kind,
					__u32 length)
{
	if (kind == OPTION_TIMESTAMPS && length == 10) {
		walk->keep |= ABI_SPLICE_TIMESTAMPS;
		walk->tsval = get_word(walk, at + 2);
		walk->tsecr = get_word(walk, at + 6);
	} else if (kind == OPTION_SACK_PERMITTED) {
		walk->keep |= ABI_SPLICE_SACK;
	} else if (kind == OPTION_MSS && length == 4) {
		walk->found_mss = get_word(walk, at) & 0xffff;
	}
}

static __always_inline void option_strip(struct walk *walk, __u32 at, __u8 kind,
					 __u32 length)
{
	if ((kind != OPTION_TIMESTAMPS || walk->keep & ABI_SPLICE_TIMESTAMPS) &&
	    (kind != OPTION_SACK_PERMITTED || walk->keep & ABI_SPLICE_SACK))
		return;
	for (__u32 i = 0; i < 10; i++) {
		if (i >= length || at + i >= TCP_HEADER_MAX)
			break;
		walk->header.byte[at + i] = OPTION_NOP;
	}
}

static long option_step(__u32 unused, struct walk *walk)
{
	__u32 at = walk->at, length;
	__u8 kind;

	(void)unused;
	if (at >= walk->end || at >= TCP_HEADER_MAX)
		return 1;
	kind = walk->header.byte[at];
	if (kind == OPTION_END)
		return 1;
	if (kind == OPTION_NOP) {
		walk->at = at + 1;
		return 0;
	}
	length = walk->header.byte[at + 1];
	if (length < 2 || at + length > walk->end)
		return 1;
	switch (walk->task) {
	case WALK_TRANSLATE:
		option_translate(walk, at, kind, length);
		break;
	case WALK_READ:
		option_read(walk, at, kind, length);
		break;
	case WALK_STRIP:
		option_strip(walk, at, kind, length);
		break;
	}
	walk->at = at + length;
	return 0;
}

static __always_inline bool walk_load(struct __sk_buff *skb, __u32 l4,
				      __u32 length, struct walk *walk)
{
	walk->at = sizeof(struct tcphdr);
	walk->end = length;
	return length >= sizeof(struct tcphdr) && length <= TCP_HEADER_MAX &&
	       !bpf_skb_load_bytes(skb, l4, walk->header.byte, length);
}

static __always_inline void walk_options(struct walk *walk)
{
	bpf_loop(TCP_OPTIONS_MAX, option_step, walk, 0);
}

/* Put back a TCP header that was changed; @old is what it was. */
static __always_inline int walk_store(struct __sk_buff *skb, __u32 l4,
				      __u32 length, struct walk *walk,
				      __u32 *old)
{
	__s64 diff =
		bpf_csum_diff((__be32 *)old, TCP_HEADER_MAX,
			      (__be32 *)walk->header.word, TCP_HEADER_MAX, 0);

	if (length < sizeof(struct tcphdr) || length > TCP_HEADER_MAX ||
	    bpf_skb_store_bytes(skb, l4, walk->header.byte, length, 0))
		return -1;
	return (int)bpf_l4_csum_replace(
		skb, l4 + __builtin_offsetof(struct tcphdr, check), 0,
		(__u32)diff, 0);
}

#endif
