/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pinned maps: found, checked, created; and the lock of their writers. */
#ifndef SNICTL_STORE_H
#define SNICTL_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/param.h>
#include "../bpf/abi.h"
#include "error.h"
#include "paths.h"

/**
 * struct store - the maps of one bpffs folder, open.
 * @folder:      the bpffs folder, O_PATH or O_RDONLY; flock() on it is the
 *               writers' lock.
 * @pins:        the folder of the pins in it.
 * @flow_capacity: entries of @hot and @cold; @counters has ABI_THREADS_MAX.
 * @meta, @settings, @hot, @cold, @names, @sockmap_flows, @counters, @edge:
 * memory-mapped, writable if the store was opened for writing.
 *
 * One store serves all threads of a process; only its descriptors and
 * mappings are shared, no buffers.
 */
struct store {
	int folder;
	int pins;
	int listeners;
	int route_stats;
	int bans;
	int allowed;
	int edge_rates;
	int edge_counts;
	uint32_t flow_capacity;
	struct abi_meta *meta;
	struct abi_settings *settings;
	struct abi_flow_hot *hot;
	struct abi_flow_cold *cold;
	struct abi_name *names;
	struct abi_sockmap_flow *sockmap_flows;
	struct abi_counters *counters;
	struct abi_edge *edge;
};

/** store_name_count() - entries of @names. */
static inline uint32_t store_name_count(const struct store *store)
{
	return MIN(howmany(store->flow_capacity, ABI_NAME_FLOWS),
		   ABI_PLACES_MAX);
}

/** store_sockmap_count() - entries of @sockmap_flows. */
static inline uint32_t store_sockmap_count(const struct store *store)
{
	return MIN(MAX(store->flow_capacity / ABI_SOCKMAP_FLOWS,
		       ABI_SOCKMAP_FLOWS_MIN),
		   ABI_PLACES_MAX);
}

enum store_access {
	STORE_READ,
	STORE_WRITE
};

/* A store that holds nothing; what store_close() leaves behind. */
#define STORE_NONE                                                             \
	((struct store){.folder = -1,                                          \
			.pins = -1,                                            \
			.listeners = -1,                                       \
			.route_stats = -1,                                     \
			.bans = -1,                                            \
			.allowed = -1,                                         \
			.edge_rates = -1,                                      \
			.edge_counts = -1})

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

/** store_close() - unmap and close; the pins stay, a lock is let go. */
void store_close(struct store *store);

/** AUTO_STORE - a store that is closed at the end of its scope. */
#define AUTO_STORE __attribute__((cleanup(store_close))) struct store

/**
 * store_lock() - open the bpffs folder, made if absent, and wait for the
 * writers' lock.
 * @ret_store: holds the folder only; written only on success.
 * Return: as store_open(), never -ENOENT or -EPROTO.
 */
int store_lock(const struct paths *paths, struct store *ret_store,
	       struct error *error);

/** store_unlock() - let other writers in; the store stays open. */
void store_unlock(struct store *store);

/**
 * store_trylock() - the writers' lock of an open store, if nobody has it.
 * Return: 0; -EWOULDBLOCK; another -errno.
 */
int store_trylock(const struct store *store);

/**
 * store_load() - open the maps in a locked folder, for writing.
 * Return: as store_open(); with -ENOENT the way is clear for
 * store_create().
 */
int store_load(struct store *store, const struct paths *paths,
	       struct error *error);

/**
 * store_create() - make all maps but the routes, where nobody sees them yet.
 * @store:         locked; on success it is as after store_load().
 * @flow_capacity: entries of the flow arrays.
 *
 * What a dead writer left unfinished is removed first.
 * Return: 0 or -errno with a sentence.
 */
int store_create(struct store *store, const struct paths *paths,
		 uint32_t flow_capacity, struct error *error);

/**
 * store_publish() - the maps just made become the ones in force.
 * store_discard() - they are removed instead.
 */
int store_publish(struct store *store, const struct paths *paths,
		  struct error *error);
void store_discard(struct store *store);

/**
 * store_remove() - take all pins out of the folder, and the folder.
 *
 * Maps that a process has open live on unseen until it ends: the caller sees
 * to it that no agent runs. Nothing there is a success.
 *
 * Return: as store_lock().
 */
int store_remove(const struct paths *paths, struct error *error);

/**
 * store_pin() - pin a map in the folder of the pins, over another if need be.
 * store_unpin() - take a pin away. store_get() - open what is pinned.
 * @ret_fd: written only on success. Writable also for readers: the kernel
 *          lets nobody memory-map a map that was opened for reading only.
 * Return: 0 or -errno.
 */
int store_pin(const struct store *store, int map, const char *name);
int store_unpin(const struct store *store, const char *name);
int store_get(const struct store *store, const char *name, int *ret_fd);

/**
 * store_pins_visit() - the name of each pin in the folder; @visit may unpin.
 */
void store_pins_visit(const struct store *store,
		      void (*visit)(const struct store *store, const char *name,
				    void *context),
		      void *context);

/**
 * store_memory() - what the kernel holds for all maps that are pinned, those of
 * the data paths too, bytes.
 *
 * From the kernel's own account (memlock in fdinfo); on kernels that
 * estimate it, it is an estimate.
 */
uint64_t store_memory(const struct store *store);

#endif
