/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bans: what the bans file says, put in force in the kernel's tables.
 *
 *   # snictl bans 1 ...
 *   written 1763683200
 *   allow 192.0.2.0/24
 *   set 1 blocklist
 *   ban 203.0.113.7/32 until 1763686800 all-ports reason nginx-http-auth
 *   # end of 4 rows
 *
 * It stands beside the state file (STATE.bans), so that `apply` never touches
 * it; each named set has its prefixes in a file of its own (STATE.bans-NAME),
 * so that a ban does not write a list of a million anew. Times there are
 * seconds of CLOCK_REALTIME, which alone outlives a reboot; in force is
 * CLOCK_BOOTTIME, which no clock step moves. "written" is when that was
 * translated: a clock that stands before it is not right yet.
 *
 * A writer's sequence is ban_open(), a change of the list, ban_commit().
 */
#ifndef SNICTL_BAN_H
#define SNICTL_BAN_H

#include "state.h"

#define BAN_REASON_MAX 200
#define BAN_SET_NAME_MAX 32
/* Ten years: what is longer is meant to be for ever. */
#define BAN_TIME_MAX_MS (3650ULL * 24 * 3600 * 1000)

/**
 * struct ban - a prefix that is banned by itself.
 * @expires_ns: CLOCK_BOOTTIME; 0: never.
 * @reason:     printable, or empty.
 */
struct ban {
	struct abi_prefix prefix;
	uint64_t expires_ns;
	bool all_ports;
	char *reason;
};

/** struct ban_set - a named set; @bit of abi_ban.sets, 1 to 31. */
struct ban_set {
	char name[BAN_SET_NAME_MAX + 1];
	unsigned bit;
};

/** struct ban_list - a bans file; the bans and prefixes are in order. */
struct ban_list {
	struct ban *bans;
	size_t count;
	size_t room;
	struct abi_prefix *allowed;
	size_t allowed_count;
	struct ban_set sets[ABI_BAN_SETS_MAX];
	size_t set_count;
};

void ban_list_done(struct ban_list *list);

#define AUTO_BAN_LIST __attribute__((cleanup(ban_list_done))) struct ban_list

/**
 * ban_read() - the bans file, without the bans that are over.
 * @store:    where a ban is in force, its end is taken from there.
 * @ret_list: for ban_list_done(); an absent file is an empty one.
 * Return: 0, or as state_file_read(), with a sentence.
 */
int ban_read(const struct paths *paths, const struct store *store,
	     struct ban_list *ret_list, struct error *error);

/** ban_open() - state_open() and ban_read(): the lock is held. */
int ban_open(const struct paths *paths, struct store *ret_store,
	     struct ban_list *ret_list, struct error *error);

/** ban_find() - by its prefix; NULL if there is none. */
struct ban *ban_find(const struct ban_list *list,
		     const struct abi_prefix *prefix);

/** ban_allows() - whether a prefix is allowed; @exactly: as such. */
bool ban_allows(const struct ban_list *list, const struct abi_prefix *prefix,
		bool exactly);

/**
 * ban_set() - add a ban, or give the one that is there another end, another
 * reason, other ports. ban_unset() - take one away.
 * @ban: its reason is copied.
 * Return: 0; -ENOMEM; -ENOENT.
 */
int ban_set(struct ban_list *list, const struct ban *ban);
int ban_unset(struct ban_list *list, const struct abi_prefix *prefix);

/** ban_allow(), ban_disallow() - never-ban prefixes. Return: 0 or -errno. */
int ban_allow(struct ban_list *list, const struct abi_prefix *prefix);
int ban_disallow(struct ban_list *list, const struct abi_prefix *prefix);

/**
 * ban_commit() - make file and tables what the list says.
 * @store: locked.
 *
 * Return: 0; -ENOSPC where the table is full; -errno; all with a sentence, and
 * nothing has changed but with -EINPROGRESS: the next writer completes it.
 */
int ban_commit(const struct paths *paths, const struct store *store,
	       const struct ban_list *want, struct error *error);

/**
 * ban_restore() - make the tables anew from the files: after a reboot, or
 * after a writer's death.
 */
int ban_restore(const struct paths *paths, const struct store *store,
		struct error *error);

/**
 * ban_expire() - take the bans that are over out of file and tables; after a
 * clock step, also to write their ends anew.
 * @store: locked.
 * Return: how many there were, or -errno.
 */
int ban_expire(const struct paths *paths, const struct store *store,
	       struct error *error);

/** ban_compare_prefixes() - the order of prefixes; for qsort(). */
int ban_compare_prefixes(const void *a, const void *b);

/** ban_parse_prefix() - addr_parse_prefix() with a sentence. */
int ban_parse_prefix(const char *text, struct abi_prefix *ret_prefix,
		     struct error *error);

#endif
