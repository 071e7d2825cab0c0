/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pinned maps: found, checked, created; and the lock of their writers. */
#ifndef SNICTL_STORE_H
#define SNICTL_STORE_H

#include "../bpf/abi.h"
#include "error.h"
#include "paths.h"

/**
 * struct store - the maps of one bpffs folder, open.
 * @folder:      the bpffs folder, O_PATH or O_RDONLY; flock() on it is the
 *               writers' lock.
 * @pins:        the folder "v1" in it.
 * @meta, @settings, @hot, @cold, @counters: memory-mapped, writable if the
 *               store was opened for writing. @hot and @cold have
 *               meta->flow_capacity entries, @counters ABI_THREADS_MAX.
 *
 * One store serves all threads of a process; only its descriptors and
 * mappings are shared, no buffers.
 */
struct store {
	int folder;
	int pins;
	int listeners;
	int route_stats;
	struct abi_meta *meta;
	struct abi_settings *settings;
	struct abi_flow_hot *hot;
	struct abi_flow_cold *cold;
	struct abi_counters *counters;
};

enum store_access {
	STORE_READ,
	STORE_WRITE
};

/**
 * store_open() - open maps that are there.
 * @ret_store: to be given to store_close(); written only on success.
 *
 * Return: 0; -ENOENT (nothing is loaded), -ENOTSUP (no bpffs there),
 * -EPROTO (a foreign ABI): EXIT_NOT_LOADED; -EPERM (which right is missing)
 * and others: EXIT_FAILED. All with a sentence.
 */
int store_open(const struct paths *paths, enum store_access access,
	       struct store *ret_store, struct error *error);

/** store_close() - unmap and close; the pins stay. */
void store_close(struct store *store);

#endif
