/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memory that the supervisor and the worker share: signs of life. */
#ifndef SNICTL_HEART_H
#define SNICTL_HEART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "../bpf/abi.h"

/* A thread that waits shows itself this often. */
#define HEART_BEAT_MS 1000

/* One that has not for so long hangs; longer than a CLI may keep the main
 * thread waiting, and far shorter than WatchdogSec= of the unit. */
#define HEART_HUNG_NS 10000000000ULL

/**
 * struct heart - of one worker; what is in it, another process wrote.
 * @serves:  the listeners are open, and all that follow beat.
 * @beat_ns: CLOCK_MONOTONIC, by thread; the main one's is the last.
 */
struct heart {
	atomic_bool serves;
	struct {
		_Alignas(64) atomic_uint_fast64_t ns;
	} beat[ABI_THREADS_MAX + 1];
};

/** heart_beat() - thread @index lives. */
static inline void heart_beat(struct heart *heart, unsigned index,
			      uint64_t now_ns)
{
	atomic_store_explicit(&heart->beat[index].ns, now_ns,
			      memory_order_relaxed);
}

#endif
