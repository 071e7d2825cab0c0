/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Named sets of banned prefixes, each replaced as a whole. */
#ifndef SNICTL_BAN_SET_H
#define SNICTL_BAN_SET_H

#include "ban.h"

/** struct ban_prefixes - prefixes in order, none twice. */
struct ban_prefixes {
	struct abi_prefix *row;
	size_t count;
};

void ban_prefixes_done(struct ban_prefixes *prefixes);

#define AUTO_BAN_PREFIXES                                                      \
	__attribute__((cleanup(ban_prefixes_done))) struct ban_prefixes

/**
 * ban_prefixes_parse() - one prefix a line; '#' and ';' begin a comment.
 * @file:    its name for messages: "FILE:3: ...".
 * @text:    changed.
 * @ret_prefixes: written only on success.
 * Return: 0; -EINVAL with a sentence; -ENOMEM.
 */
int ban_prefixes_parse(const char *file, char *text,
		       struct ban_prefixes *ret_prefixes, struct error *error);

/** ban_set_is_name() - letters, digits, '-' and '_', 32 at most. */
bool ban_set_is_name(const char *name);

/** ban_set_find() - by name; NULL if there is none. */
const struct ban_set *ban_set_find(const struct ban_list *list,
				   const char *name);

/** ban_set_read() - the prefixes of a set. */
int ban_set_read(const struct paths *paths, const struct ban_set *set,
		 struct ban_prefixes *ret_prefixes, struct error *error);

/**
 * ban_set_replace() - make a set, a new one perhaps, consist of these
 * prefixes; of none: the set goes.
 * @list:  from ban_open(); the set is added to it, or taken out.
 * Return: as ban_commit().
 */
int ban_set_replace(const struct paths *paths, const struct store *store,
		    struct ban_list *list, const char *name,
		    const struct ban_prefixes *want, struct error *error);

/** ban_set_fill() - put a set into the tables, which have none of it. */
int ban_set_fill(const struct paths *paths, const struct store *store,
		 const struct ban_set *set, struct error *error);

#endif
