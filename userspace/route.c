// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "route.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <sodium/crypto_shorthash_siphash24.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "cleanup.h"
#include "route_map.h"

_Static_assert(crypto_shorthash_siphashx24_BYTES ==
		       sizeof(((struct abi_route_key *)0)->hash),
	       "abi_route_key.hash");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES ==
		       sizeof(((struct abi_meta *)0)->hash_key),
	       "abi_meta.hash_key");

/* ---- keys --------------------------------------------------------------- */

static void make_key(const struct store *store, uint32_t scope, uint8_t kind,
		     struct span name, struct span alpn,
		     struct abi_route_key *ret_key)
{
	unsigned char both[ABI_NAME_MAX + 1 + ABI_ALPN_MAX];

	*ret_key = (struct abi_route_key){.scope = scope, .kind = kind};
	if (alpn.length) {
		if (name.length)
			memcpy(both, name.data, name.length);
		both[name.length] = '\0';
		memcpy(both + name.length + 1, alpn.data, alpn.length);
		name = (struct span){both, name.length + 1 + alpn.length};
	}
	if (name.length)
		crypto_shorthash_siphashx24((unsigned char *)ret_key->hash,
					    name.data, name.length,
					    store->meta->hash_key);
}

void route_key(const struct store *store, uint32_t scope,
	       const struct pattern *pattern, struct abi_route_key *ret_key)
{
	route_key_alpn(store, scope, pattern, (struct span){NULL, 0}, ret_key);
}

void route_key_alpn(const struct store *store, uint32_t scope,
		    const struct pattern *pattern, struct span alpn,
		    struct abi_route_key *ret_key)
{
	make_key(store, scope, pattern->kind,
		 (struct span){(const uint8_t *)pattern->name.text,
			       pattern->name.length},
		 alpn, ret_key);
}

/* ---- the open map ------------------------------------------------------- */

static uint64_t generation(const struct store *store)
{
	return __atomic_load_n(&store->meta->route_generation,
			       __ATOMIC_ACQUIRE);
}

static int map_routes(const struct store *store, enum store_access access,
		      struct route_table *ret_table)
{
	int protection =
		access == STORE_READ ? PROT_READ : PROT_READ | PROT_WRITE;
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	AUTO_FD fd = -1;
	size_t bytes;
	void *map;
	int status;

	status = store_get(store, ABI_MAP_ROUTES, &fd);
	if (!status)
		status = bpf_obj_get_info_by_fd(fd, &info, &size);
	if (status)
		return status;
	bytes = (size_t)info.max_entries * info.value_size;
	map = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ret_table->map = map;
	ret_table->bytes = bytes;
	return 0;
}

/* The generation is read before the map is opened: a map that is newer than
 * it says is opened once more the next time, an older one never stays. */
int route_table_open(const struct store *store, enum store_access access,
		     struct route_table *table)
{
	struct route_table fresh = {.generation = generation(store)};
	int status;

	if (table->map && table->generation == fresh.generation)
		return 0;
	status = map_routes(store, access, &fresh);
	if (status)
		return status;
	route_table_close(table);
	*table = fresh;
	return 0;
}

void route_table_close(struct route_table *table)
{
	if (table->map)
		munmap(table->map, table->bytes);
	*table = ROUTE_TABLE_NONE;
}

/* ---- search ------------------------------------------------------------- */

/** struct search - one search, and what it has found. */
struct search {
	const struct store *store;
	const struct route_table *table;
	const struct route_query *query;
	route_visit *visit;
	void *context;
	struct abi_route_key key;
	const struct abi_route_record *found;
};

/** struct candidate - a route that would match if it were there. */
struct candidate {
	uint32_t scope;
	uint8_t kind;
	bool apex; /* only as ".name" */
	const char *name;
	size_t length;
	struct span alpn;
};

static bool tell(const struct search *search, const struct candidate *at)
{
	struct pattern pattern = {.kind = at->kind, .apex = at->apex};
	const struct abi_route_record *found = search->found;
	struct abi_route route;

	if (found) {
		route_map_read(found, &route);
		pattern.apex = route.apex;
	}
	pattern.name.length = (uint8_t)at->length;
	memcpy(pattern.name.text, at->name, at->length);
	return search->visit(search->context, &search->key, &pattern,
			     found ? &route : NULL);
}

/* Returns true where the search is over. */
static bool look_at(struct search *search, const struct candidate *at)
{
	const struct abi_route_record *found;

	make_key(search->store, at->scope, at->kind,
		 (struct span){(const uint8_t *)at->name, at->length}, at->alpn,
		 &search->key);
	found = route_map_find(search->table->map, &search->key);
	/* The hash finds, the name decides. */
	if (found && (found->name_length != at->length ||
		      memcmp(route_map_name(found), at->name, at->length) ||
		      found->alpn_length != at->alpn.length ||
		      (at->apex && !found->apex)))
		found = NULL;
	search->found = found;
	return search->visit ? tell(search, at) : found != NULL;
}

/* First for each protocol that the client offers. */
static bool look(struct search *search, const struct candidate *at)
{
	struct span offers = search->query->alpn;
	struct candidate with = *at;

	if (!offers.length ||
	    !__atomic_load_n(&search->store->meta->alpn_routes,
			     __ATOMIC_RELAXED))
		return look_at(search, at);
	for (unsigned i = 0;
	     i < ROUTE_ALPN_OFFERS && span_take_block(&offers, 1, &with.alpn);
	     i++) {
		if (with.alpn.length <= ABI_ALPN_MAX && look_at(search, &with))
			return true;
	}
	return look_at(search, at);
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
	struct candidate at = {
		.scope = scope, .kind = ABI_ROUTE_WILDCARD, .apex = true};

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

static void look_in_tables(struct search *search)
{
	const __u64 *scoped = &search->store->meta->scoped_routes;
	uint32_t scope = search->query->listener_id;

	if (scope && __atomic_load_n(scoped, __ATOMIC_RELAXED) &&
	    look_in_table(search, scope))
		return;
	look_in_table(search, 0);
}

int route_lookup(const struct store *store, struct route_table *table,
		 const struct route_query *query, struct abi_route_key *ret_key,
		 struct abi_route *ret_route)
{
	struct search search = {.store = store, .table = table, .query = query};

	/*
	 * With the map of one generation goes a mask that covers it. If the
	 * generation is another one afterwards, the mask may have been the
	 * next one's. The fence keeps its loads before the second look.
	 */
	do {
		int status = route_table_open(store, STORE_READ, table);

		if (status)
			return status;
		look_in_tables(&search);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (generation(store) != table->generation);
	if (!search.found)
		return -ENOENT;
	*ret_key = search.key;
	route_map_read(search.found, ret_route);
	return 0;
}

int route_walk(const struct store *store, struct route_table *table,
	       const struct route_query *query, route_visit *visit,
	       void *context)
{
	struct search search = {.store = store,
				.table = table,
				.query = query,
				.visit = visit,
				.context = context};
	int status = route_table_open(store, STORE_READ, table);

	if (status)
		return status;
	look_in_tables(&search);
	return search.found ? 0 : -ENOENT;
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
		   uint64_t flows, const uint64_t bytes[2])
{
	struct abi_route_stats stats;

	pthread_mutex_lock(&account_lock);
	if (!route_stats_read(store, key, &stats)) {
		stats.flows += flows;
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
