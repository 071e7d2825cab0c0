// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The edge: packets of banned addresses, and SYNs beyond a source's rate, are
 * dropped where they come in. One judgement, two hooks: XDP and TC ingress.
 * Whatever is not dropped goes on to whoever else stands at the hook.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

#define AF_INET 2
#define AF_INET6 10
#define SECOND_NS 1000000000ULL
/* 802.1ad and 802.1Q; the kernel has taken off what the card did not. */
#define VLAN_TAGS 2
/* RFC 8200 section 4.1 has this many kinds that can precede TCP. */
#define IPV6_EXTENSIONS 6
/* Enough for two tags, IPv6 with extensions and TCP. */
#define HEADERS_BYTES 192
#define FRAGMENT_OFFSET 0x1fff

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_edge);
} edge SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ABI_LISTENERS_MAX);
	__type(key, struct abi_endpoint);
	__type(value, struct abi_listener);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ABI_BANS_MAX);
	__type(key, struct abi_prefix_key);
	__type(value, struct abi_ban);
} bans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ABI_ALLOWED_MAX);
	__type(key, struct abi_prefix_key);
	__type(value, __u32);
} allowed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ABI_RATES_MAX);
	__type(key, struct abi_prefix_key);
	__type(value, struct abi_rate);
} edge_rates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_edge_counts);
} edge_counts SEC(".maps");

enum judgement {
	PASS,
	DROP,
	SHORT /* the headers are not all there to be seen */
};

/**
 * struct packet - what is judged.
 * @source:  key of the whole address.
 * @local:   address and port that it goes to; family 0 of the port's number
 *           where it is no TCP.
 * @is_tcp:  and @local has the port.
 * @is_syn:  a new connection.
 */
struct packet {
	struct abi_prefix_key source;
	struct abi_endpoint local;
	__u8 is_tcp;
	__u8 is_syn;
};

/* ---- headers ------------------------------------------------------------ */

static __always_inline enum judgement read_tcp(void *at, void *end,
					       struct packet *packet)
{
	struct tcphdr *tcp = at;

	if ((void *)(tcp + 1) > end)
		return SHORT;
	packet->is_tcp = 1;
	packet->is_syn = tcp->syn && !tcp->ack;
	packet->local.port_be = tcp->dest;
	return PASS;
}

static __always_inline enum judgement read_ipv4(void *at, void *end,
						struct packet *packet)
{
	struct iphdr *ip = at;

	if ((void *)(ip + 1) > end)
		return SHORT;
	packet->source.family = AF_INET;
	packet->source.length = 32 + 32;
	__builtin_memcpy(packet->source.addr, &ip->saddr, 4);
	packet->local.family = AF_INET;
	__builtin_memcpy(packet->local.addr, &ip->daddr, 4);
	/* Later fragments have no ports; without the first they are nothing. */
	if (ip->protocol != IPPROTO_TCP ||
	    ip->frag_off & bpf_htons(FRAGMENT_OFFSET))
		return PASS;
	return read_tcp(at + ip->ihl * 4, end, packet);
}

static __always_inline enum judgement read_ipv6(void *at, void *end,
						struct packet *packet)
{
	struct ipv6hdr *ip = at;
	__u8 next;

	if ((void *)(ip + 1) > end)
		return SHORT;
	packet->source.family = AF_INET6;
	packet->source.length = 32 + 128;
	__builtin_memcpy(packet->source.addr, &ip->saddr, 16);
	packet->local.family = AF_INET6;
	__builtin_memcpy(packet->local.addr, &ip->daddr, 16);
	next = ip->nexthdr;
	at = ip + 1;
	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		__u8 *header = at;

		if (next == IPPROTO_TCP)
			return read_tcp(at, end, packet);
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
			return PASS;
		if (at + 8 > end)
			return SHORT;
		if (next == IPPROTO_FRAGMENT &&
		    (header[2] || header[3] & 0xf8)) /* not the first */
			return PASS;
		at += next == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
		next = header[0];
	}
	return PASS;
}

static __always_inline enum judgement read_ip(void *at, void *end, __be16 type,
					      struct packet *packet)
{
	if (type == bpf_htons(ETH_P_IP))
		return read_ipv4(at, end, packet);
	if (type == bpf_htons(ETH_P_IPV6))
		return read_ipv6(at, end, packet);
	return PASS;
}

static __always_inline enum judgement read_ethernet(void *at, void *end,
						    struct packet *packet)
{
	struct ethhdr *ethernet = at;
	__be16 type;

	if ((void *)(ethernet + 1) > end)
		return SHORT;
	type = ethernet->h_proto;
	at = ethernet + 1;
	for (int i = 0; i < VLAN_TAGS; i++) {
		__be16 *tag = at;

		if (type != bpf_htons(ETH_P_8021Q) &&
		    type != bpf_htons(ETH_P_8021AD))
			break;
		if (at + 4 > end)
			return SHORT;
		type = tag[1];
		at += 4;
	}
	return read_ip(at, end, type, packet);
}

/* ---- judgement ---------------------------------------------------------- */

static __always_inline struct abi_listener *
find_listener(const struct packet *packet)
{
	struct abi_endpoint any = {.port_be = packet->local.port_be};
	struct abi_listener *listener;

	if (!packet->is_tcp)
		return 0;
	listener = bpf_map_lookup_elem(&listeners, &any);
	return listener ? listener
			: bpf_map_lookup_elem(&listeners, &packet->local);
}

static __always_inline int is_allowed(const struct abi_edge *here,
				      const struct packet *packet)
{
	return here->allowed && bpf_map_lookup_elem(&allowed, &packet->source);
}

/* The first @bits of 64, as a mask. */
static __always_inline __u64 first_bits(int bits)
{
	return bits <= 0 ? 0 : bits >= 64 ? ~0ULL : ~(~0ULL >> (bits & 63));
}

static __always_inline __u64 half(const __u8 *addr)
{
	__u64 value;

	__builtin_memcpy(&value, addr, sizeof(value));
	return bpf_be64_to_cpu(value);
}

/* Whether it comes from a proxy whose clients are told apart by the agent. */
static __always_inline int is_trusted(const struct abi_listener *listener,
				      const struct packet *packet)
{
	__u64 high = half(packet->source.addr);
	__u64 low = half(packet->source.addr + 8);

	for (unsigned i = 0; i < ABI_TRUSTED_MAX; i++) {
		const struct abi_prefix *prefix = &listener->trusted[i];
		int bits = prefix->length;

		if (i >= listener->trusted_count)
			return 0;
		if (prefix->family == packet->source.family &&
		    !((half(prefix->addr) ^ high) & first_bits(bits)) &&
		    !((half(prefix->addr + 8) ^ low) & first_bits(bits - 64)))
			return 1;
	}
	return 0;
}

/* The source, as the limits count: cut to the length that is set. */
static __always_inline void cut_source(struct abi_prefix_key *key, int bits)
{
	__u64 high = half(key->addr) & first_bits(bits);
	__u64 low = half(key->addr + 8) & first_bits(bits - 64);

	high = bpf_cpu_to_be64(high);
	low = bpf_cpu_to_be64(low);
	__builtin_memcpy(key->addr, &high, sizeof(high));
	__builtin_memcpy(key->addr + 8, &low, sizeof(low));
	key->length = 32 + (__u32)bits;
}

/** struct search - for a ban; @to_listener: those of listeners' ports hold. */
struct search {
	const struct abi_lengths *lengths;
	struct abi_prefix_key source;
	struct abi_ban *found;
	int to_listener;
};

/* Return: 1 to end the search. */
static long look_up_ban(__u64 round, struct search *search)
{
	struct abi_prefix_key key = search->source;
	struct abi_ban *ban;
	int own;

	if (round >= search->lengths->count || round >= ABI_PREFIX_LENGTHS)
		return 1;
	cut_source(&key, search->lengths->length[round]);
	ban = bpf_map_lookup_elem(&bans, &key);
	if (!ban)
		return 0;
	own = ban->sets & 1 &&
	      (!ban->expires_ns || ban->expires_ns > bpf_ktime_get_boot_ns());
	if (!(own && ban->all_ports) &&
	    !(search->to_listener && (own || ban->sets & ~1U)))
		return 0;
	search->found = ban;
	return 1;
}

/* Any ban will do that covers the source, is not over, and is for this port. */
static __always_inline int is_banned(const struct abi_edge *here,
				     const struct packet *packet,
				     int to_listener)
{
	int is_ipv6 = packet->source.family == AF_INET6;
	struct search search = {.lengths = &here->lengths[is_ipv6],
				.source = packet->source,
				.to_listener = to_listener};

	bpf_loop(ABI_PREFIX_LENGTHS, look_up_ban, &search, 0);
	if (!search.found || is_allowed(here, packet))
		return 0;
	__sync_fetch_and_add(&search.found->hits, 1);
	return 1;
}

/* The generic cell rate algorithm (ITU-T I.371): one time a source. Two CPUs
 * at once may let one connection too many through, which is no harm. */
static __always_inline int is_too_fast(const struct abi_settings *set,
				       const struct packet *packet)
{
	__u64 rate = set->value[ABI_SET_NEW_FLOWS_PER_SOURCE];
	__u64 burst = set->value[ABI_SET_NEW_FLOWS_BURST];
	__u64 now = bpf_ktime_get_boot_ns(), step;
	struct abi_prefix_key key = packet->source;
	struct abi_rate *found, fresh;

	if (!rate)
		return 0;
	step = SECOND_NS / rate;
	cut_source(&key, (int)set->value[key.family == AF_INET
						 ? ABI_SET_SOURCE_PREFIX_IPV4
						 : ABI_SET_SOURCE_PREFIX_IPV6]);
	found = bpf_map_lookup_elem(&edge_rates, &key);
	if (!found) {
		fresh.due_ns = now + step;
		bpf_map_update_elem(&edge_rates, &key, &fresh, BPF_ANY);
		return 0;
	}
	if (found->due_ns > now + burst * step)
		return 1;
	found->due_ns = (found->due_ns > now ? found->due_ns : now) + step;
	return 0;
}

static __always_inline enum judgement judge(const struct packet *packet)
{
	__u32 zero = 0;
	struct abi_edge *here = bpf_map_lookup_elem(&edge, &zero);
	struct abi_settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct abi_edge_counts *counts;
	struct abi_listener *listener;

	counts = bpf_map_lookup_elem(&edge_counts, &zero);
	if (!packet->source.family || !here || !set || !counts)
		return PASS;
	listener = find_listener(packet);
	if (!listener && !here->all_ports)
		return PASS;
	if (here->bans && is_banned(here, packet, listener != 0)) {
		counts->banned++;
		return DROP;
	}
	if (listener && packet->is_syn && !is_trusted(listener, packet) &&
	    is_too_fast(set, packet) && !is_allowed(here, packet)) {
		counts->limited++;
		return DROP;
	}
	return PASS;
}

/* ---- hooks -------------------------------------------------------------- */

SEC("xdp")
int edge_xdp(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct packet packet = {};

	if (read_ethernet(data, end, &packet) != PASS)
		return XDP_PASS;
	return judge(&packet) == DROP ? XDP_DROP : XDP_PASS;
}

static __always_inline enum judgement
read_skb(struct __sk_buff *skb, int ethernet, struct packet *packet)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if (ethernet)
		return read_ethernet(data, end, packet);
	return read_ip(data, end, (__be16)skb->protocol, packet);
}

static __always_inline int on_skb(struct __sk_buff *skb, int ethernet)
{
	struct packet packet = {};
	enum judgement seen = read_skb(skb, ethernet, &packet);

	/* Headers may lie in pages that are not mapped in. */
	if (seen == SHORT &&
	    !bpf_skb_pull_data(skb, skb->len < HEADERS_BYTES ? skb->len
							     : HEADERS_BYTES)) {
		packet = (struct packet){};
		seen = read_skb(skb, ethernet, &packet);
	}
	if (seen == PASS && judge(&packet) == DROP)
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC; /* TCX_NEXT: others have their say */
}

SEC("tc")
int edge_tc(struct __sk_buff *skb)
{
	return on_skb(skb, 1);
}

/* Devices without a link layer: tun, WireGuard, PPP. */
SEC("tc")
int edge_tc_ip(struct __sk_buff *skb)
{
	return on_skb(skb, 0);
}

char edge_license[] SEC("license") = "Dual BSD/GPL";
