/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The store together with its state file: opened, restored, changed, saved.
 *
 * A writer's whole sequence:
 *
 *   state_open()              the lock; what was missing or broken off is made
 *   state_load(&now)          what the maps hold
 *   state_edit(row)           one row; or
 *   state_apply(&now, &want)  all of it
 *   state_unlock() or store_close()
 *
 * The order of a change: the new state file is written beside the old one and
 * synced (a failure here has changed nothing); abi_meta.dirty says that the
 * maps are about to change; the rename of the file is the moment from which
 * the change holds; the maps are changed; dirty is cleared. Whoever opens the
 * state after a writer's death either takes it to its end or sees that it had
 * not begun.
 */
#ifndef SNICTL_STATE_H
#define SNICTL_STATE_H

#include "config.h"
#include "store.h"

/**
 * state_open() - open the store for writing, under the writers' lock.
 * @ret_store: locked; state_unlock() lets go, store_close() too.
 *
 * Where there are no maps: creates them from the state file (an absent one
 * is an empty one with "listen add 443" and default settings). Where a
 * writer died in the middle of a change: takes it to its end.
 *
 * Return: as store_open(), never -ENOENT; -EBADMSG for a state file that
 * cannot be used: it is left as it is, nothing is created, and the sentence
 * says what is wrong with it.
 */
int state_open(const struct paths *paths, struct store *ret_store,
	       struct error *error);

/** state_unlock() - let other writers in; the store stays open. */
void state_unlock(struct store *store);

/**
 * state_load() - what the maps hold.
 * @store:      need not be locked: then it is read again if it changed
 *              meanwhile.
 * @ret_config: for config_done(); written only on success.
 * Return: 0 or -errno.
 */
int state_load(const struct store *store, struct config *ret_config,
	       struct error *error);

/**
 * state_edit() - change one row, in file and maps.
 * @store: locked.
 * Return: as config_edit(), and as state_apply().
 */
int state_edit(struct store *store, const struct paths *paths,
	       const struct config_row *row, struct error *error);

/**
 * state_apply() - make file and maps equal to a configuration.
 * @store: locked.
 * @now:   what state_load() gave under this lock.
 * @want:  checked.
 *
 * Whoever looks up a route sees all the old ones or all the new. With
 * nothing that differs only the file is written.
 *
 * Return: 0; -errno with a sentence, and nothing is changed (a state file
 * that cannot be written is one such); -EINPROGRESS where the new state
 * holds, but the maps could not be made equal to it: the next writer will.
 */
int state_apply(struct store *store, const struct paths *paths,
		const struct config *now, const struct config *want,
		struct error *error);

/**
 * state_kept_aside() - whether damaged state files were kept, and where.
 * @ret_path: "STATE.damaged-3", the latest; @size bytes; written if there
 *            is one.
 *
 * A damaged file of ours that stands in the way of a change (the maps hold
 * the truth then) is never overwritten but kept under such a name.
 *
 * Return: how many there are.
 */
unsigned state_kept_aside(const struct paths *paths, char *ret_path,
			  size_t size);

#endif
