/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The listeners map: what the agent is to listen on. */
#ifndef SNICTL_LISTENER_H
#define SNICTL_LISTENER_H

#include <stddef.h>
#include "store.h"

/** struct listener - a row of the map. */
struct listener {
	struct abi_endpoint endpoint;
	struct abi_listener value;
};

/** struct listener_list - all rows, by port, then address. */
struct listener_list {
	size_t count;
	struct listener row[ABI_LISTENERS_MAX];
};

/**
 * listener_list_read() - all rows of one moment.
 * @ret_list:       written only on success.
 * @ret_generation: abi_meta.listener_generation of it; may be NULL.
 * Return: 0 or -errno.
 */
int listener_list_read(const struct store *store,
		       struct listener_list *ret_list,
		       uint64_t *ret_generation);

/**
 * listener_list_id() - a listener's id, the scope of its own routes.
 * Return: 0 if it is not in the list.
 */
uint32_t listener_list_id(const struct listener_list *list,
			  const struct abi_endpoint *endpoint);

/** listener_list_find() - by id; NULL if it is not in the list. */
const struct listener *listener_list_find(const struct listener_list *list,
					  uint32_t id);

/**
 * listener_put() - add or replace a row. For writers, under the lock.
 * @listener: with its id.
 * Return: 0 or -errno.
 */
int listener_put(const struct store *store, const struct listener *listener);

/** listener_del() - take a row out. Return: 0 or -errno. */
int listener_del(const struct store *store,
		 const struct abi_endpoint *endpoint);

#endif
