// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "route_change.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include "cleanup.h"
#include "name.h"
#include "route.h"
#include "route_map.h"
#include "store_map.h"

#define AUTO_TABLE                                                             \
	__attribute__((cleanup(route_table_close))) struct route_table

/* ---- out of the map ----------------------------------------------------- */

static int append_record(const struct abi_route_record *record,
			 const struct listener_list *listeners,
			 struct config *config)
{
	struct config_route row = {.kind = record->key.kind};
	uint32_t scope = record->key.scope;
	const struct listener *on;

	if (scope) {
		on = listener_list_find(listeners, scope);
		/* The listener has just gone, its table goes next. */
		if (!on)
			return 0;
		row.scoped = true;
		row.on = on->endpoint;
	}
	route_map_read(record, &row.route);
	return config_append_route(config, &row);
}

int route_load(const struct store *store, const struct listener_list *listeners,
	       struct config *config)
{
	const struct abi_route_record *record = NULL;
	AUTO_TABLE table = ROUTE_TABLE_NONE;
	int status = route_table_open(store, STORE_READ, &table);

	while (!status && (record = route_map_next(table.map, record)))
		status = append_record(record, listeners, config);
	return status;
}

/* ---- into a new map ----------------------------------------------------- */

static void make_key(const struct store *store,
		     const struct listener_list *listeners,
		     const struct config_route *route,
		     struct abi_route_key *ret_key)
{
	uint32_t scope =
		route->scoped ? listener_list_id(listeners, &route->on) : 0;
	struct pattern pattern;

	config_route_pattern(route, &pattern);
	route_key_alpn(
		store, scope, &pattern,
		(struct span){route->route.alpn, route->route.alpn_length},
		ret_key);
}

static int fill(const struct store *store,
		const struct listener_list *listeners,
		const struct config *config, uint64_t words, int map)
{
	size_t bytes = words * sizeof(uint64_t);
	struct abi_routes *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	struct abi_route_key key;
	int status = 0;

	if (memory == MAP_FAILED)
		return -errno;
	route_map_init(memory, words, route_map_slots(config->route_count));
	for (size_t i = 0; !status && i < config->route_count; i++) {
		make_key(store, listeners, &config->routes[i], &key);
		status = route_map_put(memory, &key, &config->routes[i].route);
	}
	munmap(memory, bytes);
	return status;
}

int route_stage(const struct store *store,
		const struct listener_list *listeners,
		const struct config *config, int *ret_map, struct error *error)
{
	uint64_t words = 0;
	AUTO_FD map = -1;
	int status;

	for (size_t i = 0; i < config->route_count; i++)
		words += route_map_record_words(&config->routes[i].route);
	words = route_map_words(config->route_count, words);
	/* The kernel counts the entries of a map in 32 bits. */
	if (words > UINT32_MAX)
		return error_set(error, EXIT_FAILED, E2BIG,
				 "%zu routes are more than a map can hold",
				 config->route_count);
	status = store_map_create(STORE_ROUTES, (uint32_t)words, &map, error);
	if (status)
		return status;
	status = fill(store, listeners, config, words, map);
	if (status)
		return error_set(error, EXIT_FAILED, status,
				 "no map for %zu routes: %s",
				 config->route_count, strerror(-status));
	*ret_map = take_fd(&map);
	return 0;
}

bool route_has_room(const struct store *store, const struct config_row *row)
{
	AUTO_TABLE table = ROUTE_TABLE_NONE;

	return !route_table_open(store, STORE_READ, &table) &&
	       route_map_has_room(table.map, &row->route.route);
}

/* ---- in force ----------------------------------------------------------- */

/** struct masks - what lets a lookup leave candidates out. */
struct masks {
	uint64_t depths[2][ABI_DEPTH_WORDS];
	uint64_t scoped;
	uint64_t alpn;
};

static struct masks masks_of(const struct config *config)
{
	struct masks masks = {0};

	for (size_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];
		struct pattern pattern;
		unsigned bit;

		masks.scoped += route->scoped;
		masks.alpn += route->route.alpn_length > 0;
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
	uint64_t scoped = masks->scoped, alpn = masks->alpn;

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
	if (widen && meta->alpn_routes > alpn)
		alpn = meta->alpn_routes;
	__atomic_store_n(&meta->alpn_routes, alpn, __ATOMIC_RELEASE);
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
	__atomic_add_fetch(&store->meta->route_generation, 1, __ATOMIC_SEQ_CST);
	if (!status)
		store_masks(store, &masks, false);
	return status;
}

int route_change_row(const struct store *store,
		     const struct listener_list *listeners,
		     const struct config *config, const struct config_row *row)
{
	struct masks masks = masks_of(config);
	AUTO_TABLE table = ROUTE_TABLE_NONE;
	int status = route_table_open(store, STORE_WRITE, &table);
	struct abi_route_key key;

	if (status)
		return status;
	make_key(store, listeners, &row->route, &key);
	store_masks(store, &masks, true);
	if (row->verb == CONFIG_DEL)
		status = route_map_del(table.map, &key);
	else
		status = route_map_put(table.map, &key, &row->route.route);
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
	AUTO_TABLE table = ROUTE_TABLE_NONE;
	bool more;

	if (route_table_open(store, STORE_READ, &table))
		return;
	more = !bpf_map_get_next_key(store->route_stats, NULL, &next);
	while (more) {
		key = next;
		more = !bpf_map_get_next_key(store->route_stats, &key, &next);
		if (!route_map_find(table.map, &key))
			bpf_map_delete_elem(store->route_stats, &key);
	}
}
