// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The verdict on what arrives at a flow's sockets: to the other side's socket,
 * or to the agent.
 *
 * A redirect has no flow control of its own: the kernel opens the sender's
 * window at once, and puts the segment into a list without a limit, from
 * which a worker sends it. So a segment is redirected only if the other
 * side's send buffer has room for it and for all that is in that list: then
 * the list is empty but for a moment, nothing ever waits in it for a reader,
 * and what a flow holds is bounded as for any TCP sender, and by a limit of
 * our own. Everything else is passed to the agent, whose not reading it
 * closes the sender's window.
 *
 * The invariants are in userspace/pair.h.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "abi.h"
#include "ring.h"

/* Segments in the other side's list; the worker takes 1 us for each. */
#define SEGMENTS_MAX 256
/* What a segment may cost the send buffer beside its bytes: its own struct
 * sk_buff and the head of the buffer, sk_wmem_queued counts both. */
#define SEGMENT_COST 2048
/* Most that bpf_skb_adjust_room() does at once, and how often to do it. */
#define TRIM_MAX 4095
#define TRIMS_MAX 17
/* RFC 9293 section 3.1: the header's length in words, and the flags. */
#define TCP_OFFSET_AT 12
#define TCP_FLAGS_AT 13
#define TCP_FLAG_FIN 1

/* What is read of the kernel's structs, found by CO-RE. */
#pragma clang attribute push(__attribute__((preserve_access_index)),           \
			     apply_to = record)
struct sk_buff_head {
	__u32 qlen;
};
struct sk_psock {
	struct sk_buff_head ingress_skb;
};
struct sock {
	int sk_wmem_queued;
	int sk_sndbuf;
	void *sk_user_data;
};
struct tcp_sock {
	__u32 copied_seq;
	__u32 write_seq;
	__u32 snd_una;
};
#pragma clang attribute pop
/* The low bits of sk_user_data are flags. */
#define USER_DATA_FLAGS 7UL

/* By SO_COOKIE: index of the socket, 2 * slot + side. Beside its buckets it
 * takes memory for those only that are in it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2);
	__type(key, __u64);
	__type(value, __u32);
} cookies SEC(".maps");

/* The agent's own map, by slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_sockmap_flow);
} sockmap_flows SEC(".maps");

/* Both by index. The first has no program: a socket is a target before its
 * own segments, or the other side's, are judged. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

/* Of indices with news. */
struct rings rings SEC(".maps");

/* Set before the load. Without its guard a redirect is what the kernel makes
 * of it: for the self-test only. */
const volatile bool guarded = true;

/* Indices that found their ring full: the agent looks at all flows then. */
__u64 news_lost = 0;

static void tell(const struct abi_sockmap_direction *direction, __u32 index)
{
	__u32 thread = direction->thread;
	void *ring = bpf_map_lookup_elem(&rings, &thread);

	if (!ring || bpf_ringbuf_output(ring, &index, sizeof(index), 0))
		__sync_fetch_and_add(&news_lost, 1);
}

/* Segments that wait for the worker of a socket. */
static __u32 segments_waiting(struct sock *sk)
{
	unsigned long user_data =
		(unsigned long)BPF_CORE_READ(sk, sk_user_data);
	struct sk_psock *psock = (void *)(user_data & ~USER_DATA_FLAGS);

	return psock ? BPF_CORE_READ(psock, ingress_skb.qlen) : 0;
}

static bool has_room(struct abi_sockmap_direction *direction,
		     struct tcp_sock *peer, __u32 length)
{
	struct sock *sk = (struct sock *)peer;
	__u32 written = peer->write_seq, end, waiting;
	__s64 room = (__s64)sk->sk_sndbuf - sk->sk_wmem_queued;
	__u32 segments = segments_waiting(sk);

	if (!(direction->known & ABI_KNOWN_BASE)) {
		direction->base = written - (__u32)direction->redirected;
		direction->known |= ABI_KNOWN_BASE;
	}
	end = direction->base + (__u32)direction->redirected;
	waiting = end - written;
	if (!guarded)
		return true;
	return end - peer->snd_una + length <= direction->limit &&
	       segments < SEGMENTS_MAX &&
	       (__s64)waiting + length + (segments + 1) * SEGMENT_COST <= room;
}

static bool redirect(struct __sk_buff *skb,
		     struct abi_sockmap_direction *direction, __u32 target)
{
	struct bpf_sock *sock = bpf_map_lookup_elem(&targets, &target);
	struct tcp_sock *peer;
	bool fits;

	if (!sock)
		return false;
	peer = bpf_skc_to_tcp_sock(sock);
	fits = peer && has_room(direction, peer, skb->len);
	bpf_sk_release(sock);
	return fits && bpf_sk_redirect_map(skb, &targets, target, 0) == SK_PASS;
}

/*
 * A segment that was sent again may begin with bytes that came before; TCP
 * leaves it to the reader to skip them (tcp_recvmsg_locked() does, by
 * copied_seq; tcp_read_skb() does not). Cut them off.
 *
 * Return: false if that failed.
 */
static bool trim(struct __sk_buff *skb, struct abi_sockmap_direction *direction)
{
	/* TCP_SKB_CB(skb)->seq is what the control block begins with. */
	__u32 seq = skb->cb[0], end = seq + skb->len;
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tp;
	__s32 again;

	if (!(direction->known & ABI_KNOWN_NEXT)) {
		tp = sk ? bpf_skc_to_tcp_sock(sk) : 0;
		if (!tp)
			return false;
		direction->next = tp->copied_seq;
		direction->known |= ABI_KNOWN_NEXT;
	}
	again = (__s32)(direction->next - seq);
	if ((__s32)(end - direction->next) > 0)
		direction->next = end;
	for (int i = 0; i < TRIMS_MAX && again > 0; i++) {
		__s32 step = again < TRIM_MAX ? again : TRIM_MAX;

		if (bpf_skb_adjust_room(skb, -step, 0, 0))
			return false;
		again -= step;
	}
	/* Less than none again would be a hole. */
	return !again;
}

SEC("sk_skb")
int sockmap_verdict(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb), now, before;
	__u32 *found = bpf_map_lookup_elem(&cookies, &cookie), index, slot;
	struct abi_sockmap_flow *flow;
	struct abi_sockmap_direction *direction;

	/* A bare FIN. Redirected, it would end the other side's connection;
	 * dropping it loses nothing: TCP has noted the end. */
	if (!skb->len)
		return SK_DROP;
	if (!found)
		return SK_PASS;
	index = *found;
	slot = index / 2;
	flow = bpf_map_lookup_elem(&sockmap_flows, &slot);
	if (!flow)
		return SK_PASS;
	direction = &flow->direction[index & 1];
	if (!trim(skb, direction))
		direction->damaged = 1;
	else if (!skb->len)
		return SK_DROP;
	else if (direction->limit && direction->passed == direction->drained &&
		 redirect(skb, direction, index ^ 1)) {
		now = bpf_ktime_get_coarse_ns();
		direction->redirected += skb->len;
		if (direction->last_ns != now)
			direction->last_ns = now;
		return SK_PASS;
	}
	/* First the count, then the look whether the agent has caught up with
	 * what it was: the agent does the two in the reverse order, so one of
	 * us sees the other's. The add is a full barrier. */
	before = __sync_fetch_and_add(&direction->passed, skb->len);
	if (before == *(volatile __u64 *)&direction->drained)
		tell(direction, index);
	return SK_PASS;
}

/* A filter on a socket that is being taken out of the maps: bytes or a FIN that
 * come now are as good as lost on the wire, and will be sent again. */
SEC("socket")
int sockmap_hold(struct __sk_buff *skb)
{
	__u8 offset = 0, flags = 0;

	if (bpf_skb_load_bytes(skb, TCP_OFFSET_AT, &offset, sizeof(offset)) ||
	    bpf_skb_load_bytes(skb, TCP_FLAGS_AT, &flags, sizeof(flags)))
		return 0;
	if (flags & TCP_FLAG_FIN || skb->len > (offset >> 4) * 4U)
		return 0;
	return (int)skb->len;
}

char _license[] SEC("license") = "Dual BSD/GPL";
