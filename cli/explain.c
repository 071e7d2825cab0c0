// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* explain: the route that a connection would take. One JSON value holds all
 * that is found; the page for people is printed from it. */
#include <errno.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/nearest.h"
#include "../userspace/words.h"
#include "output.h"
#include "route_view.h"

/* Rows that are not the answer but look like it: so many are enough. */
#define NEAR_MAX 8
#define SENTENCE_SIZE 768

/**
 * struct explanation - what is asked, and what is found.
 * @name:       as asked, in normal form; "none", "other".
 * @candidates: in the order of precedence.
 * @taken:      the first that has a route, borrowed from @candidates.
 * @alpn:       as a list of one, as TLS has it.
 * @route:      what was taken.
 */
struct explanation {
	const struct route_view *view;
	struct route_query query;
	struct pattern pattern;
	char name[PATTERN_TEXT_SIZE];
	json_t *candidates;
	json_t *taken;
	json_t *near;
	uint8_t taken_kind;
	uint8_t alpn[1 + ABI_ALPN_MAX];
	struct abi_route route;
};

/* ---- the question ---------------------------------------------------------
 */

static int parse_question(const char *text, struct explanation *asked,
			  struct error *error)
{
	const char *reason = "a connection asks for one name";

	if (pattern_parse(text, &asked->pattern, &reason) ||
	    asked->pattern.kind == ABI_ROUTE_WILDCARD ||
	    asked->pattern.kind == ABI_ROUTE_DEFAULT)
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.280s\" is nothing that a client asks "
				 "for: %s",
				 text, reason);
	pattern_format(&asked->pattern, asked->name);
	asked->query.kind =
		asked->pattern.kind == ABI_ROUTE_NONE	 ? ROUTE_QUERY_NO_NAME
		: asked->pattern.kind == ABI_ROUTE_OTHER ? ROUTE_QUERY_NOT_TLS
							 : ROUTE_QUERY_NAME;
	asked->query.name = &asked->pattern.name;
	return 0;
}

static int parse_alpn(const struct invocation *call, struct explanation *asked,
		      struct error *error)
{
	struct abi_route route;
	int ret = route_view_alpn(call, &route, error);

	if (ret || !route.alpn_length)
		return ret;
	asked->alpn[0] = route.alpn_length;
	memcpy(asked->alpn + 1, route.alpn, route.alpn_length);
	asked->query.alpn =
		(struct span){asked->alpn, (size_t)route.alpn_length + 1};
	return 0;
}

/* ---- the candidates -------------------------------------------------------
 */

static const char *scope_text(const struct route_view *view, uint32_t scope,
			      char *text)
{
	const struct listener *listener =
		scope ? listener_list_find(&view->maps.listeners, scope) : NULL;

	return listener ? addr_format_listener(&listener->endpoint, text)
			: NULL;
}

static bool keep_candidate(void *context, const struct abi_route_key *key,
			   const struct pattern *pattern,
			   const struct abi_route *route)
{
	struct explanation *found = context;
	char name[PATTERN_TEXT_SIZE], on[ADDR_TEXT_SIZE];
	char targets[CONFIG_ROW_SIZE], alpn[ABI_ALPN_MAX + 1];
	struct pattern shown = *pattern;
	json_t *candidate;

	if (route)
		shown.apex = route->apex;
	candidate = json_pack(
		"{s:s, s:s?, s:s?, s:b, s:b, s:s?, s:s?, s:s?, s:s?}", "name",
		pattern_format(&shown, name), "on",
		scope_text(found->view, key->scope, on), "alpn",
		route && route->alpn_length ? config_route_alpn(route, alpn)
					    : NULL,
		"found", route != NULL, "taken", route && !found->taken,
		"target", route ? config_route_targets(route, targets) : NULL,
		"proxy", route ? words_proxy[route->proxy] : NULL, "datapath",
		route ? words_datapath[route->datapath] : NULL, "http",
		route && route->action == ABI_ACTION_FORWARD
			? words_http[route->http]
			: NULL);
	json_array_append_new(found->candidates, candidate);
	if (route && !found->taken) {
		found->taken = candidate;
		found->taken_kind = key->kind;
		found->route = *route;
	}
	return false;
}

/* Of a listener whose requests are steered by Host. */
static bool asks_http(const struct explanation *asked)
{
	const struct listener *on = listener_list_find(
		&asked->view->maps.listeners, asked->view->on_id);

	return on && on->value.http;
}

static const char *reason(const struct explanation *found)
{
	static const char *const reasons[] = {
		[ABI_ROUTE_EXACT] = "the name itself has a route",
		[ABI_ROUTE_WILDCARD] = "the longest wildcard that covers the "
				       "name",
		[ABI_ROUTE_NONE] = "the client sends no server name",
		[ABI_ROUTE_DEFAULT] = "nothing else matches",
		[ABI_ROUTE_OTHER] = "the client does not speak TLS",
	};

	if (found->taken)
		return reasons[found->taken_kind];
	if (asks_http(found))
		return "no route matches: the client gets the answer 404";
	if (found->query.kind == ROUTE_QUERY_NOT_TLS)
		return "no route matches: the connection is closed";
	return "no route matches: the client gets the alert "
	       "unrecognized_name";
}

/* ---- what nearly matched --------------------------------------------------
 */

static bool is_below(const char *name, const char *domain)
{
	size_t length = strlen(name), domain_length = strlen(domain);

	return length > domain_length &&
	       name[length - domain_length - 1] == '.' &&
	       !strcmp(name + length - domain_length, domain);
}

/* Why a row is worth a look, or NULL. @domain: without "*." or ".". */
static const char *why_near(const struct explanation *asked,
			    const struct config_route *row, const char *domain,
			    char *text)
{
	const char *name = asked->pattern.name.text;

	if (row->kind == ABI_ROUTE_DEFAULT &&
	    asked->query.kind == ROUTE_QUERY_NOT_TLS)
		return "covers TLS clients only";
	if (asked->query.kind != ROUTE_QUERY_NAME)
		return NULL;
	if (row->kind == ABI_ROUTE_WILDCARD && !row->route.apex &&
	    !strcmp(domain, name)) {
		snprintf(text, SENTENCE_SIZE,
			 "covers only the names below; \".%s\" covers %s too",
			 domain, name);
		return text;
	}
	if (row->kind != ABI_ROUTE_EXACT)
		return NULL;
	if (is_below(name, domain)) {
		snprintf(text, SENTENCE_SIZE,
			 "is the name itself only; \".%s\" covers %s too",
			 domain, name);
		return text;
	}
	return nearest_distance(name, domain, 1) == 1 ? "differs in one letter"
						      : NULL;
}

static void keep_near(struct explanation *asked, const struct config_route *row,
		      const char *why)
{
	char name[PATTERN_TEXT_SIZE], on[ADDR_TEXT_SIZE];

	addr_format_listener(&row->on, on);
	json_array_append_new(asked->near,
			      json_pack("{s:s, s:s?, s:s}", "name",
					config_route_name(row, name), "on",
					row->scoped ? on : NULL, "why", why));
}

static void find_near(struct explanation *asked)
{
	const struct route_view *view = asked->view;
	char text[SENTENCE_SIZE], name[PATTERN_TEXT_SIZE];

	for (size_t i = 0; i < view->config.route_count; i++) {
		const struct config_route *row = &view->config.routes[i];
		const char *why;
		struct pattern pattern;

		if (json_array_size(asked->near) == NEAR_MAX)
			return;
		config_route_pattern(row, &pattern);
		why = why_near(asked, row, pattern.name.text, text);
		/* The same name, but in a table that was not searched. */
		if (!why && row->scoped && !view->scoped &&
		    !strcmp(config_route_name(row, name), asked->name))
			why = "counts for connections to that listener only";
		if (why)
			keep_near(asked, row, why);
	}
}

/* ---- the answer -----------------------------------------------------------
 */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_candidates(const json_t *candidates)
{
	const char *label = "Tried";

	for (size_t i = 0; i < json_array_size(candidates); i++) {
		const json_t *row = json_array_get(candidates, i);
		bool taken = json_is_true(json_object_get(row, "taken"));
		const char *on = text_of(row, "on");
		const char *target = text_of(row, "target");
		const char *alpn = text_of(row, "alpn");

		output_field(label, "%s%s%s%s%s%s: %s%s%s",
			     taken ? output_tone(TONE_GOOD) : "",
			     text_of(row, "name"), alpn ? " with ALPN " : "",
			     alpn ? alpn : "", on ? " on " : "", on ? on : "",
			     target ? target : "no route",
			     !target ? ""
			     : taken ? ", taken"
				     : ", not needed",
			     taken ? output_tone(TONE_PLAIN) : "");
		label = NULL;
	}
}

static void print_page(const struct explanation *asked, const json_t *answer)
{
	char text[CONFIG_ROW_SIZE];
	const json_t *route = json_object_get(answer, "route");
	const json_t *near = json_object_get(answer, "near");
	const char *on = text_of(answer, "on"), *label = "Near";

	output_field("Asked", "%s%s%s", text_of(answer, "name"),
		     on ? " on " : "", on ? on : "");
	if (text_of(route, "name"))
		output_field("Route", "%s to %s, PROXY %s, data path %s",
			     text_of(route, "name"), text_of(route, "target"),
			     text_of(route, "proxy"),
			     text_of(route, "datapath"));
	else
		output_field("Route", "none");
	if (text_of(route, "http"))
		output_field("HTTP", "%s",
			     route_view_http(&asked->route, text));
	output_field("Why", "%s", text_of(answer, "why"));
	print_candidates(json_object_get(answer, "candidates"));
	for (size_t i = 0; i < json_array_size(near); i++) {
		const json_t *row = json_array_get(near, i);

		on = text_of(row, "on");
		output_field(label, "%s%s%s %s", text_of(row, "name"),
			     on ? " on " : "", on ? on : "",
			     text_of(row, "why"));
		label = NULL;
	}
}

static json_t *explain(struct explanation *asked)
{
	const struct route_view *view = asked->view;
	struct route_table table = ROUTE_TABLE_NONE;
	char on[ADDR_TEXT_SIZE];

	asked->candidates = json_array();
	asked->near = json_array();
	asked->query.listener_id = view->on_id;
	route_walk(&view->maps.store, &table, &asked->query, keep_candidate,
		   asked);
	route_table_close(&table);
	find_near(asked);
	return json_pack("{s:s, s:s?, s:O?, s:s, s:o, s:o}", "name",
			 asked->name, "on", scope_text(view, view->on_id, on),
			 "route", asked->taken, "why", reason(asked),
			 "candidates", asked->candidates, "near", asked->near);
}

int explain_main(const struct invocation *call, struct error *error)
{
	AUTO_ROUTE_VIEW view = ROUTE_VIEW_NONE;
	struct explanation asked = {.view = &view};
	json_auto_t *answer = NULL;
	int ret = parse_question(call->argument[0], &asked, error);

	if (!ret)
		ret = parse_alpn(call, &asked, error);
	if (!ret)
		ret = route_view_open(call, &view, error);
	if (ret)
		return ret;
	answer = explain(&asked);
	if (!answer)
		return -ENOMEM;
	if (call->option[OPTION_JSON])
		return output_json(json_incref(answer));
	print_page(&asked, answer);
	return 0;
}
