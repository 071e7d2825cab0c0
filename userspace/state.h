/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The store together with its state file: opened, restored, changed, saved. */
#ifndef SNICTL_STATE_H
#define SNICTL_STATE_H

#include "store.h"

/**
 * state_open() - open the store for writing, under the writers' lock.
 * @ret_store: locked; state_unlock() lets go, store_close() too.
 *
 * Where there are no maps: creates them from the state file (an absent one
 * is an empty one with "listen add 443" and default settings). Where a
 * writer died in the middle of a change: makes the maps equal to the file.
 *
 * Return: as store_open(), never -ENOENT; -EBADMSG for a state file that
 * cannot be used (left alone, kept aside: the sentence says where).
 */
int state_open(const struct paths *paths, struct store *ret_store,
	       struct error *error);

/** state_unlock() - let other writers in; the store stays open. */
void state_unlock(struct store *store);

#endif
