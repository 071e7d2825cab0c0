// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ban.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "addr.h"
#include "ban_file.h"
#include "ban_set.h"
#include "cleanup.h"
#include "edge.h"

int ban_parse_prefix(const char *text, struct abi_prefix *ret_prefix,
		     struct error *error)
{
	switch (addr_parse_prefix(text, ret_prefix)) {
	case 0:
		return 0;
	case -ERANGE:
		return error_set(error, EXIT_USAGE, ERANGE,
				 "\"%.80s\": what follows the slash is no "
				 "prefix length: up to 32 for IPv4, 128 for "
				 "IPv6",
				 text);
	case -EDOM:
		return error_set(error, EXIT_USAGE, EDOM,
				 "\"%.80s\" has bits set behind its prefix "
				 "length",
				 text);
	default:
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.80s\" is no IP address and no prefix",
				 text);
	}
}

/* ---- the list ----------------------------------------------------------- */

void ban_list_done(struct ban_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->bans[i].reason);
	free(list->bans);
	free(list->allowed);
	*list = (struct ban_list){0};
}

int ban_compare_prefixes(const void *a, const void *b)
{
	const struct abi_prefix *one = a, *other = b;
	int order = (int)one->family - (int)other->family;

	if (!order)
		order = memcmp(one->addr, other->addr, sizeof(one->addr));
	return order ? order : (int)one->length - (int)other->length;
}

/* Where a prefix is, or would be, among @count rows of @size bytes that begin
 * with one. */
static size_t place(const void *rows, size_t count, size_t size,
		    const struct abi_prefix *prefix, bool *ret_found)
{
	size_t low = 0, high = count;

	*ret_found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = ban_compare_prefixes(
			(const char *)rows + middle * size, prefix);

		if (!order) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct ban *ban_find(const struct ban_list *list,
		     const struct abi_prefix *prefix)
{
	bool found;
	size_t at = place(list->bans, list->count, sizeof(*list->bans), prefix,
			  &found);

	return found ? &list->bans[at] : NULL;
}

static int make_room(struct ban_list *list)
{
	size_t room = list->room ? list->room * 2 : 64;
	struct ban *bans;

	if (list->count < list->room)
		return 0;
	bans = realloc(list->bans, room * sizeof(*bans));
	if (!bans)
		return -ENOMEM;
	list->bans = bans;
	list->room = room;
	return 0;
}

int ban_set(struct ban_list *list, const struct ban *ban)
{
	AUTO_FREE char *reason = strdup(ban->reason ? ban->reason : "");
	size_t at;
	bool found;

	if (!reason || make_room(list))
		return -ENOMEM;
	at = place(list->bans, list->count, sizeof(*list->bans), &ban->prefix,
		   &found);
	if (found) {
		free(list->bans[at].reason);
	} else {
		memmove(&list->bans[at + 1], &list->bans[at],
			(list->count - at) * sizeof(*list->bans));
		list->count++;
	}
	list->bans[at] = *ban;
	list->bans[at].reason = take_pointer(reason);
	return 0;
}

static void drop(struct ban_list *list, size_t at)
{
	free(list->bans[at].reason);
	list->count--;
	memmove(&list->bans[at], &list->bans[at + 1],
		(list->count - at) * sizeof(*list->bans));
}

int ban_unset(struct ban_list *list, const struct abi_prefix *prefix)
{
	struct ban *ban = ban_find(list, prefix);

	if (!ban)
		return -ENOENT;
	drop(list, (size_t)(ban - list->bans));
	return 0;
}

bool ban_allows(const struct ban_list *list, const struct abi_prefix *prefix,
		bool exactly)
{
	struct abi_endpoint address = {.family = prefix->family};
	bool found;

	memcpy(address.addr, prefix->addr, sizeof(address.addr));
	if (exactly) {
		place(list->allowed, list->allowed_count,
		      sizeof(*list->allowed), prefix, &found);
		return found;
	}
	for (size_t i = 0; i < list->allowed_count; i++) {
		if (list->allowed[i].length <= prefix->length &&
		    addr_in_prefix(&address, &list->allowed[i]))
			return true;
	}
	return false;
}

int ban_allow(struct ban_list *list, const struct abi_prefix *prefix)
{
	struct abi_prefix *rows = list->allowed;
	size_t count = list->allowed_count, at;
	bool found;

	at = place(rows, count, sizeof(*rows), prefix, &found);
	if (found)
		return -EEXIST;
	if (count == ABI_ALLOWED_MAX)
		return -ENOSPC;
	rows = realloc(rows, (count + 1) * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	memmove(&rows[at + 1], &rows[at], (count - at) * sizeof(*rows));
	rows[at] = *prefix;
	list->allowed = rows;
	list->allowed_count++;
	return 0;
}

int ban_disallow(struct ban_list *list, const struct abi_prefix *prefix)
{
	struct abi_prefix *rows = list->allowed;
	bool found;
	size_t at =
		place(rows, list->allowed_count, sizeof(*rows), prefix, &found);

	if (!found)
		return -ENOENT;
	list->allowed_count--;
	memmove(&rows[at], &rows[at + 1],
		(list->allowed_count - at) * sizeof(*rows));
	return 0;
}

/* ---- read --------------------------------------------------------------- */

/* What is in force knows the end better than a clock that was set since. */
static void take_ends(const struct store *store, struct ban_list *list)
{
	struct abi_ban ban;

	for (size_t i = 0; i < list->count; i++) {
		struct ban *row = &list->bans[i];

		if (row->expires_ns &&
		    !edge_ban_get(store, &row->prefix, &ban) && ban.sets & 1)
			row->expires_ns = ban.expires_ns;
	}
}

static size_t drop_expired(struct ban_list *list)
{
	uint64_t now_ns = edge_now_ns();
	size_t dropped = 0;

	for (size_t i = list->count; i-- > 0;) {
		if (!list->bans[i].expires_ns ||
		    list->bans[i].expires_ns > now_ns)
			continue;
		drop(list, i);
		dropped++;
	}
	return dropped;
}

int ban_read(const struct paths *paths, const struct store *store,
	     struct ban_list *ret_list, struct error *error)
{
	struct ban_list list = {0};
	int status = ban_file_read(paths, &list, error);

	if (status)
		return status;
	take_ends(store, &list);
	drop_expired(&list);
	*ret_list = list;
	return 0;
}

int ban_open(const struct paths *paths, struct store *ret_store,
	     struct ban_list *ret_list, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	int status = state_open(paths, &store, error);

	if (!status)
		status = ban_read(paths, &store, ret_list, error);
	if (status)
		return status;
	*ret_store = store;
	store = STORE_NONE;
	return 0;
}

/* ---- change the tables -------------------------------------------------- */

static int put(const struct store *store, const struct ban *ban)
{
	struct abi_ban old, entry = {0};
	int status = edge_ban_get(store, &ban->prefix, &old);

	if (status && status != -ENOENT)
		return status;
	if (!status)
		entry = old;
	entry.sets |= 1;
	entry.expires_ns = ban->expires_ns;
	entry.all_ports = ban->all_ports;
	return edge_ban_put(store, &ban->prefix, status ? NULL : &old, entry);
}

static int take_out(const struct store *store, const struct abi_prefix *prefix)
{
	struct abi_ban old, entry;
	int status = edge_ban_get(store, prefix, &old);

	if (status)
		return status == -ENOENT ? 0 : status;
	entry = old;
	entry.sets &= ~1U;
	entry.expires_ns = 0;
	entry.all_ports = 0;
	return entry.sets ? edge_ban_put(store, prefix, &old, entry)
			  : edge_ban_del(store, prefix);
}

static bool differs(const struct ban *a, const struct ban *b)
{
	return a->expires_ns != b->expires_ns || a->all_ports != b->all_ports;
}

/* What goes first, so that what comes has room. */
static int change_bans(const struct store *store, const struct ban_list *now,
		       const struct ban_list *want)
{
	const struct ban *ban;
	int status = 0;

	for (size_t i = 0; !status && i < now->count; i++) {
		if (!ban_find(want, &now->bans[i].prefix))
			status = take_out(store, &now->bans[i].prefix);
	}
	for (size_t i = 0; !status && i < want->count; i++) {
		ban = ban_find(now, &want->bans[i].prefix);
		if (!ban || differs(ban, &want->bans[i]))
			status = put(store, &want->bans[i]);
	}
	return status;
}

static int change_allowed(const struct store *store, const struct ban_list *now,
			  const struct ban_list *want)
{
	int status = 0;

	for (size_t i = 0; !status && i < now->allowed_count; i++) {
		if (!ban_allows(want, &now->allowed[i], true))
			status = edge_allow_del(store, &now->allowed[i]);
	}
	for (size_t i = 0; !status && i < want->allowed_count; i++) {
		if (!ban_allows(now, &want->allowed[i], true))
			status = edge_allow_put(store, &want->allowed[i]);
	}
	return status;
}

static void set_next_expiry(const struct store *store,
			    const struct ban_list *list)
{
	uint64_t next_ns = 0;

	for (size_t i = 0; i < list->count; i++) {
		uint64_t at = list->bans[i].expires_ns;

		if (at && (!next_ns || at < next_ns))
			next_ns = at;
	}
	__atomic_store_n(&store->edge->next_expiry_ns, next_ns,
			 __ATOMIC_RELAXED);
}

/* Whether the table has room, before anything is changed. */
static int check_room(const struct store *store, const struct ban_list *now,
		      const struct ban_list *want, struct error *error)
{
	size_t need = store->edge->bans;
	struct abi_ban entry;

	for (size_t i = 0; i < now->count; i++) {
		if (!ban_find(want, &now->bans[i].prefix) &&
		    !edge_ban_get(store, &now->bans[i].prefix, &entry) &&
		    entry.sets == 1)
			need--;
	}
	for (size_t i = 0; i < want->count; i++)
		need += !ban_find(now, &want->bans[i].prefix) &&
			edge_ban_get(store, &want->bans[i].prefix, &entry);
	if (need <= ABI_BANS_MAX)
		return 0;
	return error_set(error, EXIT_FAILED, ENOSPC,
			 "the table of bans is full: it has room for %d "
			 "prefixes; nothing was changed",
			 ABI_BANS_MAX);
}

static int put_in_force(const struct store *store, const struct ban_list *now,
			const struct ban_list *want, struct error *error)
{
	int status = change_bans(store, now, want);

	if (!status)
		status = change_allowed(store, now, want);
	if (status)
		return error_set(error, EXIT_FAILED, EINPROGRESS,
				 "the bans are saved, but only a part of them "
				 "is in force (%s): the next change completes "
				 "it",
				 strerror(-status));
	set_next_expiry(store, want);
	store->edge->dirty = 0;
	return 0;
}

int ban_commit(const struct paths *paths, const struct store *store,
	       const struct ban_list *want, struct error *error)
{
	AUTO_BAN_LIST now = {0};
	int status = ban_file_read(paths, &now, error);

	if (status)
		return status;
	take_ends(store, &now);
	status = check_room(store, &now, want, error);
	if (!status)
		status = ban_file_stage(paths, want, error);
	if (status)
		return status;
	store->edge->dirty = 1;
	status = ban_file_publish(paths, error);
	if (status) {
		store->edge->dirty = 0;
		return status;
	}
	return put_in_force(store, &now, want, error);
}

/* ---- restore and expire -------------------------------------------------- */

int ban_restore(const struct paths *paths, const struct store *store,
		struct error *error)
{
	static const struct ban_list none = {0};
	AUTO_BAN_LIST list = {0};
	int status = ban_file_read(paths, &list, error);

	if (status)
		return status;
	if (store->edge->dirty)
		take_ends(store, &list);
	drop_expired(&list);
	store->edge->dirty = 1;
	status = edge_clear(store);
	if (status)
		return error_set(error, EXIT_FAILED, status,
				 "the table of bans cannot be cleared: %s",
				 strerror(-status));
	for (size_t i = 0; !status && i < list.set_count; i++)
		status = ban_set_fill(paths, store, &list.sets[i], error);
	return status ? status : put_in_force(store, &none, &list, error);
}

int ban_expire(const struct paths *paths, const struct store *store,
	       struct error *error)
{
	AUTO_BAN_LIST list = {0};
	size_t expired;
	int status = ban_file_read(paths, &list, error);

	if (status)
		return status;
	take_ends(store, &list);
	expired = drop_expired(&list);
	status = ban_commit(paths, store, &list, error);
	return status ? status : (int)expired;
}
