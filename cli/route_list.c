// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "../userspace/addr.h"
#include "../userspace/nearest.h"
#include "../userspace/words.h"
#include "object.h"
#include "output.h"
#include "route_view.h"

#define FAILURE_SIZE 160

/* ---- JSON -----------------------------------------------------------------
 */

static json_t *targets_object(const struct abi_route *route)
{
	json_t *array = json_array();

	for (int i = 0; i < route->target_count; i++)
		json_array_append_new(array,
				      object_endpoint(&route->target[i]));
	return array;
}

static json_t *failure_object(const struct abi_route_stats *stats)
{
	if (!stats->failure_ns)
		return json_null();
	return json_pack("{s:o, s:o, s:s}", "time",
			 object_time(stats->failure_ns), "target",
			 object_endpoint(&stats->failure_target), "error",
			 strerror((int)stats->failure_errno));
}

static json_t *route_object(const struct route_view *view,
			    const struct config_route *row)
{
	static const char *const actions[] = {
		[ABI_ACTION_FORWARD] = "forward",
		[ABI_ACTION_REJECT] = "reject",
		[ABI_ACTION_DROP] = "drop",
	};
	const struct abi_route *route = &row->route;
	char name[PATTERN_TEXT_SIZE], on[ADDR_TEXT_SIZE];
	char alpn[ABI_ALPN_MAX + 1];
	bool forwards = route->action == ABI_ACTION_FORWARD;
	struct route_figures figures;

	route_view_figures(view, row, &figures);
	addr_format_listener(&row->on, on);
	config_route_alpn(route, alpn);
	return json_pack(
		"{s:s, s:o, s:o, s:s, s:o, s:s, s:s, s:o, s:o, s:b, s:I, s:I, "
		"s:I, s:I, s:I, s:o}",
		"name", config_route_name(row, name), "on",
		object_text(row->scoped ? on : NULL), "alpn",
		object_text(route->alpn_length ? alpn : NULL), "action",
		actions[row->route.action], "targets",
		targets_object(&row->route), "proxy",
		words_proxy[row->route.proxy], "datapath",
		words_datapath[row->route.datapath], "http",
		object_text(forwards ? words_http[route->http] : NULL),
		"http_target", object_endpoint(&route->http_target),
		"forwarded", route->forwarded, "live", (json_int_t)figures.live,
		"finished", (json_int_t)figures.stats.flows, "bytes_in",
		(json_int_t)figures.bytes[ABI_FROM_CLIENT], "bytes_out",
		(json_int_t)figures.bytes[ABI_FROM_BACKEND], "failures",
		(json_int_t)figures.stats.failures, "last_failure",
		failure_object(&figures.stats));
}

/* ---- text -----------------------------------------------------------------
 */

static const char *failure_text(const struct abi_route_stats *stats, char *text)
{
	char target[ADDR_TEXT_SIZE], age[OUTPUT_AMOUNT_SIZE];
	struct timespec now;
	uint64_t now_ns;

	text[0] = '\0';
	if (!stats->failure_ns)
		return text;
	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	output_ns(now_ns > stats->failure_ns ? now_ns - stats->failure_ns : 0,
		  age);
	snprintf(text, FAILURE_SIZE, "%s ago, %s: %s", age,
		 addr_format_endpoint(&stats->failure_target, target),
		 strerror((int)stats->failure_errno));
	return text;
}

static const struct column columns[] = {
	{"NAME", COLUMN_TEXT},	  {"TARGET", COLUMN_CUT},
	{"PROXY", COLUMN_TEXT},	  {"DATAPATH", COLUMN_SPARE},
	{"HTTP", COLUMN_SPARE},	  {"ALPN", COLUMN_TEXT},
	{"ON", COLUMN_TEXT},	  {"LIVE", COLUMN_NUMBER},
	{"BYTES", COLUMN_NUMBER}, {"LAST FAILURE", COLUMN_CUT},
	{NULL, COLUMN_TEXT},
};

static void list_one(struct listing *listing, const struct route_view *view,
		     const struct config_route *row)
{
	char name[PATTERN_TEXT_SIZE], on[ADDR_TEXT_SIZE] = "";
	char targets[CONFIG_ROW_SIZE], failure[FAILURE_SIZE];
	char live[OUTPUT_AMOUNT_SIZE], bytes[OUTPUT_AMOUNT_SIZE];
	char alpn[ABI_ALPN_MAX + 1];
	bool forwards = row->route.action == ABI_ACTION_FORWARD;
	struct route_figures figures;

	if (listing->json) {
		listing_object(listing, route_object(view, row));
		return;
	}
	route_view_figures(view, row, &figures);
	if (row->scoped)
		addr_format_listener(&row->on, on);
	snprintf(live, sizeof(live), "%" PRIu64, figures.live);
	output_bytes(figures.bytes[0] + figures.bytes[1], bytes);
	listing_row(listing,
		    (const char *const[]){
			    config_route_name(row, name),
			    config_route_targets(&row->route, targets),
			    words_proxy[row->route.proxy],
			    words_datapath[row->route.datapath],
			    forwards ? words_http[row->route.http] : "",
			    config_route_alpn(&row->route, alpn), on, live,
			    bytes, failure_text(&figures.stats, failure)});
	if (figures.stats.failure_ns)
		listing_tone(listing, 9, TONE_BAD);
}

int route_list_main(const struct invocation *call, struct error *error)
{
	AUTO_ROUTE_VIEW view = ROUTE_VIEW_NONE;
	struct listing listing;
	int ret = route_view_open(call, &view, error);

	if (ret)
		return ret;
	listing_begin(&listing, call->option[OPTION_JSON], columns);
	for (size_t i = 0; i < view.config.route_count; i++) {
		if (route_view_shows(&view, &view.config.routes[i]))
			list_one(&listing, &view, &view.config.routes[i]);
	}
	return listing_end(&listing);
}

/* ---- one route ------------------------------------------------------------
 */

static void show_page(const struct route_view *view,
		      const struct config_route *row)
{
	char text[CONFIG_ROW_SIZE], bytes[2][OUTPUT_AMOUNT_SIZE];
	struct route_figures figures;

	route_view_figures(view, row, &figures);
	output_field("Name", "%s", config_route_name(row, text));
	output_field("Listener", "%s",
		     row->scoped ? addr_format_listener(&row->on, text)
				 : "any");
	if (row->route.alpn_length)
		output_field("ALPN", "%s",
			     config_route_alpn(&row->route, text));
	output_field("Target", "%s", config_route_targets(&row->route, text));
	output_field("PROXY", "%s", words_proxy[row->route.proxy]);
	output_field("Data path", "%s", words_datapath[row->route.datapath]);
	if (row->route.action == ABI_ACTION_FORWARD)
		output_field("HTTP", "%s", route_view_http(&row->route, text));
	output_field("Connections", "%" PRIu64 " live, %llu finished",
		     figures.live, figures.stats.flows);
	output_field("Bytes", "%s from clients, %s from backends",
		     output_bytes(figures.bytes[ABI_FROM_CLIENT], bytes[0]),
		     output_bytes(figures.bytes[ABI_FROM_BACKEND], bytes[1]));
	output_field("Failures", "%llu%s%s", figures.stats.failures,
		     figures.stats.failure_ns ? ", the last " : "",
		     failure_text(&figures.stats, text));
}

/* The row of that name in another table, or NULL. */
static const struct config_route *find_elsewhere(const struct config *config,
						 const char *name)
{
	char other[PATTERN_TEXT_SIZE];

	for (size_t i = 0; i < config->route_count; i++) {
		if (!strcmp(config_route_name(&config->routes[i], other), name))
			return &config->routes[i];
	}
	return NULL;
}

/* Tells of the name in another table, or of one that looks like it. */
static int no_such_route(const struct route_view *view,
			 const struct config_route *like, struct error *error)
{
	char name[PATTERN_TEXT_SIZE], other[PATTERN_TEXT_SIZE];
	char on[ADDR_TEXT_SIZE];
	const struct config_route *row;

	row = find_elsewhere(&view->config, config_route_name(like, name));
	if (row && row->scoped)
		return error_set(error, EXIT_FAILED, ENOENT,
				 "there is no route %s here, but one with "
				 "--on %s",
				 name, addr_format_listener(&row->on, on));
	if (row)
		return error_set(error, EXIT_FAILED, ENOENT,
				 "there is no route %s here, but one in the "
				 "common table: leave out --on",
				 name);
	for (size_t i = 0; i < view->config.route_count; i++) {
		config_route_name(&view->config.routes[i], other);
		if (nearest_distance(name, other, 1) == 1)
			return error_set(error, EXIT_FAILED, ENOENT,
					 "there is no route %s: did you mean "
					 "%s?",
					 name, other);
	}
	return error_set(error, EXIT_FAILED, ENOENT,
			 "there is no route %s: `snictl route list` lists "
			 "them",
			 name);
}

static int parse_name(const struct invocation *call, struct config_route *like,
		      struct error *error)
{
	struct pattern pattern;
	const char *reason;

	if (pattern_parse(call->argument[0], &pattern, &reason))
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.280s\" is no host name: %s",
				 call->argument[0], reason);
	like->kind = pattern.kind;
	like->route.apex = pattern.apex;
	like->route.name_length = pattern.name.length;
	memcpy(like->route.name, pattern.name.text, pattern.name.length);
	return route_view_alpn(call, &like->route, error);
}

int route_show_main(const struct invocation *call, struct error *error)
{
	AUTO_ROUTE_VIEW view = ROUTE_VIEW_NONE;
	struct config_route like = {.kind = 0};
	const struct config_route *row;
	int ret = parse_name(call, &like, error);

	if (!ret)
		ret = route_view_open(call, &view, error);
	if (ret)
		return ret;
	like.on = view.on;
	like.scoped = view.scoped;
	row = config_find_route(&view.config, &like);
	if (!row)
		return no_such_route(&view, &like, error);
	if (call->option[OPTION_JSON])
		return output_json(route_object(&view, row));
	show_page(&view, row);
	return 0;
}
