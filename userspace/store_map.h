/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of a store as the kernel knows them; for store*.c and route*.c. */
#ifndef SNICTL_STORE_MAP_H
#define SNICTL_STORE_MAP_H

#include <stdbool.h>
#include "store.h"

/* The folder of the pins, and where it is made before it is in force. */
#define STORE_TEXT(number) #number
#define STORE_VERSION(number) "v" STORE_TEXT(number)
#define STORE_PINS STORE_VERSION(ABI_VERSION)
#define STORE_PINS_NEW STORE_PINS "_new"

/**
 * struct store_map - the shape of a map.
 * @entries: 0: as many as whoever makes it wants.
 */
struct store_map {
	const char *name;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries;
	uint32_t flags;
};

enum store_map_index {
	STORE_META,
	STORE_SETTINGS,
	STORE_LISTENERS,
	STORE_ROUTES,
	STORE_ROUTE_STATS,
	STORE_FLOW_HOT,
	STORE_FLOW_COLD,
	STORE_NAMES,
	STORE_SOCKMAP_FLOWS,
	STORE_COUNTERS,
	STORE_BANS,
	STORE_ALLOWED,
	STORE_EDGE,
	STORE_EDGE_RATES,
	STORE_EDGE_COUNTS,
	STORE_MAP_COUNT
};

extern const struct store_map store_maps[STORE_MAP_COUNT];

/**
 * store_map_create() - a new map, not pinned.
 * @entries: where the shape leaves it open, else 0.
 * @ret_fd:  written only on success.
 * Return: 0, or -errno with a sentence that names the missing right or the
 * missing feature of the kernel.
 */
int store_map_create(enum store_map_index index, uint32_t entries, int *ret_fd,
		     struct error *error);

/**
 * store_attach() - open the pins in the folder @store->pins.
 * @fresh: they have just been made: their contents are not looked at.
 * Return: as store_open().
 */
int store_attach(struct store *store, const char *path,
		 enum store_access access, bool fresh, struct error *error);

#endif
