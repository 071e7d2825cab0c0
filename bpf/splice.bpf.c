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
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "splice_kernel.h"

#define AF_INET 2
#define AF_INET6 10
#define IFF_LOOPBACK 8
/* linux/if_arp.h, which brings in the C library. */
#define ARPHRD_ETHER 1
/* More fragments, or an offset; RFC 791 section 3.1. */
#define IP_FRAGMENT 0x3fff
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
#define MS_NS 1000000
/* A round trip that is no longer than ABI_SPLICE_NEAR_US, or than so many times
 * the other side's, does not change what that one has measured. */
#define PATH_TIMES 4
/* Linux hides the options of a SYN in so many low bits of a cookie's TSval. */
#define COOKIE_BITS 6
/* tcp_sock.srtt_us counts eighths. */
#define SRTT_UNIT 8
/* The TCP header's fourth word: flags are its second byte. */
#define FLAGS_WORD 3
#define FLAG_ECE_CWR 0x00c00000

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_flow_hot);
} flow_hot SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_splice);
} splices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, struct abi_tuple);
	__type(value, struct abi_joined);
} splice_tuples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ABI_SPLICE_PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} splice_ports SEC(".maps");

/* A ring a thread of the agent, of splices that have stepped on. A hint: the
 * agent looks at the splice, and looks anyway from time to time. */
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ABI_THREADS_MAX);
	__type(key, __u32);
	__array(values, struct ring);
} splice_rings SEC(".maps");

/**
 * struct packet - a TCP packet, as far as it is looked at.
 * @tuple: of a packet that comes in; of one that goes out, as its answer's.
 * @l4:    offset of the TCP header.
 * @hops:  TTL or hop limit.
 */
struct packet {
	struct abi_tuple tuple;
	__u32 l4;
	__u8 hops;
	bool fragment;
};

static void tell(const struct abi_splice *splice, __u32 index)
{
	__u32 thread = splice->thread;
	void *ring = bpf_map_lookup_elem(&splice_rings, &thread);

	if (ring)
		bpf_ringbuf_output(ring, &index, sizeof(index), 0);
}

/* ---- headers ------------------------------------------------------------- */

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
	} else {
		return 0;
	}
	p->tuple.remote_port_be = out ? tcp->dest : tcp->source;
	p->tuple.local_port_be = out ? tcp->source : tcp->dest;
	return tcp;
}

/* ---- options ------------------------------------------------------------- */

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

/* ---- the flip ------------------------------------------------------------ */

/* A socket by the tuple of what it receives. */
static __always_inline void *find_socket(struct __sk_buff *skb,
					 const struct abi_splice *splice,
					 enum abi_direction side)
{
	/* What goes to this side has its tuple, turned round. */
	const struct abi_splice_way *way = &splice->way[!side];
	struct bpf_sock_tuple tuple = {};
	__u32 size;

	if (splice->family == AF_INET) {
		__builtin_memcpy(&tuple.ipv4.saddr, way->destination, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, way->source, 4);
		tuple.ipv4.sport = way->destination_port_be;
		tuple.ipv4.dport = way->source_port_be;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, way->destination, 16);
		__builtin_memcpy(tuple.ipv6.daddr, way->source, 16);
		tuple.ipv6.sport = way->destination_port_be;
		tuple.ipv6.dport = way->source_port_be;
		size = sizeof(tuple.ipv6);
	}
	return bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/* What can be sent to a socket's peer by its interface; 0: nothing, the route
 * is none for packets that go out by themselves. */
static __always_inline __u32 route_of(struct tcp_sock *tcp, __u32 *ret_mtu)
{
	struct dst_entry *dst = ((struct sock *)tcp)->sk_dst_cache;
	struct net_device *device;

	if (!dst || BPF_CORE_READ(dst, lwtstate))
		return 0;
	if (bpf_core_field_exists(dst->xfrm) && BPF_CORE_READ(dst, xfrm))
		return 0;
	device = BPF_CORE_READ(dst, dev);
	if (!device || BPF_CORE_READ(device, flags) & IFF_LOOPBACK ||
	    BPF_CORE_READ(device, type) != ARPHRD_ETHER)
		return 0;
	*ret_mtu = BPF_CORE_READ(device, mtu);
	return (__u32)BPF_CORE_READ(device, ifindex);
}

static __always_inline bool is_microseconds(struct tcp_sock *tcp)
{
	return bpf_core_field_exists(tcp->tcp_usec_ts) &&
	       BPF_CORE_READ_BITFIELD(tcp, tcp_usec_ts);
}

static __always_inline enum abi_why judge_options(struct abi_splice *splice,
						  struct tcp_sock *client,
						  struct tcp_sock *backend)
{
	bool sack[2] = {BPF_CORE_READ_BITFIELD(client, rx_opt.sack_ok) & 1,
			BPF_CORE_READ_BITFIELD(backend, rx_opt.sack_ok) & 1};

	if (BPF_CORE_READ_BITFIELD(client, rx_opt.tstamp_ok) !=
		    BPF_CORE_READ_BITFIELD(backend, rx_opt.tstamp_ok) ||
	    sack[0] != sack[1] || is_microseconds(client) ||
	    is_microseconds(backend))
		return ABI_WHY_OPTIONS;
	if (!(client->ecn_flags & TCP_ECN_OK) !=
	    !(splice->answered & ABI_SPLICE_ECN))
		return ABI_WHY_ECN;
	return ABI_WHY_NONE;
}

/* What the client may send us must not be too large for the backend; the
 * reverse was seen to by our own SYN's maximum segment size. */
static __always_inline enum abi_why judge_routes(struct abi_splice *splice,
						 struct tcp_sock *client,
						 struct tcp_sock *backend)
{
	__u32 headers = sizeof(struct tcphdr) +
			(splice->family == AF_INET ? sizeof(struct iphdr)
						   : sizeof(struct ipv6hdr));
	__u32 mtu[2] = {0, 0};

	splice->way[ABI_FROM_BACKEND].interface = route_of(client, &mtu[0]);
	splice->way[ABI_FROM_CLIENT].interface = route_of(backend, &mtu[1]);
	if (!splice->way[0].interface || !splice->way[1].interface)
		return ABI_WHY_ROUTE;
	if (client->advmss > splice->mss || client->advmss + headers > mtu[1])
		return ABI_WHY_MTU;
	return ABI_WHY_NONE;
}

static __always_inline enum abi_why judge_bytes(struct abi_splice *splice,
						struct tcp_sock *client,
						struct tcp_sock *backend,
						__u32 ack)
{
	/* What the agent has read; it reads no more before the verdict. */
	__u32 read[2] = {client->copied_seq, backend->copied_seq};

	if (((struct sock *)client)->__sk_common.skc_state != TCP_ESTABLISHED ||
	    ((struct sock *)backend)->__sk_common.skc_state != TCP_ESTABLISHED)
		return ABI_WHY_STATE;
	/* One read each: see NOTHING ACKED AND MISSING. Out of order is what
	 * may be acknowledged selectively. */
	if (*(volatile __u32 *)&client->rcv_nxt != read[0] ||
	    *(volatile __u32 *)&backend->rcv_nxt != read[1] ||
	    client->out_of_order_queue.rb_node ||
	    backend->out_of_order_queue.rb_node ||
	    client->bytes_received != splice->received ||
	    backend->bytes_received)
		return ABI_WHY_EAGER;
	if (client->write_seq != client->snd_una || backend->write_seq != ack)
		return ABI_WHY_STATE;
	return ABI_WHY_NONE;
}

/*
 * Each side has measured the way to this host, and will meet the way to the
 * other side. A congestion control that takes the shortest round trip for the
 * length of the pipe is misled: a download by BBR over 20 ms took 11 s instead
 * of 0.46 s. The backend was kept from measuring where the client is far, see
 * hide_path(); a client has measured before anything is known of it.
 */
static __always_inline enum abi_why judge_path(const struct abi_splice *splice,
					       struct tcp_sock *client,
					       struct tcp_sock *backend)
{
	__u32 to_client = client->srtt_us, to_backend = backend->srtt_us;
	__u32 near = ABI_SPLICE_NEAR_US * SRTT_UNIT;

	/* Behind SYN cookies nothing is measured. */
	if (!to_client ||
	    (to_client > near && to_client / PATH_TIMES > to_backend &&
	     !splice->far_ms) ||
	    (to_backend > near && to_backend / PATH_TIMES > to_client))
		return ABI_WHY_PATH;
	return ABI_WHY_NONE;
}

/* The clocks of the timestamps: each side goes on from what it has seen of
 * the stack, and so never sees one go back (RFC 7323 section 5.3). */
static __always_inline void join_clocks(struct abi_splice *splice,
					struct tcp_sock *client,
					struct tcp_sock *backend, __u32 tsval)
{
	__u32 now = (__u32)(bpf_ktime_get_ns() / MS_NS);
	__u32 up = now + backend->tsoffset + 1 - client->rx_opt.ts_recent;
	__u32 down = now + client->tsoffset + 1 - tsval;

	splice->way[ABI_FROM_CLIENT].tsval = up;
	splice->way[ABI_FROM_BACKEND].tsecr = -up;
	splice->way[ABI_FROM_BACKEND].tsval = down;
	splice->way[ABI_FROM_CLIENT].tsecr = -down;
}

static __always_inline void join(struct abi_splice *splice,
				 struct tcp_sock *client,
				 struct tcp_sock *backend, __u32 ack,
				 __u32 tsval)
{
	struct abi_splice_way *up = &splice->way[ABI_FROM_CLIENT];
	struct abi_splice_way *down = &splice->way[ABI_FROM_BACKEND];

	up->seq = ack - client->copied_seq;
	down->ack = -up->seq;
	down->seq = client->write_seq - backend->copied_seq;
	up->ack = -down->seq;
	up->next = client->copied_seq;
	up->acked = up->next;
	down->next = backend->copied_seq;
	down->acked = down->next;
	if (BPF_CORE_READ_BITFIELD(client, rx_opt.tstamp_ok))
		join_clocks(splice, client, backend, tsval);
	up->window_left = BPF_CORE_READ_BITFIELD(client, rx_opt.snd_wscale);
	up->window_right = BPF_CORE_READ_BITFIELD(backend, rx_opt.rcv_wscale);
	down->window_left = BPF_CORE_READ_BITFIELD(backend, rx_opt.snd_wscale);
	down->window_right = BPF_CORE_READ_BITFIELD(client, rx_opt.rcv_wscale);
}

static __noinline int flip(struct __sk_buff *skb, __u32 index, __u32 ack,
			   __u32 tsval)
{
	struct abi_splice *splice = bpf_map_lookup_elem(&splices, &index);
	enum abi_why why = ABI_WHY_STATE;
	struct tcp_sock *client, *backend;
	void *sock[2];

	if (!splice)
		return 0;
	/* A full barrier: from here splice_out() lets nothing pass. */
	if (__sync_val_compare_and_swap(&splice->state, ABI_SPLICE_ARMED,
					ABI_SPLICE_FLIPPING) !=
	    ABI_SPLICE_ARMED)
		return 0;
	sock[0] = find_socket(skb, splice, ABI_FROM_CLIENT);
	sock[1] = find_socket(skb, splice, ABI_FROM_BACKEND);
	if (sock[0] && sock[1]) {
		client = bpf_skc_to_tcp_sock(sock[0]);
		backend = bpf_skc_to_tcp_sock(sock[1]);
		if (client && backend) {
			why = judge_bytes(splice, client, backend, ack);
			if (!why)
				why = judge_options(splice, client, backend);
			if (!why)
				why = judge_routes(splice, client, backend);
			if (!why)
				why = judge_path(splice, client, backend);
			if (!why)
				join(splice, client, backend, ack, tsval);
		}
	}
	if (sock[0])
		bpf_sk_release(sock[0]);
	if (sock[1])
		bpf_sk_release(sock[1]);
	splice->why = (__u8)why;
	__sync_lock_test_and_set(&splice->state,
				 why ? ABI_SPLICE_ABORTED : ABI_SPLICE_SPLICED);
	tell(splice, index);
	return 0;
}

/* ---- a spliced packet -----------------------------------------------------
 */

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
	__sync_fetch_and_add(&figures->redirected, end - next);
	if (figures->last_ns != now)
		figures->last_ns = now;
}

/* The receiver knows best what has come through. @ack: in the numbers of the
 * one whose bytes it acknowledges. */
static __always_inline void acknowledge(struct abi_splice *splice,
					enum abi_direction to, __u32 ack)
{
	struct abi_splice_way *way = &splice->way[to];
	__u32 flow = splice->flow, next = way->next;
	struct abi_flow_hot *hot;

	if ((__s32)(ack - way->acked) > 0)
		way->acked = ack;
	if (way->fin_seen && ack == way->fin + 1)
		way->fin_acked = 1;
	/* Bytes that were counted on no CPU, or came in disorder; not a FIN. */
	if (way->fin_seen && (__s32)(ack - way->fin) > 0)
		ack = way->fin;
	if ((__s32)(ack - next) <= 0 ||
	    __sync_val_compare_and_swap(&way->next, next, ack) != next)
		return;
	hot = bpf_map_lookup_elem(&flow_hot, &flow);
	if (hot)
		__sync_fetch_and_add(&hot->direction[to].redirected,
				     ack - next);
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

/*
 * Both receivers judge RST and FIN themselves, their numbers are translated
 * one to one. What the record makes of them has to be right only for those
 * that a receiver takes: a RST with exactly the next number (RFC 5961 section
 * 3.2), a FIN that has been acknowledged.
 */
static __always_inline void watch(struct abi_splice *splice, __u32 index,
				  enum abi_direction from, __u32 seq, __u32 ack,
				  __u32 length, __u8 fin, __u8 rst, __u8 is_ack)
{
	struct abi_splice_way *way = &splice->way[from];

	account(splice, from, seq, length);
	if (fin && !way->fin_acked) {
		way->fin = seq + length;
		if (!way->fin_seen) {
			way->fin_seen = 1;
			tell(splice, index);
		}
	}
	if (is_ack && !rst)
		acknowledge(splice, !from, ack);
	if (rst && (seq == way->acked || seq == way->next))
		close_splice(splice, index,
			     from == ABI_FROM_CLIENT
				     ? ABI_SPLICE_END_RESET_BY_CLIENT
				     : ABI_SPLICE_END_RESET_BY_BACKEND);
	else if (splice->way[0].fin_acked && splice->way[1].fin_acked)
		close_splice(splice, index, ABI_SPLICE_END_CLOSED);
}

static __always_inline __u16 scale(__u16 window_be,
				   const struct abi_splice_way *way)
{
	__u32 window = bpf_ntohs(window_be);

	window = window << (way->window_left & 15) >> (way->window_right & 15);
	return bpf_htons(window > 0xffff ? 0xffff : (__u16)window);
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
					const struct abi_splice_way *way)
{
	const __u32 l3 = sizeof(struct ethhdr);
	__be32 old[8], new[8];
	struct ipv6hdr ip6;
	struct iphdr ip;
	__s64 diff;

	if (splice->family == AF_INET) {
		if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)))
			return -1;
		old[0] = ip.saddr;
		old[1] = ip.daddr;
		__builtin_memcpy(&new[0], way->source, 4);
		__builtin_memcpy(&new[1], way->destination, 4);
		diff = bpf_csum_diff(old, 8, new, 8, 0);
		ip.saddr = new[0];
		ip.daddr = new[1];
		/* RFC 1624 section 3; TTL is the high byte of its word. */
		ip.check = (__u16)~fold((__u64)(__u16)~ip.check + (__u32)diff +
					(__u16)~bpf_htons(0x0100));
		ip.ttl--;
		if (bpf_skb_store_bytes(skb, l3, &ip, sizeof(ip), 0))
			return -1;
	} else {
		if (bpf_skb_load_bytes(skb, l3, &ip6, sizeof(ip6)))
			return -1;
		__builtin_memcpy(old, &ip6.saddr, 32);
		__builtin_memcpy(new, way->source, 16);
		__builtin_memcpy(new + 4, way->destination, 16);
		diff = bpf_csum_diff(old, 32, new, 32, 0);
		__builtin_memcpy(&ip6.saddr, new, 32);
		ip6.hop_limit--;
		if (bpf_skb_store_bytes(skb, l3, &ip6, sizeof(ip6), 0))
			return -1;
	}
	return diff & 0xffffffff;
}

static __always_inline void translate_options(struct walk *walk,
					      const struct abi_splice_way *way)
{
	__u32 *word = walk->header.word;

	walk->tsval = way->tsval;
	walk->tsecr = way->tsecr;
	walk->ack = way->ack;
	if (walk->end == sizeof(struct tcphdr))
		return;
	if (walk->end == sizeof(struct tcphdr) + 12 &&
	    word[5] == bpf_htonl(TIMESTAMPS_ALIGNED)) {
		word[6] = bpf_htonl(bpf_ntohl(word[6]) + way->tsval);
		if (word[7])
			word[7] = bpf_htonl(bpf_ntohl(word[7]) + way->tsecr);
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
	__u32 old[TCP_HEADER_MAX / 4] = {}, length, payload;
	const struct abi_splice_way *way;
	__s64 addresses;
	__u32 seq, ack;

	if (!splice || from > 1 || l4 > 128 ||
	    bpf_skb_load_bytes(skb, l4, tcp, sizeof(*tcp)))
		return TC_ACT_SHOT;
	way = &splice->way[from];
	length = tcp->doff * 4;
	if (length < sizeof(*tcp) || l4 + length > skb->len ||
	    !walk_load(skb, l4, length, &walk))
		return TC_ACT_SHOT;
	__builtin_memcpy(old, walk.header.byte, sizeof(old));
	payload = skb->len - l4 - length;
	seq = bpf_ntohl(tcp->seq);
	ack = bpf_ntohl(tcp->ack_seq);

	tcp->source = way->source_port_be;
	tcp->dest = way->destination_port_be;
	tcp->seq = bpf_htonl(seq + way->seq);
	if (tcp->ack)
		tcp->ack_seq = bpf_htonl(ack + way->ack);
	if (!tcp->syn)
		tcp->window = scale(tcp->window, way);
	translate_options(&walk, way);
	if (splice->state == ABI_SPLICE_SPLICED)
		watch(splice, index, from, seq, ack + way->ack, payload,
		      tcp->fin, tcp->rst, tcp->ack);

	addresses = rewrite_ip(skb, splice, way);
	if (addresses < 0)
		return TC_ACT_SHOT;
	if (walk_store(skb, l4, length, &walk, old) ||
	    bpf_l4_csum_replace(skb,
				l4 + __builtin_offsetof(struct tcphdr, check),
				0, (__u32)addresses, BPF_F_PSEUDO_HDR))
		return TC_ACT_SHOT;
	return bpf_redirect_neigh(way->interface, 0, 0, 0);
}

/* ---- in and out -----------------------------------------------------------
 */

static __always_inline struct abi_splice *
find_splice(const struct packet *p, __u32 *ret_index, __u32 *ret_side)
{
	struct abi_joined *joined =
		bpf_map_lookup_elem(&splice_tuples, &p->tuple);
	struct abi_splice *splice;
	__u32 index;

	if (!joined)
		return 0;
	index = joined->splice;
	splice = bpf_map_lookup_elem(&splices, &index);
	if (!splice || splice->generation != joined->generation)
		return 0;
	*ret_index = index;
	*ret_side = joined->side;
	return splice;
}

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
		splice->echo = walk.tsecr;
		splice->has_echo = 1;
		return 1;
	}
	splice->cookie = walk.tsecr != splice->echo;
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

SEC("tc")
int splice_in(struct __sk_buff *skb)
{
	struct packet p = {};
	struct tcphdr *tcp = read_packet(skb, false, &p);
	struct abi_splice *splice;
	__u32 index = 0, side = 0, state, ack, tsval, length;
	bool syn, is_ack, rst;

	if (!tcp)
		return TC_ACT_UNSPEC;
	syn = tcp->syn;
	is_ack = tcp->ack;
	rst = tcp->rst;
	ack = bpf_ntohl(tcp->ack_seq);
	length = tcp->doff * 4;
	splice = find_splice(&p, &index, &side);
	if (!splice)
		return TC_ACT_UNSPEC;
	state = *(volatile __u32 *)&splice->state;
	if (state == ABI_SPLICE_ARMED && side == ABI_FROM_BACKEND && is_ack &&
	    !rst && splice->has_iss) {
		if (syn) {
			if (read_answer(skb, index, p.l4, length))
				return TC_ACT_SHOT;
		} else if (ack == splice->iss + 1 + splice->sent) {
			tsval = (__u32)read_tsval(skb, p.l4, length, index);
			flip(skb, index, ack, tsval);
			state = *(volatile __u32 *)&splice->state;
		}
	}
	/* A new connection where one has ended: the stack's. */
	if (state == ABI_SPLICE_CLOSED && syn && !is_ack) {
		bpf_map_delete_elem(&splice_tuples, &p.tuple);
		return TC_ACT_UNSPEC;
	}
	if (state == ABI_SPLICE_SPLICED || state == ABI_SPLICE_CLOSED) {
		/* A SYN-ACK that comes late was for the agent. */
		if (p.hops <= 1 || p.fragment || (syn && is_ack))
			return TC_ACT_SHOT;
		return forward(skb, index, side, p.l4);
	}
	/* On another CPU; the sender will send again. */
	return state == ABI_SPLICE_FLIPPING ? TC_ACT_SHOT : TC_ACT_UNSPEC;
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
	splice = find_splice(&p, &index, &side);
	if (!splice)
		return TC_ACT_UNSPEC;
	/* A full barrier, the other half of the flip's. */
	state = __sync_fetch_and_or(&splice->state, 0);
	if (state == ABI_SPLICE_FLIPPING || state == ABI_SPLICE_SPLICED ||
	    (state == ABI_SPLICE_CLOSED && !tcp->syn))
		return TC_ACT_SHOT;
	if (state != ABI_SPLICE_ARMED || side != ABI_FROM_BACKEND)
		return TC_ACT_UNSPEC;
	length = tcp->doff * 4;
	if (tcp->syn) {
		is_first = !splice->has_iss;
		splice->iss = bpf_ntohl(tcp->seq);
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
