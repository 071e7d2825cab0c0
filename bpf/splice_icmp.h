/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* "Too big", which a router behind this host says to this host: it is told to
 * the side that has sent the packet. */
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

/* RFC 792, RFC 1191 section 4; RFC 4443 section 3.2. */
#define ICMP_UNREACHABLE 3
#define ICMP_TOO_BIG_CODE 4
#define ICMP6_TOO_BIG 2
/* What it says is believed of this host by the other side, so for all that
 * comes from there: not less than IPv6 guarantees (RFC 8200 section 5). */
#define TOO_BIG_MIN 1280
#define TOO_BIG_REST_MS 1000

/** struct too_big - its own header; @mtu_be: IPv4's in the second half. */
struct too_big {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 mtu_be;
};

/** struct quoted_tcp - of the packet that was too big: no more is sure to be
 * there. */
struct quoted_tcp {
	__be16 source_be;
	__be16 dest_be;
	__be32 seq_be;
};

struct too_big_v4 {
	struct iphdr ip;
	struct too_big icmp;
	struct iphdr quoted_ip;
	struct quoted_tcp tcp;
};

struct too_big_v6 {
	struct ipv6hdr ip;
	struct too_big icmp;
	struct ipv6hdr quoted_ip;
	struct quoted_tcp tcp;
};

/*
 * The flow whose packet it was, if the sender may have it in flight (RFC 5927
 * section 4.1): then nobody said it blindly.
 *
 * @tuple: as of an answer to that packet.
 * @ret_back: how packets get to the sender.
 * Return: what the sender has to take from its number; NULL: none of ours.
 */
static __always_inline const struct abi_splice_way *
find_sender(const struct abi_tuple *tuple, __u32 seq, __u32 mtu,
	    const struct abi_splice_way **ret_back)
{
	__u32 now = (__u32)(bpf_ktime_get_coarse_ns() / MS_NS);
	struct abi_splice_way *way;
	struct abi_splice *splice;
	__u32 index, side;

	splice = find_splice(tuple, &index, &side);
	if (!splice || side > 1 || splice->state != ABI_SPLICE_SPLICED)
		return 0;
	way = &splice->way[!side];
	if (mtu < TOO_BIG_MIN || !is_plausible(way, seq - way->seq) ||
	    now - splice->too_big_ms < TOO_BIG_REST_MS)
		return 0;
	splice->too_big_ms = now;
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

static __noinline int too_big_v4(struct __sk_buff *skb)
{
	const struct abi_splice_way *way, *back = 0;
	struct abi_tuple tuple = {.family = AF_INET};
	struct too_big_v4 p, old;
	__s64 diff;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &p, sizeof(p)) ||
	    p.ip.ihl != 5 || p.ip.ttl <= 1 || p.icmp.type != ICMP_UNREACHABLE ||
	    p.icmp.code != ICMP_TOO_BIG_CODE || p.quoted_ip.ihl != 5 ||
	    p.quoted_ip.protocol != IPPROTO_TCP ||
	    !is_our_port(p.tcp.source_be))
		return TC_ACT_UNSPEC;
	__builtin_memcpy(tuple.remote, &p.quoted_ip.daddr, 4);
	__builtin_memcpy(tuple.local, &p.quoted_ip.saddr, 4);
	tuple.remote_port_be = p.tcp.dest_be;
	tuple.local_port_be = p.tcp.source_be;
	way = find_sender(&tuple, bpf_ntohl(p.tcp.seq_be),
			  bpf_ntohl(p.icmp.mtu_be) & 0xffff, &back);
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

static __noinline int too_big_v6(struct __sk_buff *skb)
{
	const struct abi_splice_way *way, *back = 0;
	struct abi_tuple tuple = {.family = AF_INET6};
	struct too_big_v6 p, old;
	__s64 diff;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &p, sizeof(p)) ||
	    p.ip.hop_limit <= 1 || p.icmp.type != ICMP6_TOO_BIG ||
	    p.quoted_ip.nexthdr != IPPROTO_TCP || !is_our_port(p.tcp.source_be))
		return TC_ACT_UNSPEC;
	__builtin_memcpy(tuple.remote, &p.quoted_ip.daddr, 16);
	__builtin_memcpy(tuple.local, &p.quoted_ip.saddr, 16);
	tuple.remote_port_be = p.tcp.dest_be;
	tuple.local_port_be = p.tcp.source_be;
	way = find_sender(&tuple, bpf_ntohl(p.tcp.seq_be),
			  bpf_ntohl(p.icmp.mtu_be), &back);
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

/* Few packets are ICMP: a look at two bytes is all that the others pay. */
static __always_inline int too_big(struct __sk_buff *skb)
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
		return too_big_v4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6) &&
	    ip6->nexthdr == IPPROTO_ICMPV6)
		return too_big_v6(skb);
	return TC_ACT_UNSPEC;
}

#endif
