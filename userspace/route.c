// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "route.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <sodium/crypto_shorthash_siphash24.h>
#include <string.h>
#include <time.h>
#include "cleanup.h"

_Static_assert(crypto_shorthash_siphashx24_BYTES ==
		       sizeof(((struct abi_route_key *)0)->hash),
	       "abi_route_key.hash");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES ==
		       sizeof(((struct abi_meta *)0)->hash_key),
	       "abi_meta.hash_key");

/* ---- keys --------------------------------------------------------------- */

static void make_key(const struct store *store, uint32_t scope, uint8_t kind,
		     const char *name, size_t length,
		     struct abi_route_key *ret_key)
{
	*ret_key = (struct abi_route_key){.scope = scope, .kind = kind};
	if (length)
		crypto_shorthash_siphashx24((unsigned char *)ret_key->hash,
					    (const unsigned char *)name, length,
					    store->meta->hash_key);
}

void route_key(const struct store *store, uint32_t scope,
	       const struct pattern *pattern, struct abi_route_key *ret_key)
{
	make_key(store, scope, pattern->kind, pattern->name.text,
		 pattern->name.length, ret_key);
}

/* ---- the open map ------------------------------------------------------- */

static uint64_t generation(const struct store *store)
{
	return __atomic_load_n(&store->meta->route_generation,
			       __ATOMIC_ACQUIRE);
}

/* The generation is read before the map is opened: a map that is newer than
 * it says is opened once more the next time, an older one never stays. */
static int refresh(const struct store *store, struct route_table *table)
{
	uint64_t now = generation(store);
	int map, status;

	if (table->fd >= 0 && table->generation == now)
		return 0;
	status = store_get(store, ABI_MAP_ROUTES, STORE_READ, &map);
	if (status)
		return status;
	route_table_close(table);
	table->fd = map;
	table->generation = now;
	return 0;
}

void route_table_close(struct route_table *table)
{
	cleanup_fd(&table->fd);
	*table = ROUTE_TABLE_NONE;
}

/* ---- search ------------------------------------------------------------- */

/** struct search - one search, and what it has found: @status 0. */
struct search {
	const struct store *store;
	const struct route_table *table;
	const struct route_query *query;
	route_visit *visit;
	void *context;
	struct abi_route_key *key;
	struct abi_route *route;
	int status;
};

/** struct candidate - a route that would match if it were there. */
struct candidate {
	uint32_t scope;
	uint8_t kind;
	bool apex; /* only as ".name" */
	const char *name;
	size_t length;
};

static bool tell(const struct search *search, const struct candidate *at,
		 bool found)
{
	struct pattern pattern = {.kind = at->kind, .apex = at->apex};

	if (!search->visit)
		return found;
	if (found)
		pattern.apex = search->route->apex;
	pattern.name.length = (uint8_t)at->length;
	memcpy(pattern.name.text, at->name, at->length);
	return search->visit(search->context, search->key, &pattern,
			     found ? search->route : NULL);
}

/* Returns true where the search is over. */
static bool look(struct search *search, const struct candidate *at)
{
	const struct abi_route *route = search->route;
	bool found;

	make_key(search->store, at->scope, at->kind, at->name, at->length,
		 search->key);
	found = !bpf_map_lookup_elem(search->table->fd, search->key,
				     search->route);
	if (!found && errno != ENOENT) {
		search->status = -errno;
		return true;
	}
	/* The hash finds, the name decides. */
	found = found && route->name_length == at->length &&
		!memcmp(route->name, at->name, at->length) &&
		(!at->apex || route->apex);
	if (!tell(search, at, found))
		return false;
	search->status = found ? 0 : -ENOENT;
	return true;
}

static bool look_nameless(struct search *search, uint32_t scope, uint8_t kind)
{
	struct candidate at = {.scope = scope, .kind = kind, .name = ""};

	return look(search, &at);
}

/* From the longest: the name itself, which only ".name" covers, then the
 * domains above it, each if there are wildcards of so many labels at all. */
static bool look_wildcards(struct search *search, uint32_t scope)
{
	const __u64 *depths = search->store->meta->depths[scope ? 1 : 0];
	const struct name *name = search->query->name;
	const char *text = name->text, *end = text + name->length;
	unsigned labels = name_labels(name) - 1;
	struct candidate at = {scope, ABI_ROUTE_WILDCARD, true, NULL, 0};

	for (;; labels--, at.apex = false) {
		uint64_t word =
			__atomic_load_n(&depths[labels / 64], __ATOMIC_RELAXED);

		at.name = text;
		at.length = (size_t)(end - text);
		if (word >> labels % 64 & 1 && look(search, &at))
			return true;
		if (!labels)
			return false;
		text = (const char *)memchr(text, '.', at.length) + 1;
	}
}

static bool look_in_table(struct search *search, uint32_t scope)
{
	const struct route_query *query = search->query;
	struct candidate exact = {.scope = scope, .kind = ABI_ROUTE_EXACT};

	switch (query->kind) {
	case ROUTE_QUERY_NOT_TLS:
		return look_nameless(search, scope, ABI_ROUTE_OTHER);
	case ROUTE_QUERY_NO_NAME:
		return look_nameless(search, scope, ABI_ROUTE_NONE) ||
		       look_nameless(search, scope, ABI_ROUTE_DEFAULT);
	case ROUTE_QUERY_NAME:
		break;
	}
	exact.name = query->name->text;
	exact.length = query->name->length;
	return look(search, &exact) || look_wildcards(search, scope) ||
	       look_nameless(search, scope, ABI_ROUTE_DEFAULT);
}

static int look_in_tables(struct search *search)
{
	const uint64_t *scoped =
		(uint64_t *)&search->store->meta->scoped_routes;
	uint32_t scope = search->query->listener_id;

	search->status = -ENOENT;
	if (scope && __atomic_load_n(scoped, __ATOMIC_RELAXED) &&
	    look_in_table(search, scope))
		return search->status;
	look_in_table(search, 0);
	return search->status;
}

int route_lookup(const struct store *store, struct route_table *table,
		 const struct route_query *query, struct abi_route_key *ret_key,
		 struct abi_route *ret_route)
{
	struct abi_route_key key;
	struct abi_route route;
	struct search search = {.store = store,
				.table = table,
				.query = query,
				.key = &key,
				.route = &route};
	int status;

	/*
	 * A writer may have changed masks and rows meanwhile, and the memory
	 * of a row taken out may hold another one while it is being copied.
	 * Every change also changes the generation, so that a search under
	 * one generation saw one state. The fence keeps the loads of the
	 * masks before the second look at it.
	 */
	do {
		status = refresh(store, table);
		if (status)
			return status;
		status = look_in_tables(&search);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (generation(store) != table->generation);
	if (status)
		return status;
	*ret_key = key;
	*ret_route = route;
	return 0;
}

int route_walk(const struct store *store, struct route_table *table,
	       const struct route_query *query, route_visit *visit,
	       void *context)
{
	struct abi_route_key key;
	struct abi_route route;
	struct search search = {store,	 table, query,	visit,
				context, &key,	&route, 0};
	int status = refresh(store, table);

	return status ? status : look_in_tables(&search);
}

/* ---- figures ------------------------------------------------------------ */

/* Reading, adding and writing back is one step to all threads. */
static pthread_mutex_t account_lock = PTHREAD_MUTEX_INITIALIZER;

int route_stats_read(const struct store *store, const struct abi_route_key *key,
		     struct abi_route_stats *ret_stats)
{
	if (!bpf_map_lookup_elem(store->route_stats, key, ret_stats))
		return 0;
	if (errno != ENOENT)
		return -errno;
	*ret_stats = (struct abi_route_stats){0};
	return 0;
}

void route_account(const struct store *store, const struct abi_route_key *key,
		   const uint64_t bytes[2])
{
	struct abi_route_stats stats;

	pthread_mutex_lock(&account_lock);
	if (!route_stats_read(store, key, &stats)) {
		stats.flows++;
		stats.bytes[ABI_FROM_CLIENT] += bytes[ABI_FROM_CLIENT];
		stats.bytes[ABI_FROM_BACKEND] += bytes[ABI_FROM_BACKEND];
		bpf_map_update_elem(store->route_stats, key, &stats, BPF_ANY);
	}
	pthread_mutex_unlock(&account_lock);
}

void route_account_failure(const struct store *store,
			   const struct abi_route_key *key,
			   const struct abi_endpoint *target, int error)
{
	struct abi_route_stats stats;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&account_lock);
	if (!route_stats_read(store, key, &stats)) {
		stats.failures++;
		stats.failure_ns = (uint64_t)now.tv_sec * 1000000000ULL +
				   (uint64_t)now.tv_nsec;
		stats.failure_target = *target;
		stats.failure_errno = (uint32_t)(error < 0 ? -error : error);
		bpf_map_update_elem(store->route_stats, key, &stats, BPF_ANY);
	}
	pthread_mutex_unlock(&account_lock);
}
