// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* config_row.h, the other way: rows to text. */
#include <string.h>
#include "addr.h"
#include "config_row.h"
#include "setting.h"
#include "words.h"

/** struct text - a text that grows; its buffer holds CONFIG_ROW_SIZE bytes. */
struct text {
	char *data;
	size_t length;
};

/* The longest row fits, so that nothing is ever cut: see the assertion. */
static void append(struct text *text, const char *word)
{
	size_t length = strlen(word);

	if (length >= CONFIG_ROW_SIZE - text->length)
		length = CONFIG_ROW_SIZE - 1 - text->length;
	memcpy(text->data + text->length, word, length);
	text->length += length;
	text->data[text->length] = '\0';
}

_Static_assert(sizeof("route replace  --proxy off --datapath sockmap --on  "
		      "--alpn  --http redirect --http-target  --forwarded") +
			       PATTERN_TEXT_SIZE +
			       (ABI_TARGETS_MAX + 2) * ADDR_TEXT_SIZE +
			       ABI_ALPN_MAX <
		       CONFIG_ROW_SIZE,
	       "the longest route");
_Static_assert(sizeof("listen add  --accept-proxy  --http "
		      "--trust-forwarded ") +
			       (2 * ABI_TRUSTED_MAX + 1) * ADDR_TEXT_SIZE <
		       CONFIG_ROW_SIZE,
	       "the longest listener");

static void append_targets(struct text *text, const struct abi_route *route)
{
	char target[ADDR_TEXT_SIZE];

	if (route->action != ABI_ACTION_FORWARD) {
		append(text,
		       route->action == ABI_ACTION_REJECT ? "reject" : "drop");
		return;
	}
	for (unsigned i = 0; i < route->target_count; i++) {
		if (i)
			append(text, ",");
		append(text, addr_format_endpoint(&route->target[i], target));
	}
}

static void append_http(struct text *text, const struct abi_route *route)
{
	char target[ADDR_TEXT_SIZE];

	if (route->http) {
		append(text, " --http ");
		append(text, words_http[route->http]);
	}
	if (route->http_target.family) {
		append(text, " --http-target ");
		append(text, addr_format_endpoint(&route->http_target, target));
	}
	if (route->forwarded)
		append(text, " --forwarded");
}

static void append_route(struct text *text, const struct config_route *route,
			 bool whole)
{
	char name[PATTERN_TEXT_SIZE], on[ADDR_TEXT_SIZE];
	char alpn[ABI_ALPN_MAX + 1];

	append(text, config_route_name(route, name));
	if (whole) {
		append(text, " ");
		append_targets(text, &route->route);
	}
	if (whole && route->route.proxy) {
		append(text, " --proxy ");
		append(text, words_proxy[route->route.proxy]);
	}
	if (whole && route->route.datapath) {
		append(text, " --datapath ");
		append(text, words_datapath[route->route.datapath]);
	}
	if (whole)
		append_http(text, &route->route);
	if (route->route.alpn_length) {
		append(text, " --alpn ");
		append(text, config_route_alpn(&route->route, alpn));
	}
	if (route->scoped) {
		append(text, " --on ");
		append(text, addr_format_listener(&route->on, on));
	}
}

static void append_listener(struct text *text,
			    const struct config_listener *listener, bool whole)
{
	char address[ADDR_TEXT_SIZE];

	append(text, addr_format_listener(&listener->endpoint, address));
	for (unsigned i = 0; whole && i < listener->trusted_count; i++) {
		append(text, i ? "," : " --accept-proxy ");
		append(text,
		       addr_format_prefix(&listener->trusted[i], address));
	}
	if (whole && listener->http)
		append(text, " --http");
	for (unsigned i = 0; whole && i < listener->forwarder_count; i++) {
		append(text, i ? "," : " --trust-forwarded ");
		append(text,
		       addr_format_prefix(&listener->forwarder[i], address));
	}
}

static void append_setting(struct text *text,
			   const struct config_setting *setting, bool whole)
{
	char value[SETTING_TEXT_SIZE] = "default";

	append(text, setting_table[setting->setting].name);
	append(text, " ");
	if (whole)
		setting_format(setting->setting, setting->value, value);
	append(text, value);
	if (setting->interface[0]) {
		append(text, " --interface ");
		append(text, setting->interface);
	}
}

size_t config_row_format(const struct config_row *row, char *text)
{
	static const char *const verbs[] = {
		[CONFIG_ADD] = "add ",
		[CONFIG_REPLACE] = "replace ",
		[CONFIG_DEL] = "del ",
	};
	static const char *const objects[] = {
		[CONFIG_LISTENER] = "listen ",
		[CONFIG_ROUTE] = "route ",
		[CONFIG_SETTING] = "set ",
	};
	struct text out = {text, 0};
	bool whole = row->verb != CONFIG_DEL;

	append(&out, objects[row->object]);
	if (row->object != CONFIG_SETTING)
		append(&out, verbs[row->verb]);
	switch (row->object) {
	case CONFIG_LISTENER:
		append_listener(&out, &row->listener, whole);
		break;
	case CONFIG_ROUTE:
		append_route(&out, &row->route, whole);
		break;
	case CONFIG_SETTING:
		append_setting(&out, &row->setting, whole);
		break;
	}
	return out.length;
}

const char *config_route_targets(const struct abi_route *route, char *text)
{
	struct text out = {text, 0};

	append_targets(&out, route);
	return text;
}

const char *config_route_alpn(const struct abi_route *route, char *text)
{
	memcpy(text, route->alpn, route->alpn_length);
	text[route->alpn_length] = '\0';
	return text;
}

void config_route_pattern(const struct config_route *route,
			  struct pattern *ret_pattern)
{
	struct pattern *pattern = ret_pattern;
	uint8_t length = route->route.name_length;

	pattern->kind = route->kind;
	pattern->apex = route->route.apex;
	pattern->name.length = length;
	memcpy(pattern->name.text, route->route.name, length);
	pattern->name.text[length] = '\0';
}

const char *config_route_name(const struct config_route *route, char *text)
{
	struct pattern pattern;

	config_route_pattern(route, &pattern);
	return pattern_format(&pattern, text);
}
