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
/* And where requests go. */
#define HTTP_PORT 80

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

static int parse_address(struct config_words *words, struct config_place piece,
			 uint16_t port, struct abi_endpoint *ret_target)
{
	struct abi_endpoint target;
	int status = addr_parse_endpoint(piece.text, port, &target);
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
	*ret_target = target;
	return 0;
}

static int parse_target(struct config_words *words, struct config_place piece,
			struct abi_route *route)
{
	struct abi_endpoint target;
	int status = parse_address(words, piece, TARGET_PORT, &target);

	if (status)
		return status;
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

/* RFC 7301 allows any bytes; those that a configuration can hold are enough.
 */
static int parse_alpn(struct config_words *words, struct abi_route *route)
{
	struct config_place place = words->option[CONFIG_OPTION_ALPN];
	size_t length;

	if (!place.text)
		return 0;
	length = strlen(place.text);
	for (size_t i = 0; i < length; i++) {
		if (place.text[i] <= ' ' || place.text[i] > '~')
			length = 0;
	}
	if (!length || length > ABI_ALPN_MAX)
		return config_words_fail(
			words, place.at,
			"\"%.80s\" is no ALPN protocol: 1 to %d letters, such "
			"as acme-tls/1",
			place.text, ABI_ALPN_MAX);
	memcpy(route->alpn, place.text, length);
	route->alpn_length = (uint8_t)length;
	return 0;
}

static int parse_http(struct config_words *words, struct abi_route *route)
{
	struct config_place target = words->option[CONFIG_OPTION_HTTP_TARGET];
	int status = parse_choice(words, CONFIG_OPTION_HTTP, words_http,
				  "acme, redirect, proxy or off", &route->http);

	if (status)
		return status;
	route->forwarded = words->option[CONFIG_OPTION_FORWARDED].text != NULL;
	if (!target.text)
		return 0;
	if (route->http == ABI_HTTP_REDIRECT || route->http == ABI_HTTP_OFF)
		return config_words_fail(
			words, target.at,
			"--http-target means nothing with --http %s",
			words_http[route->http]);
	return parse_address(words, target, HTTP_PORT, &route->http_target);
}

static int parse_what_it_does(struct config_words *words,
			      struct abi_route *route)
{
	static const enum config_option idle[] = {
		CONFIG_OPTION_PROXY,	 CONFIG_OPTION_DATAPATH,
		CONFIG_OPTION_HTTP,	 CONFIG_OPTION_HTTP_TARGET,
		CONFIG_OPTION_FORWARDED,
	};
	const unsigned idle_count = sizeof(idle) / sizeof(idle[0]);
	int status;

	status = parse_targets(words, words->operand[1], route);
	if (status)
		return status;
	for (unsigned i = 0;
	     route->action != ABI_ACTION_FORWARD && i < idle_count; i++)
		if (words->option[idle[i]].text)
			return config_words_fail(words,
						 words->option[idle[i]].at,
						 "%s means nothing with \"%s\"",
						 config_option_names[idle[i]],
						 words->operand[1].text);
	status = parse_choice(words, CONFIG_OPTION_PROXY, words_proxy,
			      "off, v1 or v2", &route->proxy);
	if (!status)
		status = parse_choice(
			words, CONFIG_OPTION_DATAPATH, words_datapath,
			"auto, splice, sockmap or relay", &route->datapath);
	return status ? status : parse_http(words, route);
}

static int parse_route(struct config_words *words, struct config_row *row)
{
	struct config_place on = words->option[CONFIG_OPTION_ON];
	int status;

	status = parse_name(words, &row->route);
	if (!status)
		status = parse_alpn(words, &row->route.route);
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

/** struct prefixes - a list of them; @count is at most ABI_TRUSTED_MAX. */
struct prefixes {
	struct abi_prefix *prefix;
	uint32_t count;
};

static int parse_prefix(struct config_words *words, struct config_place piece,
			struct prefixes *list)
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
	for (unsigned i = 0; i < list->count; i++) {
		if (!memcmp(&list->prefix[i], &prefix, sizeof(prefix)))
			return config_words_fail(words, piece.at,
						 "\"%.80s\" is there twice",
						 piece.text);
	}
	if (list->count == ABI_TRUSTED_MAX)
		return config_words_fail(
			words, piece.at,
			"\"%.80s\" is one prefix too many: at most %d",
			piece.text, ABI_TRUSTED_MAX);
	list->prefix[list->count++] = prefix;
	return 0;
}

static int parse_prefixes(struct config_words *words, enum config_option option,
			  struct abi_prefix *prefix, uint32_t *ret_count)
{
	struct config_place text = words->option[option], piece;
	struct prefixes list = {prefix, 0};
	char buffer[CONFIG_PIECE_SIZE];
	int status = 0;

	while (!status && config_words_next(&text, buffer, &piece))
		status = parse_prefix(words, piece, &list);
	*ret_count = list.count;
	return status;
}

static int parse_listener(struct config_words *words,
			  struct config_listener *listener)
{
	struct config_place forwarders =
		words->option[CONFIG_OPTION_TRUST_FORWARDED];
	int status =
		parse_endpoint(words, words->operand[0], &listener->endpoint);

	listener->http = words->option[CONFIG_OPTION_LISTEN_HTTP].text != NULL;
	if (!status && forwarders.text && !listener->http)
		return config_words_fail(
			words, forwarders.at,
			"--trust-forwarded means nothing without --http");
	if (!status)
		status = parse_prefixes(words, CONFIG_OPTION_ACCEPT_PROXY,
					listener->trusted,
					&listener->trusted_count);
	if (!status)
		status = parse_prefixes(words, CONFIG_OPTION_TRUST_FORWARDED,
					listener->forwarder,
					&listener->forwarder_count);
	return status;
}

/* What the kernel takes for a name, without what a file cannot hold. */
static bool is_interface_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		if (name[i] <= ' ' || name[i] > '~' || strchr("/:", name[i]))
			return false;
	}
	return length && length < ABI_INTERFACE_SIZE && name[0] != '#' &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int parse_interface(struct config_words *words,
			   struct config_setting *setting)
{
	struct config_place name = words->option[CONFIG_OPTION_INTERFACE];

	if (!name.text)
		return 0;
	if (setting->setting != ABI_SET_EDGE_HOOK)
		return config_words_fail(words, name.at,
					 "--interface means nothing with %s",
					 setting_table[setting->setting].name);
	if (!is_interface_name(name.text))
		return config_words_fail(words, name.at,
					 "\"%.80s\" is no name of an interface",
					 name.text);
	memcpy(setting->interface, name.text, strlen(name.text));
	return 0;
}

static int parse_setting(struct config_words *words, struct config_row *row)
{
	struct config_place key = words->operand[0], value = words->operand[1];
	struct config_setting *setting = &row->setting;
	int index = setting_find(key.text);

	if (index < 0)
		return config_words_fail(
			words, key.at,
			"\"%.80s\" is no setting: `set list` shows them "
			"all",
			key.text);
	setting->setting = (enum abi_setting)index;
	if (parse_interface(words, setting))
		return -EINVAL;
	if (!strcmp(value.text, "default")) {
		setting->value = setting_table[index].fallback;
		if (setting->interface[0])
			row->verb = CONFIG_DEL;
		return 0;
	}
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
	return parse_setting(words, row);
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
	case CONFIG_ROLE_VALUE:
		return sorted.operand[1].at;
	case CONFIG_ROLE_INTERFACE:
		return sorted.option[CONFIG_OPTION_INTERFACE].at;
	case CONFIG_ROLE_ON:
		return sorted.option[CONFIG_OPTION_ON].at;
	case CONFIG_ROLE_HTTP:
		if (sorted.option[CONFIG_OPTION_HTTP_TARGET].text)
			return sorted.option[CONFIG_OPTION_HTTP_TARGET].at;
		return sorted.option[CONFIG_OPTION_HTTP].at;
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
