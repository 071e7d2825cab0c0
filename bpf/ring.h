/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the programs tell the agent's threads something: a ring each. */
#ifndef SNICTL_RING_H
#define SNICTL_RING_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
};

/* By index of the thread. */
struct rings {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ABI_THREADS_MAX);
	__type(key, __u32);
	__array(values, struct ring);
};

#endif
