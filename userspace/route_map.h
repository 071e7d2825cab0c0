/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The hash table in the routes map, as struct abi_routes describes it. Pure:
 * works on memory that somebody else has mapped. */
#ifndef SNICTL_ROUTE_MAP_H
#define SNICTL_ROUTE_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include "../bpf/abi.h"

/** route_map_record_words() - what a route takes, in words. */
uint64_t route_map_record_words(const struct abi_route *route);

/**
 * route_map_slots(), route_map_words() - how large a map is to be that holds
 * @count routes, whose records take @record_words, and some that come later.
 */
uint64_t route_map_slots(uint64_t count);
uint64_t route_map_words(uint64_t count, uint64_t record_words);

/**
 * route_map_init() - an empty table in @words words, all zero so far.
 * @slots: from route_map_slots().
 */
void route_map_init(struct abi_routes *map, uint64_t words, uint64_t slots);

/** route_map_has_room() - whether route_map_put() would find room. */
bool route_map_has_room(const struct abi_routes *map,
			const struct abi_route *route);

/**
 * route_map_put() - add or replace a route.
 *
 * Safe beside readers, who see the old one or the new, and when the writer
 * dies in it. One writer at a time.
 *
 * Return: 0 or -ENOSPC.
 */
int route_map_put(struct abi_routes *map, const struct abi_route_key *key,
		  const struct abi_route *route);

/** route_map_del() - take a route out, likewise. Return: 0 or -ENOENT. */
int route_map_del(struct abi_routes *map, const struct abi_route_key *key);

/**
 * route_map_find() - the record under a key.
 * Return: NULL if there is none; else valid as long as the map is mapped.
 */
const struct abi_route_record *route_map_find(const struct abi_routes *map,
					      const struct abi_route_key *key);

/**
 * route_map_next() - walk all records, in the order they came in.
 * @previous: NULL: the first.
 * Return: NULL behind the last.
 */
const struct abi_route_record *
route_map_next(const struct abi_routes *map,
	       const struct abi_route_record *previous);

/** route_map_name() - a record's name, @record->name_length bytes. */
const char *route_map_name(const struct abi_route_record *record);

/** route_map_alpn() - likewise, @record->alpn_length bytes. */
const char *route_map_alpn(const struct abi_route_record *record);

/** route_map_read() - a record as a route. */
void route_map_read(const struct abi_route_record *record,
		    struct abi_route *ret_route);

#endif
