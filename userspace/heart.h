/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memory that the supervisor and the worker share: signs of life, what is
 * in hand at a death, and which descriptors are not the worker's. */
#ifndef SNICTL_HEART_H
#define SNICTL_HEART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../bpf/abi.h"

/* A thread that waits shows itself this often. */
#define HEART_BEAT_MS 1000

/* One that has not for so long hangs; longer than a CLI may keep the main
 * thread waiting, and far shorter than WatchdogSec= of the unit. */
#define HEART_HUNG_NS 10000000000ULL

/* Room for a PROXY header and a hello. */
#define HEART_PREFACE_BYTES 69632

/* Another one for each other layout of what follows. */
#define HEART_LAYOUT 1

/* As many for each thread. */
#define HEART_PREFACES 64

/**
 * struct preface - bytes that have been taken from a client's socket, or are
 * just about to be, and that no backend's has yet.
 * @flow:     its id; 0: none.
 * @worker:   the last one that had it.
 * @outbound: they are all that the backend gets first; else as they came.
 */
struct preface {
	uint64_t flow;
	uint32_t worker;
	uint32_t length;
	uint32_t outbound;
};

/**
 * struct heart - of one worker; what is in it, another process wrote.
 * @layout:  HEART_LAYOUT.
 * @memory:  the descriptor of this memory, the supervisor's.
 * @serves:  the listeners are open, and all that follow beat.
 * @asker:   of an upgrade: a control connection that the supervisor answers;
 *           -1: none.
 * @old:     the program to go back to; -1: none. Only the supervisor writes.
 * @worker:  how many there have been.
 * @beat:    by thread; the main one's is the last.
 * @ns:      CLOCK_MONOTONIC.
 * @flow:    the id of the flow that it is at work on; 0: none.
 * @suspect: by thread, the flow that was in hand at the last death of which a
 *           flow may have been the cause.
 * @poison:  likewise those in hand at that one and the one before.
 * @preface: HEART_PREFACES by thread.
 * @bytes:   by preface; what was never used takes no memory.
 */
struct heart {
	uint32_t layout;
	int memory;
	atomic_bool serves;
	atomic_int asker;
	int old;
	uint32_t worker;
	struct {
		_Alignas(64) atomic_uint_fast64_t ns;
		atomic_uint_fast64_t flow;
	} beat[ABI_THREADS_MAX + 1];
	uint64_t suspect[ABI_THREADS_MAX];
	uint64_t poison[ABI_THREADS_MAX];
	struct preface preface[ABI_THREADS_MAX * HEART_PREFACES];
	uint8_t bytes[ABI_THREADS_MAX * HEART_PREFACES][HEART_PREFACE_BYTES];
};

/**
 * heart_open() - the memory that the main process before this one has left
 * among the open descriptors, or new one; @memory stays open for the next.
 * Return: NULL with errno.
 */
struct heart *heart_open(void);

/** heart_beat() - thread @index lives. */
static inline void heart_beat(struct heart *heart, unsigned index,
			      uint64_t now_ns)
{
	atomic_store_explicit(&heart->beat[index].ns, now_ns,
			      memory_order_relaxed);
}

/**
 * heart_keep() - room for that flow's bytes, empty.
 * Return: NULL where there is none; it will not survive us then.
 */
struct preface *heart_keep(struct heart *heart, unsigned index, uint64_t flow);

/** heart_kept() - what is kept of that flow; NULL: nothing. */
struct preface *heart_kept(struct heart *heart, uint64_t flow, bool outbound);

/** heart_add() - more bytes. Return: false where there is no room for them. */
bool heart_add(struct heart *heart, struct preface *preface, const void *bytes,
	       size_t length);

/** heart_bytes() - those that are kept. */
static inline uint8_t *heart_bytes(struct heart *heart,
				   const struct preface *preface)
{
	return heart->bytes[preface - heart->preface];
}

/** heart_forget() - give the room back. */
static inline void heart_forget(struct preface *preface)
{
	__atomic_store_n(&preface->flow, 0, __ATOMIC_RELEASE);
}

/** heart_hold() - thread @index is at work on that flow; 0: on none. */
static inline void heart_hold(struct heart *heart, unsigned index,
			      uint64_t flow)
{
	atomic_store_explicit(&heart->beat[index].flow, flow,
			      memory_order_relaxed);
}

/**
 * heart_blame() - the worker has died by itself: note what was in hand.
 */
void heart_blame(struct heart *heart);

/** heart_is_poison() - that flow was in hand at two deaths in a row. */
bool heart_is_poison(const struct heart *heart, uint64_t flow);

#endif
