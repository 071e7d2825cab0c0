/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs tell the agent. */
#ifndef SNICTL_SPLICE_NEWS_H
#define SNICTL_SPLICE_NEWS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"
#include "ring.h"

/* Of splices that have stepped on. A hint: the agent looks at the splice, and
 * looks anyway from time to time. */
struct rings splice_rings SEC(".maps");

/* By thread: it comes and looks by itself, soon. The first event wakes it; to
 * be woken by each would cost more than what it has to do then. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_comes);
} splice_comes SEC(".maps");

static inline void tell(const struct abi_splice *splice, __u32 index)
{
	__u32 thread = splice->thread, only = 0;
	void *ring = bpf_map_lookup_elem(&splice_rings, &thread);
	volatile struct abi_comes *comes =
		bpf_map_lookup_elem(&splice_comes, &only);
	bool waits;

	if (!ring || !comes || thread >= ABI_THREADS_MAX)
		return;
	/* Bytes of a flow that goes on by the relay are waiting. */
	waits = comes->thread[thread] && splice->state != ABI_SPLICE_ABORTED;
	bpf_ringbuf_output(ring, &index, sizeof(index),
			   waits ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
}

#endif
