/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's system user has the folders, and root writes there too. */
#ifndef SNICTL_OWNER_H
#define SNICTL_OWNER_H

/**
 * owner_give() - give what was just made to the owner of its folder.
 * @folder: open; -1: nothing is done.
 * @name:   in there; a symbolic link is not followed.
 *
 * Who has no right to do so owns both anyway.
 */
void owner_give(int folder, const char *name);

#endif
