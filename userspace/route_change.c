// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "route_change.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "cleanup.h"
#include "name.h"
#include "route.h"
#include "store_map.h"

/* Rows a system call moves. The kernel hands out whole buckets: this is far
 * more than any bucket has. */
#define BATCH 1024
/* A refill of the kernel's per-CPU cache of rows may come too late for a long
 * batch; it is asked again so often before that counts as out of memory. */
#define REFILL_TRIES 100
/* The smallest map, and its fill: at most 3/4, so that a row can be added. */
#define ENTRIES_MIN 65536

/** struct batch - rows on their way into or out of the kernel. */
struct batch {
	struct abi_route_key keys[BATCH];
	struct abi_route values[BATCH];
};

/* ---- out of the kernel -------------------------------------------------- */

static int append_batch(const struct batch *batch, uint32_t count,
			const struct listener_list *listeners,
			struct config *config)
{
	for (uint32_t i = 0; i < count; i++) {
		struct config_route row = {.route = batch->values[i],
					   .kind = batch->keys[i].kind};
		uint32_t scope = batch->keys[i].scope;
		const struct listener *on =
			scope ? listener_list_find(listeners, scope) : NULL;
		int status;

		/* A table of a listener that is gone: no lookup finds it. */
		if (scope && !on)
			continue;
		row.scoped = on != NULL;
		if (on)
			row.on = on->endpoint;
		status = config_append_route(config, &row);
		if (status)
			return status;
	}
	return 0;
}

int route_load(const struct store *store, const struct listener_list *listeners,
	       struct config *config)
{
	AUTO_FREE struct batch *batch = malloc(sizeof(*batch));
	uint32_t position, count;
	AUTO_FD map = -1;
	bool first = true, last;
	int status;

	if (!batch)
		return -ENOMEM;
	status = store_get(store, ABI_MAP_ROUTES, STORE_READ, &map);
	if (status)
		return status;
	do {
		count = BATCH;
		status = bpf_map_lookup_batch(map, first ? NULL : &position,
					      &position, batch->keys,
					      batch->values, &count, NULL);
		last = status == -ENOENT;
		if (status && !last)
			return status;
		status = append_batch(batch, count, listeners, config);
		first = false;
	} while (!status && !last);
	return status;
}

/* ---- into a new map ----------------------------------------------------- */

static uint32_t entries_for(size_t count)
{
	uint32_t entries = ENTRIES_MIN;

	while (entries < UINT32_MAX / 2 && count > entries / 4 * 3)
		entries *= 2;
	return entries;
}

static void make_key(const struct store *store,
		     const struct listener_list *listeners,
		     const struct config_route *route,
		     struct abi_route_key *ret_key)
{
	uint32_t scope =
		route->scoped ? listener_list_id(listeners, &route->on) : 0;
	struct pattern pattern;

	config_route_pattern(route, &pattern);
	route_key(store, scope, &pattern, ret_key);
}

static int push_batch(int map, const struct batch *batch, uint32_t count)
{
	uint32_t done = 0;

	for (unsigned tries = 0; done < count;) {
		uint32_t step = count - done;
		int status =
			bpf_map_update_batch(map, &batch->keys[done],
					     &batch->values[done], &step, NULL);

		if (status && (status != -ENOMEM || ++tries == REFILL_TRIES))
			return status;
		done += step;
		if (status)
			sched_yield();
	}
	return 0;
}

static int fill(const struct store *store,
		const struct listener_list *listeners,
		const struct config *config, int map)
{
	AUTO_FREE struct batch *batch = malloc(sizeof(*batch));
	uint32_t count = 0;
	int status = 0;

	if (!batch)
		return -ENOMEM;
	for (size_t i = 0; !status && i < config->route_count; i++) {
		make_key(store, listeners, &config->routes[i],
			 &batch->keys[count]);
		batch->values[count++] = config->routes[i].route;
		if (count < BATCH && i + 1 < config->route_count)
			continue;
		status = push_batch(map, batch, count);
		count = 0;
	}
	return status;
}

int route_stage(const struct store *store,
		const struct listener_list *listeners,
		const struct config *config, int *ret_map, struct error *error)
{
	AUTO_FD map = -1;
	int status = store_map_create(
		STORE_ROUTES, entries_for(config->route_count), &map, error);

	if (status)
		return status;
	status = fill(store, listeners, config, map);
	if (status)
		return error_set(error, EXIT_FAILED, status,
				 "no map for %zu routes: %s",
				 config->route_count, strerror(-status));
	*ret_map = take_fd(&map);
	return 0;
}

bool route_has_room(const struct store *store, size_t count)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	AUTO_FD map = -1;

	return !store_get(store, ABI_MAP_ROUTES, STORE_READ, &map) &&
	       !bpf_obj_get_info_by_fd(map, &info, &size) &&
	       count <= info.max_entries / 4 * 3;
}

/* ---- in force ----------------------------------------------------------- */

/** struct masks - what lets a lookup leave candidates out. */
struct masks {
	uint64_t depths[2][ABI_DEPTH_WORDS];
	uint64_t scoped;
};

static struct masks masks_of(const struct config *config)
{
	struct masks masks = {0};

	for (size_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];
		struct pattern pattern;
		unsigned bit;

		masks.scoped += route->scoped;
		if (route->kind != ABI_ROUTE_WILDCARD)
			continue;
		config_route_pattern(route, &pattern);
		bit = name_labels(&pattern.name) - 1;
		masks.depths[route->scoped][bit / 64] |= UINT64_C(1)
							 << bit % 64;
	}
	return masks;
}

static void store_masks(const struct store *store, const struct masks *masks,
			bool widen)
{
	struct abi_meta *meta = store->meta;
	uint64_t scoped = masks->scoped;

	for (unsigned i = 0; i < 2 * ABI_DEPTH_WORDS; i++) {
		__u64 *word =
			&meta->depths[i / ABI_DEPTH_WORDS][i % ABI_DEPTH_WORDS];
		uint64_t bits =
			masks->depths[i / ABI_DEPTH_WORDS][i % ABI_DEPTH_WORDS];

		__atomic_store_n(word, widen ? *word | bits : bits,
				 __ATOMIC_RELEASE);
	}
	if (widen && meta->scoped_routes > scoped)
		scoped = meta->scoped_routes;
	__atomic_store_n(&meta->scoped_routes, scoped, __ATOMIC_RELEASE);
}

static void next_generation(const struct store *store)
{
	__atomic_add_fetch(&store->meta->route_generation, 1, __ATOMIC_SEQ_CST);
}

/*
 * The masks cover the old and the new routes before the first of the new can
 * be found, and lose what only the old ones needed after everybody has been
 * told: who looks up with the old generation then looks again.
 */
int route_publish(const struct store *store, int map,
		  const struct config *config)
{
	struct masks masks = masks_of(config);
	int status;

	store_masks(store, &masks, true);
	status = store_pin(store, map, ABI_MAP_ROUTES);
	next_generation(store);
	if (!status)
		store_masks(store, &masks, false);
	return status;
}

int route_change_row(const struct store *store,
		     const struct listener_list *listeners,
		     const struct config *config, const struct config_row *row)
{
	struct masks masks = masks_of(config);
	struct abi_route_key key;
	AUTO_FD map = -1;
	int status = store_get(store, ABI_MAP_ROUTES, STORE_WRITE, &map);

	if (status)
		return status;
	make_key(store, listeners, &row->route, &key);
	store_masks(store, &masks, true);
	if (row->verb == CONFIG_DEL)
		status = bpf_map_delete_elem(map, &key);
	else
		status = bpf_map_update_elem(map, &key, &row->route.route,
					     BPF_ANY);
	next_generation(store);
	if (status)
		return status;
	store_masks(store, &masks, false);
	if (row->verb != CONFIG_REPLACE)
		bpf_map_delete_elem(store->route_stats, &key);
	return 0;
}

void route_prune_stats(const struct store *store)
{
	struct abi_route_key key, next;
	struct abi_route route;
	AUTO_FD map = -1;
	bool more;

	if (store_get(store, ABI_MAP_ROUTES, STORE_READ, &map))
		return;
	more = !bpf_map_get_next_key(store->route_stats, NULL, &next);
	while (more) {
		key = next;
		more = !bpf_map_get_next_key(store->route_stats, &key, &next);
		if (bpf_map_lookup_elem(map, &key, &route) && errno == ENOENT)
			bpf_map_delete_elem(store->route_stats, &key);
	}
}
