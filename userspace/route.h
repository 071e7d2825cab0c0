/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Routes in their pinned map: looked up per connection, replaced as a whole. */
#ifndef SNICTL_ROUTE_H
#define SNICTL_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../bpf/abi.h"
#include "name.h"
#include "store.h"

/**
 * struct route_table - the routes map, open; each thread has its own.
 * @map:        NULL before the first look; @bytes long; readers have it
 *              mapped for reading only.
 * @generation: of abi_meta when it was opened.
 */
struct route_table {
	struct abi_routes *map;
	size_t bytes;
	uint64_t generation;
};

/**
 * struct route_query - what is known of a connection.
 * @alpn: the client's ProtocolNameList, validated; its first
 *        ROUTE_ALPN_OFFERS count.
 */
struct route_query {
	uint32_t listener_id;
	enum route_query_kind {
		ROUTE_QUERY_NAME,    /* TLS with @name */
		ROUTE_QUERY_NO_NAME, /* TLS without server name */
		ROUTE_QUERY_NOT_TLS
	} kind;
	const struct name *name;
	struct span alpn;
};

/* Clients offer two or three; a list of thousands is no reason to search for
 * thousands. */
#define ROUTE_ALPN_OFFERS 8

/** ROUTE_TABLE_NONE - a table before its first look. */
#define ROUTE_TABLE_NONE ((struct route_table){0})

/**
 * route_lookup() - the route that a connection takes.
 * @table:     opened again by itself when the map has been replaced.
 * @ret_key, @ret_route: written only on success.
 *
 * The listener's own table is searched whole, then the common one: exact,
 * wildcards from the longest, then "none" (for a client without name) and
 * "default"; a client that does not speak TLS finds "other" only. At each of
 * these a route for a protocol that the client offers, in its order, goes
 * before the one for all.
 *
 * Thread-safe for different @table. Neither allocates nor, as long as the map
 * is the same, makes a system call; candidates are bounded by abi_meta.depths.
 *
 * Return: 0, -ENOENT (no route), or another -errno.
 */
int route_lookup(const struct store *store, struct route_table *table,
		 const struct route_query *query, struct abi_route_key *ret_key,
		 struct abi_route *ret_route);

/**
 * route_walk() - route_lookup() with a witness.
 * @visit: called for each candidate in the order of precedence, with the
 *         route found there or NULL; returns true to stop. NULL @visit:
 *         stop at the first that is found.
 */
typedef bool route_visit(void *context, const struct abi_route_key *key,
			 const struct pattern *pattern,
			 const struct abi_route *route);
int route_walk(const struct store *store, struct route_table *table,
	       const struct route_query *query, route_visit *visit,
	       void *context);

/**
 * route_account() - add finished flows to their route's figures.
 * @flows: how many.
 * @bytes: of them all, by enum abi_direction.
 *
 * Serialised inside one process. Figures that cannot be kept are dropped.
 */
void route_account(const struct store *store, const struct abi_route_key *key,
		   uint64_t flows, const uint64_t bytes[2]);

/** route_account_failure() - note a target that could not be reached. */
void route_account_failure(const struct store *store,
			   const struct abi_route_key *key,
			   const struct abi_endpoint *target, int error);

/**
 * route_key() - where a route of that name is found.
 * @scope: a listener's id, or 0.
 */
void route_key(const struct store *store, uint32_t scope,
	       const struct pattern *pattern, struct abi_route_key *ret_key);

/** route_key_alpn() - where one is found that is only for that protocol. */
void route_key_alpn(const struct store *store, uint32_t scope,
		    const struct pattern *pattern, struct span alpn,
		    struct abi_route_key *ret_key);

/**
 * route_stats_read() - what route_account() has kept.
 * @ret_stats: all zero where there is nothing.
 * Return: 0 or -errno.
 */
int route_stats_read(const struct store *store, const struct abi_route_key *key,
		     struct abi_route_stats *ret_stats);

/**
 * route_table_open() - make sure that the table is the one in force.
 * @access: STORE_WRITE for writers.
 * Return: 0 or -errno.
 */
int route_table_open(const struct store *store, enum store_access access,
		     struct route_table *table);

/** route_table_close() - give up the map; the table may be used again. */
void route_table_close(struct route_table *table);

#endif
