// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "route_map.h"

#include <errno.h>
#include <string.h>

#define HEADER_WORDS (sizeof(struct abi_routes) / sizeof(uint64_t))
#define RECORD_WORDS (sizeof(struct abi_route_record) / sizeof(uint64_t))
/* Beside what is there: room for so many more, or a quarter more. */
#define ROOM_MIN 1024
/* Header, a target and a name of usual length. */
#define RECORD_USUAL 10
/* 2^64 divided by the golden ratio: spreads scope and kind over all bits. */
#define SPREAD 0x9e3779b97f4a7c15ULL

/* ---- size --------------------------------------------------------------- */

static uint64_t words_for(unsigned targets, unsigned text_length)
{
	size_t bytes = sizeof(struct abi_route_record) +
		       targets * sizeof(struct abi_endpoint) + text_length;

	return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static unsigned targets_of(const struct abi_route_record *record)
{
	return record->target_count + (unsigned)record->http_target_count;
}

uint64_t route_map_record_words(const struct abi_route *route)
{
	return words_for(route->target_count +
				 (unsigned)(route->http_target.family != 0),
			 route->name_length + (unsigned)route->alpn_length);
}

static uint64_t room_for(uint64_t count)
{
	return count / 4 > ROOM_MIN ? count / 4 : ROOM_MIN;
}

/* At most three slots in four are ever used: see route_map_has_room(). */
uint64_t route_map_slots(uint64_t count)
{
	uint64_t slots = 2;

	while (slots / 4 * 3 < count + room_for(count))
		slots *= 2;
	return slots;
}

uint64_t route_map_words(uint64_t count, uint64_t record_words)
{
	return HEADER_WORDS + route_map_slots(count) + record_words +
	       room_for(count) * RECORD_USUAL;
}

void route_map_init(struct abi_routes *map, uint64_t words, uint64_t slots)
{
	map->words = words;
	map->slots = slots;
	map->next = HEADER_WORDS + slots;
}

/* ---- slots -------------------------------------------------------------- */

static const uint64_t *slots_of(const struct abi_routes *map)
{
	return (const uint64_t *)(map + 1);
}

static const struct abi_route_record *record_at(const struct abi_routes *map,
						uint64_t word)
{
	return (const struct abi_route_record *)((const uint64_t *)map + word);
}

static uint64_t hash_of(const struct abi_route_key *key)
{
	return key->hash[0] +
	       (((uint64_t)key->scope << 8 | key->kind) * SPREAD);
}

static bool same_key(const struct abi_route_key *a,
		     const struct abi_route_key *b)
{
	return a->scope == b->scope && a->kind == b->kind &&
	       a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1];
}

/*
 * Where a key is: the index of its slot, with the slot's content; or where it
 * would go: the first slot on the way that is free, with @ret_slot 0.
 */
static uint64_t probe(const struct abi_routes *map,
		      const struct abi_route_key *key, uint64_t *ret_slot)
{
	const uint64_t *slots = slots_of(map);
	uint64_t mask = map->slots - 1, hash = hash_of(key);
	uint64_t free = map->slots, at = hash >> 32 & mask;

	for (;; at = (at + 1) & mask) {
		uint64_t slot = __atomic_load_n(&slots[at], __ATOMIC_ACQUIRE);

		if (slot <= ABI_SLOT_GONE && free == map->slots)
			free = at;
		if (!slot) {
			*ret_slot = 0;
			return free;
		}
		if (slot == ABI_SLOT_GONE || slot >> 32 != (uint32_t)hash)
			continue;
		if (same_key(&record_at(map, (uint32_t)slot)->key, key)) {
			*ret_slot = slot;
			return at;
		}
	}
}

const struct abi_route_record *route_map_find(const struct abi_routes *map,
					      const struct abi_route_key *key)
{
	uint64_t slot;

	probe(map, key, &slot);
	return slot ? record_at(map, (uint32_t)slot) : NULL;
}

/* ---- records ------------------------------------------------------------ */

const char *route_map_name(const struct abi_route_record *record)
{
	return (const char *)(record + 1) +
	       targets_of(record) * sizeof(struct abi_endpoint);
}

const char *route_map_alpn(const struct abi_route_record *record)
{
	return route_map_name(record) + record->name_length;
}

void route_map_read(const struct abi_route_record *record,
		    struct abi_route *ret_route)
{
	*ret_route = (struct abi_route){
		.action = record->action,
		.proxy = record->proxy,
		.datapath = record->datapath,
		.target_count = record->target_count,
		.apex = record->apex,
		.name_length = record->name_length,
		.http = record->http,
		.forwarded = record->forwarded,
		.alpn_length = record->alpn_length,
	};
	memcpy(ret_route->target, record + 1,
	       record->target_count * sizeof(struct abi_endpoint));
	if (record->http_target_count)
		memcpy(&ret_route->http_target,
		       (const struct abi_endpoint *)(record + 1) +
			       record->target_count,
		       sizeof(ret_route->http_target));
	memcpy(ret_route->alpn, route_map_alpn(record), record->alpn_length);
	memcpy(ret_route->name, route_map_name(record), record->name_length);
}

const struct abi_route_record *
route_map_next(const struct abi_routes *map,
	       const struct abi_route_record *previous)
{
	uint64_t end = __atomic_load_n(&map->next, __ATOMIC_ACQUIRE);
	uint64_t at = HEADER_WORDS + map->slots;

	if (previous)
		at = (uint64_t)((const uint64_t *)previous -
				(const uint64_t *)map) +
		     words_for(targets_of(previous),
			       previous->name_length +
				       (unsigned)previous->alpn_length);
	while (at < end) {
		const struct abi_route_record *record = record_at(map, at);

		if (!__atomic_load_n(&record->gone, __ATOMIC_RELAXED))
			return record;
		at += words_for(targets_of(record),
				record->name_length +
					(unsigned)record->alpn_length);
	}
	return NULL;
}

/* ---- write -------------------------------------------------------------- */

bool route_map_has_room(const struct abi_routes *map,
			const struct abi_route *route)
{
	return map->used < map->slots / 4 * 3 &&
	       map->next + route_map_record_words(route) <= map->words;
}

/* Returns the word of the new record, which no slot names so far. */
static uint64_t append(struct abi_routes *map, const struct abi_route_key *key,
		       const struct abi_route *route)
{
	uint64_t word = map->next;
	struct abi_route_record *record =
		(struct abi_route_record *)((uint64_t *)map + word);
	size_t targets = route->target_count * sizeof(struct abi_endpoint);
	size_t more =
		route->http_target.family ? sizeof(struct abi_endpoint) : 0;
	char *behind = (char *)(record + 1);

	*record = (struct abi_route_record){
		.key = *key,
		.action = route->action,
		.proxy = route->proxy,
		.datapath = route->datapath,
		.target_count = route->target_count,
		.apex = route->apex,
		.name_length = route->name_length,
		.http = route->http,
		.forwarded = route->forwarded,
		.http_target_count = more > 0,
		.alpn_length = route->alpn_length,
	};
	memcpy(behind, route->target, targets);
	memcpy(behind + targets, &route->http_target, more);
	memcpy(behind + targets + more, route->name, route->name_length);
	memcpy(behind + targets + more + route->name_length, route->alpn,
	       route->alpn_length);
	__atomic_store_n(&map->next, word + route_map_record_words(route),
			 __ATOMIC_RELEASE);
	return word;
}

static void set_slot(struct abi_routes *map, uint64_t at, uint64_t slot)
{
	__atomic_store_n((uint64_t *)(map + 1) + at, slot, __ATOMIC_RELEASE);
}

static void set_gone(struct abi_routes *map, uint64_t slot)
{
	struct abi_route_record *record =
		(struct abi_route_record *)((uint64_t *)map + (uint32_t)slot);

	__atomic_store_n(&record->gone, 1, __ATOMIC_RELAXED);
}

int route_map_put(struct abi_routes *map, const struct abi_route_key *key,
		  const struct abi_route *route)
{
	uint64_t old, at, word;

	if (!route_map_has_room(map, route))
		return -ENOSPC;
	at = probe(map, key, &old);
	if (!slots_of(map)[at])
		map->used++;
	word = append(map, key, route);
	set_slot(map, at, hash_of(key) << 32 | word);
	if (old)
		set_gone(map, old);
	return 0;
}

int route_map_del(struct abi_routes *map, const struct abi_route_key *key)
{
	uint64_t old, at = probe(map, key, &old);

	if (!old)
		return -ENOENT;
	set_slot(map, at, ABI_SLOT_GONE);
	set_gone(map, old);
	return 0;
}
