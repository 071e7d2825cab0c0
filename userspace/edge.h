/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel knows of bans and limits: the maps that the hooks look in,
 * and the same judgement for who asks from user space. */
#ifndef SNICTL_EDGE_H
#define SNICTL_EDGE_H

#include <stdbool.h>
#include "store.h"

/** edge_now_ns() - CLOCK_BOOTTIME, by which bans end; no clock step moves it.
 */
uint64_t edge_now_ns(void);

/** edge_wall_ns() - CLOCK_REALTIME, in ns since 1970. */
uint64_t edge_wall_ns(void);

/**
 * edge_wall_s() - when that is by the clock on the wall, as it stands now.
 * @at_ns: a time of edge_now_ns(), also of the past.
 *
 * Return: seconds since 1970, the nearest: the same at every call.
 */
uint64_t edge_wall_s(uint64_t at_ns);

/**
 * edge_ban_get() - the entry of exactly this prefix.
 * Return: 0; -ENOENT; another -errno.
 */
int edge_ban_get(const struct store *store, const struct abi_prefix *prefix,
		 struct abi_ban *ret_ban);

/**
 * edge_ban_put() - add or replace an entry. For writers, under the lock.
 * @old: the entry that is there, or NULL; its hits stay.
 * Return: 0; -ENOSPC (the table is full); another -errno.
 */
int edge_ban_put(const struct store *store, const struct abi_prefix *prefix,
		 const struct abi_ban *old, struct abi_ban ban);

/** edge_ban_del() - take an entry out. Return: 0, -ENOENT or -errno. */
int edge_ban_del(const struct store *store, const struct abi_prefix *prefix);

/** edge_allow_put(), edge_allow_del() - likewise for never-ban prefixes. */
int edge_allow_put(const struct store *store, const struct abi_prefix *prefix);
int edge_allow_del(const struct store *store, const struct abi_prefix *prefix);

/** edge_clear() - no bans, nothing allowed. Return: 0 or -errno. */
int edge_clear(const struct store *store);

/** edge_is_allowed() - whether an address is never banned nor limited. */
bool edge_is_allowed(const struct store *store,
		     const struct abi_endpoint *address);

/**
 * edge_find_ban() - the ban that keeps an address from the listeners.
 * @from:       prefixes of this length at most; 128 for all.
 * @ret_prefix: the longest that holds; may be NULL.
 * Return: 0; -ENOENT where none holds. What is allowed is not asked.
 */
int edge_find_ban(const struct store *store, const struct abi_endpoint *address,
		  unsigned from, struct abi_prefix *ret_prefix,
		  struct abi_ban *ret_ban);

/** edge_is_banned() - from the listeners, and not allowed. */
bool edge_is_banned(const struct store *store,
		    const struct abi_endpoint *address);

/** edge_is_cut_off() - by a ban for all ports: no server of ours either. */
bool edge_is_cut_off(const struct store *store,
		     const struct abi_endpoint *address);

/**
 * edge_is_too_fast() - count a new connection of an address against its
 * source's rate, as the hooks do with a SYN.
 */
bool edge_is_too_fast(const struct store *store,
		      const struct abi_endpoint *address);

/**
 * edge_shell_rate() - the pace of ban-shell, kept beside the sources'.
 * @ret_rate: NULL: not asked; 0 where there is none.
 * @rate:     NULL: not set.
 */
void edge_shell_rate(const struct store *store, struct abi_rate *ret_rate,
		     const struct abi_rate *rate);

/** edge_counts_read() - what the hooks have dropped, over all CPUs. */
struct abi_edge_counts edge_counts_read(const struct store *store);

#endif
