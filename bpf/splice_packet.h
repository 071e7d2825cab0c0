/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet that may be one of ours: read, and compared with the ports. */
#ifndef SNICTL_SPLICE_PACKET_H
#define SNICTL_SPLICE_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_maps.h"

#define AF_INET 2
#define AF_INET6 10
/* More fragments, or an offset; RFC 791 section 3.1. */
#define IP_FRAGMENT 0x3fff

/**
 * struct packet - a TCP packet, as far as it is looked at.
 * @tuple: of a packet that comes in; of one that goes out, as its answer's.
 * @l4:    offset of the TCP header.
 * @hops:  TTL or hop limit.
 * @uneven: the frame is not as long as IP says.
 */
struct packet {
	struct abi_tuple tuple;
	__u32 l4;
	__u8 hops;
	bool fragment;
	bool uneven;
};

static __always_inline void *headers(struct __sk_buff *skb, __u32 length)
{
	if ((void *)(long)skb->data + length > (void *)(long)skb->data_end &&
	    (skb->len < length || bpf_skb_pull_data(skb, length)))
		return 0;
	if ((void *)(long)skb->data + length > (void *)(long)skb->data_end)
		return 0;
	return (void *)(long)skb->data;
}

static __always_inline bool is_our_port(__be16 port_be)
{
	__u32 port = bpf_ntohs(port_be), word = port / 64;
	__u64 *bits = bpf_map_lookup_elem(&splice_ports, &word);

	return bits && *bits >> port % 64 & 1;
}

/*
 * Read the headers of a packet whose local end is its destination, or, where
 * it goes out, its source. Nothing is written to packets directly: a program
 * that does has all packets made writable, also those that are not ours.
 *
 * Return: the TCP header, NULL: none of ours.
 */
static __always_inline struct tcphdr *read_packet(struct __sk_buff *skb,
						  bool out, struct packet *p)
{
	const __u32 l3 = sizeof(struct ethhdr);
	struct ipv6hdr *ip6;
	struct tcphdr *tcp;
	struct iphdr *ip;
	void *data;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		data = headers(skb, l3 + sizeof(*ip) + sizeof(*tcp));
		if (!data)
			return 0;
		ip = data + l3;
		tcp = (void *)(ip + 1);
		if (ip->protocol != IPPROTO_TCP || ip->ihl != 5)
			return 0;
		if (!is_our_port(out ? tcp->source : tcp->dest))
			return 0;
		p->tuple = (struct abi_tuple){.family = AF_INET};
		__builtin_memcpy(p->tuple.remote, out ? &ip->daddr : &ip->saddr,
				 4);
		__builtin_memcpy(p->tuple.local, out ? &ip->saddr : &ip->daddr,
				 4);
		p->l4 = l3 + sizeof(*ip);
		p->hops = ip->ttl;
		p->fragment = ip->frag_off & bpf_htons(IP_FRAGMENT);
		p->uneven = l3 + bpf_ntohs(ip->tot_len) != skb->len;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		data = headers(skb, l3 + sizeof(*ip6) + sizeof(*tcp));
		if (!data)
			return 0;
		ip6 = data + l3;
		tcp = (void *)(ip6 + 1);
		if (ip6->nexthdr != IPPROTO_TCP)
			return 0;
		if (!is_our_port(out ? tcp->source : tcp->dest))
			return 0;
		p->tuple = (struct abi_tuple){.family = AF_INET6};
		__builtin_memcpy(p->tuple.remote,
				 out ? &ip6->daddr : &ip6->saddr, 16);
		__builtin_memcpy(p->tuple.local,
				 out ? &ip6->saddr : &ip6->daddr, 16);
		p->l4 = l3 + sizeof(*ip6);
		p->hops = ip6->hop_limit;
		p->fragment = false;
		p->uneven = l3 + sizeof(*ip6) + bpf_ntohs(ip6->payload_len) !=
			    skb->len;
	} else {
		return 0;
	}
	p->tuple.remote_port_be = out ? tcp->dest : tcp->source;
	p->tuple.local_port_be = out ? tcp->source : tcp->dest;
	return tcp;
}

/* Each is at a multiple of four bytes only. */
static __always_inline bool is_address(const void *one, const void *other)
{
	__u32 a[4], b[4];

	__builtin_memcpy(a, __builtin_assume_aligned(one, 4), sizeof(a));
	__builtin_memcpy(b, __builtin_assume_aligned(other, 4), sizeof(b));

	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline bool is_from(const struct abi_splice *splice, __u32 side,
				    const struct abi_tuple *tuple)
{
	/* What goes to this side has its tuple, turned round. */
	const struct abi_splice_way *way = &splice->way[!side];

	return way->destination_port_be == tuple->remote_port_be &&
	       way->source_port_be == tuple->local_port_be &&
	       splice->family == tuple->family &&
	       is_address(way->destination, tuple->remote) &&
	       is_address(way->source, tuple->local);
}

static __always_inline struct abi_bucket *find_bucket(__u64 hash)
{
	__u32 index = abi_tuple_bucket(hash, tuple_buckets);

	return bpf_map_lookup_elem(&splice_tuples, &index);
}

/* Return: the entry of a tuple, 0: it has none. */
static __noinline __u32 find_entry(const struct abi_tuple *tuple)
{
	__u64 hash = abi_tuple_hash(tuple, tuple_key);
	struct abi_bucket *bucket = find_bucket(hash);
	struct abi_splice *splice;
	__u32 entry, index;

	if (!bucket)
		return 0;
	for (int i = 0; i < ABI_BUCKET_ENTRIES; i++) {
		entry = *(volatile __u32 *)&bucket->entry[i];
		if ((entry ^ (__u32)hash) & ABI_ENTRY_MARK)
			continue;
		index = abi_entry_splice(entry);
		splice = bpf_map_lookup_elem(&splices, &index);
		if (splice && is_from(splice, entry & 1, tuple))
			return entry;
	}
	return 0;
}

static __always_inline struct abi_splice *
find_splice(const struct abi_tuple *tuple, __u32 *ret_index, __u32 *ret_side)
{
	__u32 entry = find_entry(tuple);

	if (!entry)
		return 0;
	*ret_index = abi_entry_splice(entry);
	*ret_side = entry & 1;
	return bpf_map_lookup_elem(&splices, ret_index);
}

#endif
