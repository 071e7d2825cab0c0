// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "route_view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../userspace/addr.h"

static int parse_on(const struct invocation *call, struct route_view *view,
		    struct error *error)
{
	const char *on = call->option[OPTION_ON];

	if (!on)
		return 0;
	if (addr_parse_listener(on, &view->on))
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.80s\" is no listener: it is PORT, "
				 "ADDR:PORT or [IPV6]:PORT",
				 on);
	view->scoped = true;
	return 0;
}

static int find_on(const struct invocation *call, struct route_view *view,
		   struct error *error)
{
	if (!view->scoped)
		return 0;
	view->on_id = listener_list_id(&view->maps.listeners, &view->on);
	if (view->on_id)
		return 0;
	return error_set(error, EXIT_FAILED, ENOENT,
			 "there is no listener %s: `snictl listen list` "
			 "lists them",
			 call->option[OPTION_ON]);
}

int route_view_open(const struct invocation *call, struct route_view *view,
		    struct error *error)
{
	int ret = parse_on(call, view, error);

	if (!ret)
		ret = reader_open(&view->maps, &call->paths, error);
	if (!ret)
		ret = state_load(&view->maps.store, &view->config, error);
	if (ret)
		return ret;
	if (tally_read(&view->maps.store, &view->tally))
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	return find_on(call, view, error);
}

void route_view_done(struct route_view *view)
{
	tally_done(&view->tally);
	config_done(&view->config);
	reader_close(&view->maps);
}

bool route_view_shows(const struct route_view *view,
		      const struct config_route *route)
{
	return !view->scoped || (route->scoped && !memcmp(&route->on, &view->on,
							  sizeof(view->on)));
}

int route_view_alpn(const struct invocation *call, struct abi_route *route,
		    struct error *error)
{
	const char *alpn = call->option[OPTION_ALPN];
	size_t length = alpn ? strlen(alpn) : 0;

	if (length > ABI_ALPN_MAX)
		return error_set(error, EXIT_USAGE, EINVAL,
				 "\"%.80s\" is no ALPN protocol of a route: it "
				 "has at most %d letters",
				 alpn, ABI_ALPN_MAX);
	route->alpn_length = (__u8)length;
	if (length)
		memcpy(route->alpn, alpn, length);
	return 0;
}

/* "10.1.2.3:80,[2001:db8::1]:80" */
static void http_targets(const struct abi_route *route, char *text)
{
	struct abi_route http = *route;

	if (route->http_target.family) {
		http.target[0] = route->http_target;
		http.target_count = 1;
	} else {
		for (unsigned i = 0; i < http.target_count; i++)
			http.target[i].port_be = htons(80);
	}
	config_route_targets(&http, text);
}

const char *route_view_http(const struct abi_route *route, char *text)
{
	char targets[CONFIG_ROW_SIZE];

	http_targets(route, targets);
	switch ((enum abi_http)route->http) {
	case ABI_HTTP_ACME:
		snprintf(text, CONFIG_ROW_SIZE,
			 "acme: ACME challenges to %.512s, all else redirected "
			 "to https",
			 targets);
		break;
	case ABI_HTTP_REDIRECT:
		snprintf(text, CONFIG_ROW_SIZE, "redirect to https");
		break;
	case ABI_HTTP_PROXY:
		snprintf(text, CONFIG_ROW_SIZE, "proxy to %.512s", targets);
		break;
	case ABI_HTTP_OFF:
	case ABI_HTTP_COUNT:
		snprintf(text, CONFIG_ROW_SIZE, "off: 404");
		break;
	}
	return text;
}

void route_view_figures(const struct route_view *view,
			const struct config_route *route,
			struct route_figures *ret_figures)
{
	struct route_figures figures = {.live = 0};
	struct abi_route_key key;
	struct pattern pattern;
	struct tally_row row;
	uint32_t scope = route->scoped ? listener_list_id(&view->maps.listeners,
							  &route->on)
				       : 0;

	config_route_pattern(route, &pattern);
	route_key_alpn(
		&view->maps.store, scope, &pattern,
		(struct span){route->route.alpn, route->route.alpn_length},
		&key);
	/* Figures that cannot be read are as those that were never kept. */
	route_stats_read(&view->maps.store, &key, &figures.stats);
	row = tally_find(&view->tally, &key);
	figures.live = row.live;
	for (int i = ABI_FROM_CLIENT; i <= ABI_FROM_BACKEND; i++)
		figures.bytes[i] = figures.stats.bytes[i] + row.bytes[i];
	*ret_figures = figures;
}
