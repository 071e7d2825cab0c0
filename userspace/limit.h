/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many flows and pending hellos each source has: an address, or the /64
 * of an IPv6 address. Shared by all threads. */
#ifndef SNICTL_LIMIT_H
#define SNICTL_LIMIT_H

#include <pthread.h>
#include <stdint.h>
#include "../bpf/abi.h"

#define LIMIT_SHARDS 64
#define LIMIT_BUCKETS 256

/** struct source - one source; released when nothing counts there. */
struct source {
	struct source *next;
	__u8 prefix[16];
	__u32 flows;
	__u32 pending;
	__u16 shard;
	__u16 bucket;
};

struct limits {
	struct limit_shard {
		pthread_mutex_t lock;
		struct source *bucket[LIMIT_BUCKETS];
	} shard[LIMIT_SHARDS];
};

/** limits_init() - nothing counted yet. */
void limits_init(struct limits *limits);

/**
 * struct limit_rules - what one source may have.
 * @ipv4_bits, @ipv6_bits:   of an address that are one source.
 * @max_flows, @max_pending: 0: no limit.
 */
struct limit_rules {
	unsigned ipv4_bits;
	unsigned ipv6_bits;
	uint64_t max_flows;
	uint64_t max_pending;
};

/**
 * limit_enter() - count a new flow, pending until limit_settle().
 * @ret_limit: which one is reached; written only where NULL is returned.
 *
 * Return: the source, to be given to limit_leave(), or NULL if one of the
 * limits is reached (or memory is short), and then nothing is counted.
 */
struct source *limit_enter(struct limits *limits,
			   const struct abi_endpoint *client,
			   const struct limit_rules *rules,
			   enum abi_limit *ret_limit);

/** limit_settle() - the flow's hello is no longer pending. */
void limit_settle(struct limits *limits, struct source *source);

/** limit_leave() - the flow has ended; @source may be freed by it. */
void limit_leave(struct limits *limits, struct source *source);

#endif
