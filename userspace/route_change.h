/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The routes map, for writers under the lock.
 *
 * One row is changed in place; more than one are staged in a new map that is
 * pinned over the old one, so that a lookup sees all the old or all the new.
 */
#ifndef SNICTL_ROUTE_CHANGE_H
#define SNICTL_ROUTE_CHANGE_H

#include "config.h"
#include "listener.h"

/**
 * route_load() - append all rows of the map to a configuration, unsorted.
 * @listeners: give the listeners' own tables their names.
 * Return: 0 or -errno.
 */
int route_load(const struct store *store, const struct listener_list *listeners,
	       struct config *config);

/**
 * route_stage() - a new map that holds the routes of a configuration.
 * @listeners: with an id for each that has a table of its own.
 * @ret_map:   not pinned; written only on success.
 * Return: 0 or -errno with a sentence; nothing is changed so far.
 */
int route_stage(const struct store *store,
		const struct listener_list *listeners,
		const struct config *config, int *ret_map, struct error *error);

/** route_publish() - put a staged map in force. Return: 0 or -errno. */
int route_publish(const struct store *store, int map,
		  const struct config *config);

/** route_has_room() - whether a row may be added or replaced in place. */
bool route_has_room(const struct store *store, const struct config_row *row);

/**
 * route_change_row() - add, replace or delete one row in place.
 * @config: as it is to be afterwards.
 * Return: 0 or -errno.
 */
int route_change_row(const struct store *store,
		     const struct listener_list *listeners,
		     const struct config *config, const struct config_row *row);

/** route_prune_stats() - drop the figures of routes that are gone. */
void route_prune_stats(const struct store *store);

#endif
