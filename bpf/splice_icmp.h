/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Errors, which a router behind this host says to this host: they are told to
 * the side that has sent the packet. And "too big", said by this host. */
#ifndef SNICTL_SPLICE_ICMP_H
#define SNICTL_SPLICE_ICMP_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_forward.h"
#include "splice_maps.h"
#include "splice_packet.h"

/* RFC 792, RFC 1191 section 4. */
#define ICMP_UNREACHABLE 3
#define ICMP_TOO_BIG_CODE 4
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER 12
/* RFC 4443 section 3: of errors, of which this is one. */
#define ICMP6_TOO_BIG 2
#define ICMP6_ERROR_FIRST 1
#define ICMP6_ERROR_LAST 4
#define HOPS 64
/* What it says is believed of this host by the other side, so for all that
 * comes from there: not less than IPv6 guarantees (RFC 8200 section 5). */
#define TOO_BIG_MIN 1280
#define ERROR_REST_MS 1000

/** struct icmp_error - its header; @mtu_be: of "too big", IPv4's in the second
 * half. */
struct icmp_error {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 mtu_be;
};

/** struct quoted_tcp - of the packet that it is about: no more is sure to be
 * there. */
struct quoted_tcp {
	__be16 source_be;
	__be16 dest_be;
	__be32 seq_be;
};

struct error_v4 {
	struct iphdr ip;
	struct icmp_error icmp;
	struct iphdr quoted_ip;
	struct quoted_tcp tcp;
};

struct error_v6 {
	struct ipv6hdr ip;
	struct icmp_error icmp;
	struct ipv6hdr quoted_ip;
	struct quoted_tcp tcp;
};

/* Whether a side may say something again. */
static __always_inline bool may_say(struct abi_splice *splice)
{
	__u32 now = (__u32)(bpf_ktime_get_coarse_ns() / MS_NS);

	if (now - splice->passage.too_big_ms < ERROR_REST_MS)
		return false;
	splice->passage.too_big_ms = now;
	return true;
}

/*
 * The flow whose packet it was, if the sender may have it in flight (RFC 5927
 * section 4.1): then nobody said it blindly.
 *
 * @tuple: as of an answer to that packet.
 * @ret_back: how packets get to the sender.
 * Return: what the sender has to take from its number; NULL: none of ours.
 */
static __always_inline const struct abi_splice_way *
find_sender(const struct abi_tuple *tuple, __u32 seq,
	    const struct abi_splice_way **ret_back)
{
	struct abi_splice_way *way;
	struct abi_splice *splice;
	__u32 index, side;

	splice = find_splice(tuple, &index, &side);
	if (!splice || side > 1 || splice->state != ABI_SPLICE_SPLICED)
		return 0;
	way = &splice->way[!side];
	if (!is_plausible(way, seq - way->seq) || !may_say(splice))
		return 0;
	*ret_back = &splice->way[side];
	return way;
}

static __always_inline void quote(struct quoted_tcp *tcp,
				  const struct abi_splice_way *way,
				  const struct abi_splice_way *back)
{
	tcp->source_be = back->destination_port_be;
	tcp->dest_be = back->source_port_be;
	tcp->seq_be = bpf_htonl(bpf_ntohl(tcp->seq_be) - way->seq);
}

static __always_inline void sum_ip(struct iphdr *ip)
{
	ip->check = 0;
	ip->check = (__u16)~fold(
		(__u32)bpf_csum_diff(0, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline bool is_error_v4(const struct icmp_error *icmp)
{
	if (icmp->type == ICMP_UNREACHABLE && icmp->code == ICMP_TOO_BIG_CODE)
		return (bpf_ntohl(icmp->mtu_be) & 0xffff) >= TOO_BIG_MIN;
	return icmp->type == ICMP_UNREACHABLE ||
	       icmp->type == ICMP_TIME_EXCEEDED || icmp->type == ICMP_PARAMETER;
}

static __always_inline bool is_error_v6(const struct icmp_error *icmp)
{
	if (icmp->type == ICMP6_TOO_BIG)
		return bpf_ntohl(icmp->mtu_be) >= TOO_BIG_MIN;
	return icmp->type >= ICMP6_ERROR_FIRST &&
	       icmp->type <= ICMP6_ERROR_LAST;
}

static __noinline int tell_v4(struct __sk_buff *skb)
{
	const struct abi_splice_way *way, *back = 0;
	struct abi_tuple tuple = {.family = AF_INET};
	struct error_v4 p, old;
	__s64 diff;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &p, sizeof(p)) ||
	    p.ip.ihl != 5 || p.ip.ttl <= 1 || !is_error_v4(&p.icmp) ||
	    p.quoted_ip.ihl != 5 || p.quoted_ip.protocol != IPPROTO_TCP ||
	    !is_our_port(p.tcp.source_be))
		return TC_ACT_UNSPEC;
	__builtin_memcpy(tuple.remote, &p.quoted_ip.daddr, 4);
	__builtin_memcpy(tuple.local, &p.quoted_ip.saddr, 4);
	tuple.remote_port_be = p.tcp.dest_be;
	tuple.local_port_be = p.tcp.source_be;
	way = find_sender(&tuple, bpf_ntohl(p.tcp.seq_be), &back);
	if (!way)
		return TC_ACT_UNSPEC;
	old = p;
	__builtin_memcpy(&p.ip.saddr, back->source, 4);
	__builtin_memcpy(&p.ip.daddr, back->destination, 4);
	p.ip.ttl--;
	sum_ip(&p.ip);
	p.quoted_ip.saddr = p.ip.daddr;
	p.quoted_ip.daddr = p.ip.saddr;
	sum_ip(&p.quoted_ip);
	quote(&p.tcp, way, back);
	diff = bpf_csum_diff((__be32 *)&old.quoted_ip,
			     sizeof(old.quoted_ip) + sizeof(old.tcp),
			     (__be32 *)&p.quoted_ip,
			     sizeof(p.quoted_ip) + sizeof(p.tcp), 0);
	p.icmp.check = (__u16)~fold((__u64)(__u16)~p.icmp.check + (__u32)diff);
	if (bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &p, sizeof(p), 0))
		return TC_ACT_SHOT;
	return (int)bpf_redirect_neigh(back->interface, 0, 0, 0);
}

static __noinline int tell_v6(struct __sk_buff *skb)
{
	const struct abi_splice_way *way, *back = 0;
	struct abi_tuple tuple = {.family = AF_INET6};
	struct error_v6 p, old;
	__s64 diff;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &p, sizeof(p)) ||
	    p.ip.hop_limit <= 1 || !is_error_v6(&p.icmp) ||
	    p.quoted_ip.nexthdr != IPPROTO_TCP || !is_our_port(p.tcp.source_be))
		return TC_ACT_UNSPEC;
	__builtin_memcpy(tuple.remote, &p.quoted_ip.daddr, 16);
	__builtin_memcpy(tuple.local, &p.quoted_ip.saddr, 16);
	tuple.remote_port_be = p.tcp.dest_be;
	tuple.local_port_be = p.tcp.source_be;
	way = find_sender(&tuple, bpf_ntohl(p.tcp.seq_be), &back);
	if (!way)
		return TC_ACT_UNSPEC;
	old = p;
	__builtin_memcpy(&p.ip.saddr, back->source, 16);
	__builtin_memcpy(&p.ip.daddr, back->destination, 16);
	p.ip.hop_limit--;
	__builtin_memcpy(&p.quoted_ip.saddr, back->destination, 16);
	__builtin_memcpy(&p.quoted_ip.daddr, back->source, 16);
	quote(&p.tcp, way, back);
	/* Its addresses are in the sum too (RFC 4443 section 2.3). */
	diff = bpf_csum_diff((__be32 *)&old.ip.saddr, 32, (__be32 *)&p.ip.saddr,
			     32, 0);
	diff = bpf_csum_diff((__be32 *)&old.quoted_ip,
			     sizeof(old.quoted_ip) + sizeof(old.tcp),
			     (__be32 *)&p.quoted_ip,
			     sizeof(p.quoted_ip) + sizeof(p.tcp), (__u32)diff);
	p.icmp.check = (__u16)~fold((__u64)(__u16)~p.icmp.check + (__u32)diff);
	if (bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &p, sizeof(p), 0))
		return TC_ACT_SHOT;
	return (int)bpf_redirect_neigh(back->interface, 0, 0, 0);
}

/* ---- said by this host ----------------------------------------------------
 */

/** struct answer_v4 - with all of the TCP header: see settle(). */
struct answer_v4 {
	struct iphdr ip;
	struct icmp_error icmp;
	struct iphdr quoted_ip;
	struct tcphdr tcp;
};

struct answer_v6 {
	struct ipv6hdr ip;
	struct icmp_error icmp;
	struct ipv6hdr quoted_ip;
	struct tcphdr tcp;
};

/*
 * The interface's MTU, if the packet, or what it will be cut into, is longer;
 * else 0. What both sides have announced was within the MTUs that there were
 * at the flip.
 */
static __always_inline __u32 exceeded_mtu(struct __sk_buff *skb, __u32 payload,
					  __u32 interface)
{
	__u32 length = skb->gso_size ? payload + skb->gso_size : skb->len;
	__u32 mtu = 0;

	length -= sizeof(struct ethhdr);
	if (length <= TOO_BIG_MIN)
		return 0;
	bpf_check_mtu(skb, interface, &mtu, 0, 0);
	return mtu && length > mtu ? mtu : 0;
}

/*
 * What is left of the packet may have its checksum filled in when it leaves, as
 * that of the TCP segment that it was, or may not: no program can tell. So the
 * quoted one is such that it stays as it is: it is what its own sum is to be
 * filled up with, S + C = -C, modulo 65535.
 */
static __always_inline void settle(struct tcphdr *tcp)
{
	__u32 sum;

	tcp->check = 0;
	sum = fold((__u32)bpf_csum_diff(0, 0, (__be32 *)tcp, sizeof(*tcp), 0));
	tcp->check = (__u16)((0xffff - sum) * 0x8000 % 0xffff);
}

/* The packet becomes the answer: cut behind the TCP header, with the new
 * headers in front. */
static __always_inline int answer(struct __sk_buff *skb, const void *whole,
				  __u32 size, __u32 room, __u32 interface)
{
	const __u32 l3 = sizeof(struct ethhdr);

	if (bpf_skb_change_tail(skb, l3 + size - room, 0) ||
	    bpf_skb_adjust_room(skb, (__s32)room, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_store_bytes(skb, l3, whole, size, 0))
		return TC_ACT_SHOT;
	return (int)bpf_redirect_neigh(interface, 0, 0, 0);
}

static __noinline int say_too_big_v4(struct __sk_buff *skb, __u32 interface,
				     __u32 mtu)
{
	struct answer_v4 p = {};

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &p.quoted_ip,
			       sizeof(p.quoted_ip) + sizeof(p.tcp)))
		return TC_ACT_SHOT;
	p.ip.version = 4;
	p.ip.ihl = 5;
	p.ip.ttl = HOPS;
	p.ip.tot_len = bpf_htons(sizeof(p));
	p.ip.protocol = IPPROTO_ICMP;
	p.ip.saddr = p.quoted_ip.daddr;
	p.ip.daddr = p.quoted_ip.saddr;
	sum_ip(&p.ip);
	settle(&p.tcp);
	p.icmp.type = ICMP_UNREACHABLE;
	p.icmp.code = ICMP_TOO_BIG_CODE;
	p.icmp.mtu_be = bpf_htonl(mtu);
	p.icmp.check = (__u16)~fold((__u32)bpf_csum_diff(
		0, 0, (__be32 *)&p.icmp, sizeof(p) - sizeof(p.ip), 0));
	return answer(skb, &p, sizeof(p), sizeof(p.ip) + sizeof(p.icmp),
		      interface);
}

static __noinline int say_too_big_v6(struct __sk_buff *skb, __u32 interface,
				     __u32 mtu)
{
	struct answer_v6 p = {};
	__s64 sum;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &p.quoted_ip,
			       sizeof(p.quoted_ip) + sizeof(p.tcp)))
		return TC_ACT_SHOT;
	p.ip.version = 6;
	p.ip.hop_limit = HOPS;
	p.ip.payload_len = bpf_htons(sizeof(p) - sizeof(p.ip));
	p.ip.nexthdr = IPPROTO_ICMPV6;
	p.ip.saddr = p.quoted_ip.daddr;
	p.ip.daddr = p.quoted_ip.saddr;
	settle(&p.tcp);
	p.icmp.type = ICMP6_TOO_BIG;
	p.icmp.mtu_be = bpf_htonl(mtu);
	/* With the pseudo-header of RFC 8200 section 8.1. */
	sum = bpf_csum_diff(
		0, 0, (__be32 *)&p.ip.saddr, sizeof(p) - 8,
		bpf_htonl(IPPROTO_ICMPV6 + sizeof(p) - sizeof(p.ip)));
	p.icmp.check = (__u16)~fold((__u32)sum);
	return answer(skb, &p, sizeof(p), sizeof(p.ip) + sizeof(p.icmp),
		      interface);
}

/* To the side that has sent it, if it may have: see find_sender(). */
static __noinline int say_too_big(struct __sk_buff *skb, __u32 index,
				  __u32 from, __u32 l4, __u32 mtu)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	__u32 interface;
	__be32 seq;

	if (!splice ||
	    bpf_skb_load_bytes(skb, l4 + __builtin_offsetof(struct tcphdr, seq),
			       &seq, sizeof(seq)))
		return TC_ACT_SHOT;
	/* Linux 6.1 forgets what else it has seen of it. */
	from &= 1;
	if (!is_plausible(&splice->way[from], bpf_ntohl(seq)) ||
	    !may_say(splice))
		return TC_ACT_SHOT;
	interface = splice->way[from ^ 1].interface;
	return splice->family == AF_INET ? say_too_big_v4(skb, interface, mtu)
					 : say_too_big_v6(skb, interface, mtu);
}

/* Few packets are ICMP: a look at two bytes is all that the others pay. */
static __always_inline int tell_error(struct __sk_buff *skb)
{
	struct ipv6hdr *ip6 =
		headers(skb, sizeof(struct ethhdr) + sizeof(*ip6));
	struct iphdr *ip;

	if (!ip6)
		return TC_ACT_UNSPEC;
	ip6 = (void *)ip6 + sizeof(struct ethhdr);
	ip = (void *)ip6;
	if (skb->protocol == bpf_htons(ETH_P_IP) &&
	    ip->protocol == IPPROTO_ICMP)
		return tell_v4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6) &&
	    ip6->nexthdr == IPPROTO_ICMPV6)
		return tell_v6(skb);
	return TC_ACT_UNSPEC;
}

#endif
