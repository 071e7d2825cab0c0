/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verdict program and its maps, loaded; the rings it tells its news by. */
#ifndef SNICTL_SOCKMAP_H
#define SNICTL_SOCKMAP_H

#include <stdbool.h>
#include <stdint.h>
#include "../bpf/abi.h"
#include "error.h"
#include "store.h"

struct ring_buffer;
struct sockmap_bpf;

/**
 * struct sockmap - one loaded object. Of the agent's the first three maps are
 * pinned: what is in them goes on without one.
 * @cookies, @targets, @verdicts: maps, see bpf/sockmap.bpf.c.
 * @hold:     the filter for a socket that is being taken out.
 * @rings:    by thread.
 */
struct sockmap {
	struct sockmap_bpf *bpf;
	int cookies;
	int targets;
	int verdicts;
	int hold;
	unsigned threads;
	int ring_fd[ABI_THREADS_MAX];
	struct ring_buffer *rings[ABI_THREADS_MAX];
};

/**
 * sockmap_open() - load program and maps, attach, make the rings.
 * @store:       where the maps are pinned, or are to be; NULL: nowhere.
 * @flows:       descriptor of the map of struct abi_sockmap_flow; not kept.
 * @capacity:    its entries.
 * @threads:     rings, 1..ABI_THREADS_MAX.
 * @guarded:     false for a test of the kernel: limits are ignored.
 * @ret_sockmap: for sockmap_close(); written only on success.
 *
 * Return: 0, or -errno with a sentence.
 */
int sockmap_open(const struct store *store, int flows, uint32_t capacity,
		 unsigned threads, bool guarded, struct sockmap **ret_sockmap,
		 struct error *error);

/** sockmap_program_hash() - of the programs, before they are loaded. */
uint64_t sockmap_program_hash(void);

/** sockmap_close() - unload; NULL: nothing. No socket is in the maps. */
void sockmap_close(struct sockmap *sockmap);

/** sockmap_ring() - a descriptor that is readable while a thread has news. */
int sockmap_ring(const struct sockmap *sockmap, unsigned thread);

/**
 * sockmap_news() - take a thread's news.
 * @each: called with an index, 2 * slot + direction, for each.
 */
void sockmap_news(struct sockmap *sockmap, unsigned thread,
		  void (*each)(void *context, uint32_t index), void *context);

/** sockmap_lost() - how often a ring was full, since the load. */
uint64_t sockmap_lost(const struct sockmap *sockmap);

#endif
