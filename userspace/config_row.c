// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config_row.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "addr.h"
#include "config_words.h"
#include "setting.h"
#include "words.h"

/* What stands without a port is TLS. */
#define TARGET_PORT 443

static int parse_endpoint(struct config_words *words, struct config_place place,
			  struct abi_endpoint *ret_endpoint)
{
	int status = addr_parse_listener(place.text, ret_endpoint);

	if (status == -ERANGE)
		return config_words_fail(
			words, place.at,
			"\"%.80s\" has no port from 1 to 65535", place.text);
	if (status)
		return config_words_fail(
			words, place.at,
			"\"%.80s\" is no port and no address with a port: "
			"[ADDR:]PORT, like 443, 192.0.2.1:443 or "
			"[2001:db8::1]:443",
			place.text);
	return 0;
}

/* Addresses that connect(2) takes for something else, or for nothing. */
static const char *unusable(const struct abi_endpoint *target)
{
	const uint8_t *addr = target->addr;

	if (addr_is_any(target))
		return "the unspecified address";
	if (target->family == AF_INET)
		return addr[0] >= 224 ? "no address of one host" : NULL;
	if (addr[0] == 0xff)
		return "a multicast address";
	if (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
		return "a link-local address, which needs an interface";
	return NULL;
}

static int parse_target(struct config_words *words, struct config_place piece,
			struct abi_route *route)
{
	struct abi_endpoint target;
	int status = addr_parse_endpoint(piece.text, TARGET_PORT, &target);
	const char *reason;

	if (status == -ERANGE)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" has no port from 1 to 65535", piece.text);
	if (status)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" is no IP address; names as targets "
			"come later, addresses only",
			piece.text);
	reason = unusable(&target);
	if (reason)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" cannot be a target: it is %s", piece.text,
			reason);
	for (unsigned i = 0; i < route->target_count; i++) {
		if (!memcmp(&route->target[i], &target, sizeof(target)))
			return config_words_fail(words, piece.at,
						 "\"%.80s\" is there twice",
						 piece.text);
	}
	if (route->target_count == ABI_TARGETS_MAX)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" is one target too many: at most %d",
			piece.text, ABI_TARGETS_MAX);
	route->target[route->target_count++] = target;
	return 0;
}

static int parse_targets(struct config_words *words, struct config_place list,
			 struct abi_route *route)
{
	char buffer[CONFIG_PIECE_SIZE];
	struct config_place piece;

	if (!strcmp(list.text, "reject") || !strcmp(list.text, "drop")) {
		route->action =
			*list.text == 'r' ? ABI_ACTION_REJECT : ABI_ACTION_DROP;
		return 0;
	}
	route->action = ABI_ACTION_FORWARD;
	while (config_words_next(&list, buffer, &piece)) {
		int status = parse_target(words, piece, route);

		if (status)
			return status;
	}
	return 0;
}

/* A word out of a list, such as "v1"; @ret_index unchanged without option. */
static int parse_choice(struct config_words *words, enum config_option option,
			const char *const *list, const char *choices,
			uint8_t *ret_index)
{
	struct config_place place = words->option[option];
	int index;

	if (!place.text)
		return 0;
	index = words_find(list, place.text);
	if (index < 0)
		return config_words_fail(
			words, place.at, "\"%.80s\" is no %s: it is %s",
			place.text, config_option_names[option] + 2, choices);
	*ret_index = (uint8_t)index;
	return 0;
}

static int parse_name(struct config_words *words, struct config_route *route)
{
	struct config_place place = words->operand[0];
	struct pattern pattern;
	const char *reason;

	if (pattern_parse(place.text, &pattern, &reason))
		return config_words_fail(words, place.at,
					 "\"%.80s\" is no host name: %s",
					 place.text, reason);
	route->kind = pattern.kind;
	route->route.apex = pattern.apex;
	route->route.name_length = pattern.name.length;
	memcpy(route->route.name, pattern.name.text, pattern.name.length);
	return 0;
}

static int parse_what_it_does(struct config_words *words,
			      struct abi_route *route)
{
	static const enum config_option idle[] = {CONFIG_OPTION_PROXY,
						  CONFIG_OPTION_DATAPATH};
	int status;

	status = parse_targets(words, words->operand[1], route);
	if (status)
		return status;
	for (unsigned i = 0; route->action != ABI_ACTION_FORWARD && i < 2; i++)
		if (words->option[idle[i]].text)
			return config_words_fail(words,
						 words->option[idle[i]].at,
						 "%s means nothing with \"%s\"",
						 config_option_names[idle[i]],
						 words->operand[1].text);
	status = parse_choice(words, CONFIG_OPTION_PROXY, words_proxy,
			      "off, v1 or v2", &route->proxy);
	if (status)
		return status;
	return parse_choice(words, CONFIG_OPTION_DATAPATH, words_datapath,
			    "auto, splice, sockmap or relay", &route->datapath);
}

static int parse_route(struct config_words *words, struct config_row *row)
{
	struct config_place on = words->option[CONFIG_OPTION_ON];
	int status;

	status = parse_name(words, &row->route);
	if (!status && row->verb != CONFIG_DEL)
		status = parse_what_it_does(words, &row->route.route);
	if (status)
		return status;
	row->proxy_given = words->option[CONFIG_OPTION_PROXY].text != NULL;
	if (!on.text)
		return 0;
	row->route.scoped = true;
	return parse_endpoint(words, on, &row->route.on);
}

static int parse_prefix(struct config_words *words, struct config_place piece,
			struct config_listener *listener)
{
	struct abi_prefix prefix;
	int status = addr_parse_prefix(piece.text, &prefix);

	if (status == -EDOM)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" has bits set behind its length", piece.text);
	if (status)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" is no prefix: ADDR or ADDR/LENGTH, "
			"like 10.0.0.0/8",
			piece.text);
	for (unsigned i = 0; i < listener->trusted_count; i++) {
		if (!memcmp(&listener->trusted[i], &prefix, sizeof(prefix)))
			return config_words_fail(words, piece.at,
						 "\"%.80s\" is there twice",
						 piece.text);
	}
	if (listener->trusted_count == ABI_TRUSTED_MAX)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" is one prefix too many: at most %d",
			piece.text, ABI_TRUSTED_MAX);
	listener->trusted[listener->trusted_count++] = prefix;
	return 0;
}

static int parse_listener(struct config_words *words,
			  struct config_listener *listener)
{
	struct config_place list = words->option[CONFIG_OPTION_ACCEPT_PROXY],
			    piece;
	char buffer[CONFIG_PIECE_SIZE];
	int status;

	status = parse_endpoint(words, words->operand[0], &listener->endpoint);
	while (!status && config_words_next(&list, buffer, &piece))
		status = parse_prefix(words, piece, listener);
	return status;
}

static int parse_setting(struct config_words *words,
			 struct config_setting *setting)
{
	struct config_place key = words->operand[0], value = words->operand[1];
	int index = setting_find(key.text);

	if (index < 0)
		return config_words_fail(
			words, key.at,
			"\"%.80s\" is no setting: `set list` shows them "
			"all",
			key.text);
	setting->setting = (enum abi_setting)index;
	if (!setting_parse(setting->setting, value.text, &setting->value,
			   words->error))
		return 0;
	words->fault = value.at;
	return -EINVAL;
}

static int parse(struct config_words *words, struct config_row *row)
{
	int status = config_words_sort(words);

	if (status)
		return status;
	memset(row, 0, sizeof(*row));
	row->verb = words->shape->verb;
	row->object = words->shape->object;
	switch (row->object) {
	case CONFIG_LISTENER:
		return parse_listener(words, &row->listener);
	case CONFIG_ROUTE:
		return parse_route(words, row);
	case CONFIG_SETTING:
		break;
	}
	return parse_setting(words, &row->setting);
}

int config_row_parse(char *const *words, size_t count,
		     struct config_row *ret_row, struct config_fault *ret_fault,
		     struct error *error)
{
	struct config_words sorted = {
		.word = words, .count = count, .error = error};
	struct config_row row;

	if (!parse(&sorted, &row)) {
		*ret_row = row;
		return 0;
	}
	if (ret_fault)
		*ret_fault = sorted.fault;
	return -EINVAL;
}

struct config_fault config_row_place(char *const *words, size_t count,
				     enum config_role role, size_t index)
{
	struct config_words sorted = {.word = words, .count = count};
	struct config_place list, piece;
	char buffer[CONFIG_PIECE_SIZE];

	if (config_words_sort(&sorted))
		return (struct config_fault){0};
	switch (role) {
	case CONFIG_ROLE_NAME:
		break;
	case CONFIG_ROLE_ON:
		return sorted.option[CONFIG_OPTION_ON].at;
	case CONFIG_ROLE_TARGET:
		list = sorted.operand[1];
		for (piece = list; config_words_next(&list, buffer, &piece);
		     index--)
			if (!index)
				break;
		return piece.at;
	}
	return sorted.operand[0].at;
}
