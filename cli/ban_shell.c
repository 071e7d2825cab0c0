// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a backend may do here: the forced command of its ssh key, so
 *
 *   restrict,command="/usr/local/sbin/snictl ban-shell" ssh-ed25519 AAAA...
 *
 * in authorized_keys. Three commands on single addresses, nothing else; bans
 * end; what others have banned is out of reach.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../userspace/addr.h"
#include "../userspace/cleanup.h"
#include "../userspace/edge.h"
#include "../userspace/number.h"
#include "ban.h"

#define COMMAND_MAX 512
#define TIME_MAX_DEFAULT "24h"
/* Of all such commands together; fail2ban says at its start again what it
 * remembers. */
#define STEP_NS 100000000ULL
#define BURST_NS (100 * STEP_NS)
#define PATIENCE_NS (10 * 1000000000ULL)
/* At the head of the reasons of its bans. */
#define MARK "ban-shell"

static int refuse(const char *why, struct error *error)
{
	return error_set(error, EXIT_USAGE, EINVAL,
			 "%s: it is \"add ADDR [SECONDS [REASON]]\", \"del "
			 "ADDR\" or \"list\"",
			 why);
}

/* ---- not too often --------------------------------------------------------
 */

/* When this one may go ahead, in the order of their coming. */
static int take_turn(const struct invocation *call, uint64_t *ret_wait_ns,
		     struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	uint64_t now_ns = edge_now_ns();
	struct abi_rate rate = {0};
	int ret = state_open(&call->paths, &store, error);

	if (ret)
		return ret;
	edge_shell_rate(&store, &rate, NULL);
	if (rate.due_ns > now_ns + BURST_NS + PATIENCE_NS)
		return error_set(error, EXIT_FAILED, EBUSY,
				 "too many commands: not more than ten a "
				 "second");
	*ret_wait_ns = rate.due_ns > now_ns + BURST_NS
			       ? rate.due_ns - now_ns - BURST_NS
			       : 0;
	rate.due_ns = (rate.due_ns > now_ns ? rate.due_ns : now_ns) + STEP_NS;
	edge_shell_rate(&store, NULL, &rate);
	return 0;
}

static int wait_for_turn(const struct invocation *call, struct error *error)
{
	uint64_t wait_ns = 0;
	int ret = take_turn(call, &wait_ns, error);
	const struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
				      .tv_nsec = (long)(wait_ns % 1000000000)};

	if (!ret)
		nanosleep(&wait, NULL);
	return ret;
}

/* ---- commands -------------------------------------------------------------
 */

static int parse_address(const char *text, struct abi_prefix *ret_prefix,
			 struct error *error)
{
	if (!text)
		return refuse("the address is missing", error);
	if (strchr(text, '/'))
		return refuse("single addresses only", error);
	return ban_parse_prefix(text, ret_prefix, error);
}

static bool is_mine(const struct ban *ban)
{
	return !strncmp(ban->reason, MARK, sizeof(MARK) - 1);
}

/* A ban that another has made, or that lasts longer, is left as it is. */
static int add_unless_there(const struct invocation *call, struct ban *ban,
			    struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	const struct ban *old;
	int ret = ban_guard(&ban->prefix, 1, "", error);

	if (!ret)
		ret = ban_open(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	old = ban_find(&list, &ban->prefix);
	if (old && (!is_mine(old) || old->expires_ns > ban->expires_ns))
		return 0;
	store_close(&store);
	return ban_add(call, ban, false, error);
}

static int shell_add(const struct invocation *call, char *rest,
		     struct error *error)
{
	const char *longest = call->option[OPTION_FOR];
	char reason[sizeof(MARK " ") + COMMAND_MAX];
	const char *address = strsep(&rest, " "), *time_text;
	uint64_t ms, most_ns, seconds;
	struct ban ban = {.reason = reason};
	int ret = parse_address(address, &ban.prefix, error);

	if (!ret)
		ret = ban_parse_time(longest ? longest : TIME_MAX_DEFAULT,
				     &most_ns, error);
	if (ret)
		return ret;
	time_text = strsep(&rest, " ");
	ban.expires_ns = most_ns;
	/* fail2ban says -1 where it means for ever. */
	if (time_text && strcmp(time_text, "-1")) {
		if (number_parse(time_text, 1, UINT32_MAX, &seconds))
			return refuse("the time is no number of seconds",
				      error);
		ms = edge_now_ns() + seconds * 1000000000ULL;
		ban.expires_ns = ms < most_ns ? ms : most_ns;
	}
	snprintf(reason, sizeof(reason), MARK "%s%s", rest ? " " : "",
		 rest ? rest : "");
	return add_unless_there(call, &ban, error);
}

static int shell_del(const struct invocation *call, char *rest,
		     struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	struct abi_prefix prefix;
	const struct ban *ban;
	char text[ADDR_TEXT_SIZE];
	int ret = parse_address(rest, &prefix, error);

	if (!ret)
		ret = ban_open(&call->paths, &store, &list, error);
	if (ret)
		return ret;
	ban = ban_find(&list, &prefix);
	if (!ban || !is_mine(ban))
		return error_set(error, EXIT_FAILED, ENOENT,
				 "%s is not banned from here",
				 addr_format_prefix(&prefix, text));
	ban_unset(&list, &prefix);
	ret = ban_commit(&call->paths, &store, &list, error);
	return ret ? ret : ban_enforce(call, &store, error);
}

static int shell_list(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_BAN_LIST list = {0};
	uint64_t now_ns = edge_now_ns();
	char text[ADDR_TEXT_SIZE];
	int ret = store_open(&call->paths, STORE_READ, &store, error);

	if (!ret)
		ret = ban_read(&call->paths, &store, &list, error);
	for (size_t i = 0; !ret && i < list.count; i++) {
		const struct ban *ban = &list.bans[i];
		struct abi_endpoint address = {.family = ban->prefix.family};

		if (!is_mine(ban))
			continue;
		memcpy(address.addr, ban->prefix.addr, sizeof(address.addr));
		printf("%s %llu\n", addr_format_ip(&address, text),
		       (unsigned long long)((ban->expires_ns - now_ns) /
					    1000000000));
	}
	return ret;
}

int ban_shell_main(const struct invocation *call, struct error *error)
{
	const char *given = getenv("SSH_ORIGINAL_COMMAND");
	char line[COMMAND_MAX], *rest = line;
	const char *verb;
	int ret;

	if (!given || strlen(given) >= sizeof(line))
		return refuse("no command, or too long a one", error);
	snprintf(line, sizeof(line), "%s", given);
	verb = strsep(&rest, " ");
	ret = wait_for_turn(call, error);
	if (ret)
		return ret;
	if (!strcmp(verb, "add"))
		return shell_add(call, rest, error);
	if (!strcmp(verb, "del"))
		return shell_del(call, rest, error);
	if (!strcmp(verb, "list") && !rest)
		return shell_list(call, error);
	return refuse("no such command", error);
}
