/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs tell the agent. */
#ifndef SNICTL_SPLICE_NEWS_H
#define SNICTL_SPLICE_NEWS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "ring.h"

/* Of splices that have stepped on: a hint, the agent looks at the splice, and
 * looks anyway from time to time. And struct abi_tail. */
struct rings splice_rings SEC(".maps");

/* Above so many bytes that wait in a ring it is for steps only. */
#define RING_TAILS_BYTES 32768

/* By thread: it comes and looks by itself, soon. The first event wakes it; to
 * be woken by each would cost more than what it has to do then. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_comes);
} splice_comes SEC(".maps");

static __always_inline void *find_ring(const struct abi_splice *splice)
{
	__u32 thread = splice->thread;

	return bpf_map_lookup_elem(&splice_rings, &thread);
}

/* Return: flags for the ring. */
static __always_inline __u64 wakeup(const struct abi_splice *splice)
{
	__u32 thread = splice->thread, only = 0;
	volatile struct abi_comes *comes =
		bpf_map_lookup_elem(&splice_comes, &only);

	/* Bytes of a flow that goes on by the relay are waiting. */
	return comes && thread < ABI_THREADS_MAX && comes->thread[thread] &&
			       splice->state != ABI_SPLICE_ABORTED
		       ? BPF_RB_NO_WAKEUP
		       : BPF_RB_FORCE_WAKEUP;
}

static inline void tell(const struct abi_splice *splice, __u32 index)
{
	void *ring = find_ring(splice);

	if (ring)
		bpf_ringbuf_output(ring, &index, sizeof(index), wakeup(splice));
}

#endif
