// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bans of one prefix, and prefixes that are never banned. */
#include "ban.h"

#include <errno.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/edge.h"
#include "../userspace/edge_hook.h"
#include "../userspace/local.h"
#include "../userspace/number.h"
#include "agent_view.h"
#include "output.h"
#include "session.h"

/* A session in a session in a session. */
#define SESSIONS_MAX 16

/* ---- what must not be banned ----------------------------------------------
 */

static int refuse(const struct abi_endpoint *address, const char *what,
		  const struct abi_prefix *prefix, const char *remedy,
		  struct error *error)
{
	char text[ADDR_TEXT_SIZE], own[ADDR_TEXT_SIZE];

	return error_set(error, EXIT_FAILED, EPERM, "%s is not banned: %s %s%s",
			 addr_format_prefix(prefix, text),
			 addr_format_ip(address, own), what, remedy);
}

static int guard_one(const struct abi_prefix *prefix,
		     const struct config_locals *own,
		     const struct config_locals *peers, const char *remedy,
		     struct error *error)
{
	char text[ADDR_TEXT_SIZE];

	if (!prefix->length)
		return error_set(error, EXIT_FAILED, EPERM,
				 "%s is not banned: it is everybody%s",
				 addr_format_prefix(prefix, text), remedy);
	for (size_t i = 0; i < peers->count; i++) {
		if (addr_in_prefix(&peers->addresses[i], prefix))
			return refuse(&peers->addresses[i],
				      "is where this ssh session comes from",
				      prefix, remedy, error);
	}
	for (size_t i = 0; i < own->count; i++) {
		if (addr_in_prefix(&own->addresses[i], prefix))
			return refuse(&own->addresses[i],
				      "is this router's own address", prefix,
				      remedy, error);
	}
	return 0;
}

int ban_guard(const struct abi_prefix *prefixes, size_t count,
	      const char *remedy, struct error *error)
{
	__attribute__((cleanup(local_free))) struct config_locals own = {0};
	struct abi_endpoint sessions[SESSIONS_MAX];
	const struct config_locals peers = {
		sessions, session_peers(sessions, SESSIONS_MAX)};
	int ret = local_addresses(&own);

	if (ret)
		return error_set(error, EXIT_FAILED, ret,
				 "cannot read this host's addresses: %s",
				 strerror(-ret));
	for (size_t i = 0; !ret && i < count; i++)
		ret = guard_one(&prefixes[i], &own, &peers, remedy, error);
	return ret;
}

/* ---- add and del ----------------------------------------------------------
 */

int ban_parse_time(const char *text, uint64_t *ret_ns, struct error *error)
{
	uint64_t ms;

	if (!text) {
		*ret_ns = 0;
		return 0;
	}
	if (number_parse_duration(text, &ms))
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.80s\" is no time: it is a number of "
				 "seconds, or one in ms, s, m, h or d",
				 text);
	if (!ms || ms > BAN_TIME_MAX_MS)
		return error_set(error, EXIT_USAGE, ERANGE,
				 "\"%.80s\" is no time to ban for: it is from "
				 "1ms to 3650d; without --for it is for ever",
				 text);
	*ret_ns = edge_now_ns() + ms * 1000000;
	return 0;
}

/* Of ASCII, or U+0080 to U+009F. */
static bool is_control(const char *at)
{
	unsigned char first = (unsigned char)at[0];
	unsigned char second = (unsigned char)at[1];

	return first < 0x20 || first == 0x7f ||
	       (first == 0xc2 && second >= 0x80 && second < 0xa0);
}

/* It comes from backends too, and goes to terminals and into JSON. */
static int check_reason(const char *text, struct error *error)
{
	json_auto_t *utf8 = text ? json_string(text) : NULL;
	size_t length = text ? strlen(text) : 0;

	if (length > BAN_REASON_MAX)
		return error_set(error, EXIT_USAGE, EINVAL,
				 "the reason is too long: %zu bytes, and at "
				 "most %d",
				 length, BAN_REASON_MAX);
	if (text && !utf8)
		return error_set(error, EXIT_USAGE, EINVAL,
				 "the reason is no UTF-8");
	for (size_t i = 0; i < length; i++) {
		if (is_control(text + i))
			return error_set(error, EXIT_USAGE, EINVAL,
					 "the reason has a control character "
					 "in it");
	}
	return 0;
}

int ban_enforce(const struct invocation *call, struct store *store,
		struct error *error)
{
	json_auto_t *answer = NULL;
	int ret = edge_hook_sync(store, error), told;

	state_unlock(store);
	told = agent_ask(&call->paths, "bans", &answer, ret ? NULL : error);
	/* Without an agent nobody has flows. */
	return ret || told == -ECONNREFUSED ? ret : told;
}

static int refuse_allowed(const struct abi_prefix *prefix, struct error *error)
{
	char text[ADDR_TEXT_SIZE];

	return error_set(error, EXIT_FAILED, EPERM,
			 "%s is never banned (`snictl ban allow list`): with "
			 "--force the ban is kept, and holds once it is no "
			 "longer allowed",
			 addr_format_prefix(prefix, text));
}

int ban_add(const struct invocation *call, const struct ban *ban, bool forced,
	    struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	int ret = check_reason(ban->reason, error);

	if (!ret && !forced)
		ret = ban_guard(&ban->prefix, 1, BAN_REMEDY, error);
	if (!ret)
		ret = ban_open(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	if (!forced && ban_allows(&list, &ban->prefix, false))
		return refuse_allowed(&ban->prefix, error);
	if (ban_set(&list, ban))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	ret = ban_commit(&call->paths, &store, &list, error);
	return ret ? ret : ban_enforce(call, &store, error);
}

int ban_add_main(const struct invocation *call, struct error *error)
{
	struct ban ban = {.all_ports = call->option[OPTION_ALL_PORTS],
			  .reason = call->option[OPTION_REASON]};
	int ret = ban_parse_prefix(call->argument[0], &ban.prefix, error);

	if (!ret)
		ret = ban_parse_time(call->option[OPTION_FOR], &ban.expires_ns,
				     error);
	return ret ? ret
		   : ban_add(call, &ban, call->option[OPTION_FORCE], error);
}

int ban_del_main(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	struct abi_prefix prefix;
	struct abi_ban entry;
	char text[ADDR_TEXT_SIZE];
	int ret = ban_parse_prefix(call->argument[0], &prefix, error);

	if (!ret)
		ret = ban_open(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	if (ban_unset(&list, &prefix))
		return error_set(
			error, EXIT_FAILED, ENOENT, "%s is not banned%s",
			addr_format_prefix(&prefix, text),
			!edge_ban_get(&store, &prefix, &entry)
				? " by itself, but in an imported set: "
				  "import the set anew, or `snictl ban allow "
				  "add` it"
				: "");
	ret = ban_commit(&call->paths, &store, &list, error);
	return ret ? ret : ban_enforce(call, &store, error);
}

/* ---- allow ----------------------------------------------------------------
 */

static int allow_list(const struct invocation *call, struct error *error)
{
	static const struct column columns[] = {{"PREFIX", COLUMN_TEXT},
						{NULL, COLUMN_TEXT}};
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	struct listing listing;
	char text[ADDR_TEXT_SIZE];
	int ret = store_open(&call->paths, STORE_READ, &store, error);

	if (!ret)
		ret = ban_read(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	listing_begin(&listing, call->option[OPTION_JSON], columns);
	for (size_t i = 0; i < list.allowed_count; i++) {
		addr_format_prefix(&list.allowed[i], text);
		if (listing.json)
			listing_object(&listing,
				       json_pack("{s:s}", "prefix", text));
		else
			listing_row(&listing, (const char *const[]){text});
	}
	return listing_end(&listing);
}

static int allow_change(const struct invocation *call, bool add,
			struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	struct abi_prefix prefix;
	char text[ADDR_TEXT_SIZE];
	int ret = ban_parse_prefix(call->argument[1], &prefix, error);

	if (!ret)
		ret = ban_open(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	addr_format_prefix(&prefix, text);
	ret = add ? ban_allow(&list, &prefix) : ban_disallow(&list, &prefix);
	if (ret == -EEXIST || ret == -ENOENT)
		return error_set(error, EXIT_FAILED, ret, "%s is %s allowed",
				 text, add ? "already" : "not");
	if (ret)
		return error_set(error, EXIT_FAILED, ret,
				 "%s cannot be allowed: %s", text,
				 strerror(-ret));
	ret = ban_commit(&call->paths, &store, &list, error);
	return ret ? ret : ban_enforce(call, &store, error);
}

int ban_allow_main(const struct invocation *call, struct error *error)
{
	const char *action = call->argument[0];
	bool add = !strcmp(action, "add");

	if (!strcmp(action, "list") && !call->argument[1])
		return allow_list(call, error);
	if ((add || !strcmp(action, "del")) && call->argument[1] &&
	    !call->option[OPTION_JSON])
		return allow_change(call, add, error);
	return error_set(error, EXIT_USAGE, EINVAL,
			 "\"ban allow\" is followed by add PREFIX, by del "
			 "PREFIX, or by list [--json]");
}
