// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bans as people and programs see them. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "../userspace/addr.h"
#include "../userspace/ban_set.h"
#include "../userspace/edge.h"
#include "ban.h"
#include "object.h"
#include "output.h"

#define SECOND_NS 1000000000ULL

static const struct column columns[] = {
	{"PREFIX", COLUMN_TEXT}, {"LEFT", COLUMN_NUMBER},
	{"PORTS", COLUMN_SPARE}, {"HITS", COLUMN_NUMBER},
	{"REASON", COLUMN_CUT},	 {NULL, COLUMN_TEXT},
};

static const char *left(uint64_t expires_ns, char *text)
{
	uint64_t now_ns = edge_now_ns();

	if (!expires_ns)
		return "for ever";
	return output_ns(expires_ns > now_ns ? expires_ns - now_ns : 0, text);
}

/* When it ends, by the clock on the wall as it stands now. */
static json_t *until(uint64_t expires_ns)
{
	if (!expires_ns)
		return json_null();
	return json_integer((json_int_t)edge_wall_s(expires_ns));
}

static json_t *ban_object(const struct ban *ban, uint64_t hits)
{
	char text[ADDR_TEXT_SIZE];

	return json_pack("{s:s, s:n, s:o, s:b, s:I, s:o}", "prefix",
			 addr_format_prefix(&ban->prefix, text), "set", "until",
			 until(ban->expires_ns), "all_ports", ban->all_ports,
			 "hits", (json_int_t)hits, "reason",
			 object_text(*ban->reason ? ban->reason : NULL));
}

static void list_ban(struct listing *listing, const struct ban *ban,
		     const struct store *store)
{
	char prefix[ADDR_TEXT_SIZE], rest[OUTPUT_AMOUNT_SIZE], hits[32];
	struct abi_ban entry = {0};

	edge_ban_get(store, &ban->prefix, &entry);
	if (listing->json) {
		listing_object(listing, ban_object(ban, entry.hits));
		return;
	}
	snprintf(hits, sizeof(hits), "%llu", entry.hits);
	listing_row(listing, (const char *const[]){
				     addr_format_prefix(&ban->prefix, prefix),
				     left(ban->expires_ns, rest),
				     ban->all_ports ? "all" : "listeners", hits,
				     ban->reason});
}

static int list_set(struct listing *listing, const struct invocation *call,
		    const struct ban_set *set, const struct store *store,
		    struct error *error)
{
	AUTO_BAN_PREFIXES prefixes = {0};
	char text[ADDR_TEXT_SIZE], hits[32];
	int ret = ban_set_read(&call->paths, set, &prefixes, error);

	for (size_t i = 0; !ret && i < prefixes.count; i++) {
		struct abi_ban entry = {0};

		edge_ban_get(store, &prefixes.row[i], &entry);
		addr_format_prefix(&prefixes.row[i], text);
		snprintf(hits, sizeof(hits), "%llu", entry.hits);
		if (listing->json)
			listing_object(
				listing,
				json_pack("{s:s, s:s, s:n, s:b, s:I, "
					  "s:n}",
					  "prefix", text, "set", set->name,
					  "until", "all_ports", 0, "hits",
					  (json_int_t)entry.hits, "reason"));
		else
			listing_row(listing,
				    (const char *const[]){text, "for ever",
							  "listeners", hits,
							  set->name});
	}
	return ret;
}

static int no_set(const char *name, struct error *error)
{
	return error_set(error, EXIT_FAILED, ENOENT,
			 "there is no set \"%.80s\" of bans", name);
}

int ban_list_main(const struct invocation *call, struct error *error)
{
	const char *name = call->option[OPTION_SET];
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	const struct ban_set *set;
	struct listing listing;
	int ret = store_open(&call->paths, STORE_READ, &store, error);

	if (!ret)
		ret = ban_read(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	set = name ? ban_set_find(&list, name) : NULL;
	if (name && !set)
		return no_set(name, error);
	listing_begin(&listing, call->option[OPTION_JSON], columns);
	for (size_t i = 0; !set && i < list.count; i++)
		list_ban(&listing, &list.bans[i], &store);
	if (set)
		ret = list_set(&listing, call, set, &store, error);
	if (ret)
		return ret;
	for (size_t i = 0; !set && i < list.set_count; i++)
		output_note("there is also the set %s: `snictl ban list --set "
			    "%s` lists it",
			    list.sets[i].name, list.sets[i].name);
	return listing_end(&listing);
}

/* ---- show -----------------------------------------------------------------
 */

/** struct view - all that holds against an address. */
struct view {
	const struct ban_list *list;
	const struct store *store;
	struct abi_endpoint address;
	bool allowed;
	json_t *bans;
};

static json_t *names_of_sets(const struct ban_list *list, uint32_t bits)
{
	json_t *names = json_array();

	for (size_t i = 0; i < list->set_count; i++) {
		if (bits & 1U << list->sets[i].bit)
			json_array_append_new(names,
					      json_string(list->sets[i].name));
	}
	return names;
}

static void add_to_view(struct view *view, const struct abi_prefix *prefix,
			const struct abi_ban *entry)
{
	const struct ban *ban = ban_find(view->list, prefix);
	char text[ADDR_TEXT_SIZE];
	const char *reason = ban && *ban->reason ? ban->reason : NULL;

	json_array_append_new(
		view->bans,
		json_pack("{s:s, s:o, s:o, s:b, s:I, s:o}", "prefix",
			  addr_format_prefix(prefix, text), "sets",
			  names_of_sets(view->list, entry->sets), "until",
			  entry->sets & ~1U ? json_null()
					    : until(entry->expires_ns),
			  "all_ports", (int)entry->all_ports, "hits",
			  (json_int_t)entry->hits, "reason",
			  object_text(reason)));
}

static void collect(struct view *view)
{
	struct abi_prefix prefix;
	struct abi_ban entry;
	unsigned from = 128;

	while (!edge_find_ban(view->store, &view->address, from, &prefix,
			      &entry)) {
		add_to_view(view, &prefix, &entry);
		if (!prefix.length)
			break;
		from = prefix.length - 1U;
	}
}

static void print_ban(const json_t *ban)
{
	const json_t *sets = json_object_get(ban, "sets");
	const char *reason = json_string_value(json_object_get(ban, "reason"));
	const json_t *end = json_object_get(ban, "until");
	time_t at = (time_t)json_integer_value(end);
	char text[64] = "for ever";
	struct tm tm;

	if (json_is_integer(end) && localtime_r(&at, &tm))
		strftime(text, sizeof(text), "until %Y-%m-%d %H:%M:%S", &tm);
	output_field("Banned", "%s, %s, from %s",
		     json_string_value(json_object_get(ban, "prefix")), text,
		     json_is_true(json_object_get(ban, "all_ports"))
			     ? "all ports"
			     : "the listeners");
	if (reason)
		output_field("Reason", "%s", reason);
	for (size_t i = 0; i < json_array_size(sets); i++)
		output_field("Set", "%s",
			     json_string_value(json_array_get(sets, i)));
	output_field("Hits", "%lld",
		     json_integer_value(json_object_get(ban, "hits")));
}

int ban_show_main(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	struct view view = {.list = &list, .store = &store};
	json_auto_t *bans = json_array();
	struct abi_prefix prefix;
	char text[ADDR_TEXT_SIZE];
	int ret = ban_parse_prefix(call->argument[0], &prefix, error);

	if (!ret && strchr(call->argument[0], '/'))
		ret = error_set(error, EXIT_USAGE, EINVAL,
				"\"%.80s\" is no single address",
				call->argument[0]);
	if (!ret)
		ret = store_open(&call->paths, STORE_READ, &store, error);
	if (!ret)
		ret = ban_read(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	view.address.family = prefix.family;
	memcpy(view.address.addr, prefix.addr, sizeof(prefix.addr));
	view.allowed = edge_is_allowed(&store, &view.address);
	view.bans = bans;
	collect(&view);
	addr_format_ip(&view.address, text);
	if (call->option[OPTION_JSON])
		return output_json(
			json_pack("{s:s, s:b, s:b, s:O}", "address", text,
				  "allowed", view.allowed, "banned",
				  !view.allowed && json_array_size(bans) > 0,
				  "bans", bans));
	if (!json_array_size(bans) && !view.allowed)
		return error_set(error, EXIT_FAILED, ENOENT, "%s is not banned",
				 text);
	output_field("Address", "%s%s", text,
		     view.allowed ? ", never banned" : "");
	for (size_t i = 0; i < json_array_size(bans); i++)
		print_ban(json_array_get(bans, i));
	return 0;
}
