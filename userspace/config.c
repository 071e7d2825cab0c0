// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "cleanup.h"
#include "config_check.h"
#include "setting.h"

void config_init(struct config *config)
{
	*config = (struct config){0};
	for (int i = 0; i < ABI_SETTING_COUNT; i++)
		config->settings[i] = setting_table[i].fallback;
}

void config_done(struct config *config)
{
	free(config->listeners);
	free(config->routes);
	config_init(config);
}

/* ---- order -------------------------------------------------------------- */

static int compare_endpoints(const struct abi_endpoint *a,
			     const struct abi_endpoint *b)
{
	int ports = (int)ntohs(a->port_be) - (int)ntohs(b->port_be);

	if (ports)
		return ports;
	if (a->family != b->family)
		return (int)a->family - (int)b->family;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

static int compare_listeners(const void *a, const void *b)
{
	const struct config_listener *left = a, *right = b;

	return compare_endpoints(&left->endpoint, &right->endpoint);
}

/* Names stand together, "none", "default" and "other" behind them. */
static int rank(uint8_t kind)
{
	return kind == ABI_ROUTE_EXACT || kind == ABI_ROUTE_WILDCARD ? 0 : kind;
}

int config_compare_routes(const void *a, const void *b)
{
	const struct config_route *left = a, *right = b;
	size_t left_length = left->route.name_length;
	size_t right_length = right->route.name_length;
	int order = (int)left->scoped - (int)right->scoped;

	if (!order && left->scoped)
		order = compare_endpoints(&left->on, &right->on);
	if (!order)
		order = rank(left->kind) - rank(right->kind);
	if (!order)
		order = memcmp(left->route.name, right->route.name,
			       left_length < right_length ? left_length
							  : right_length);
	if (!order)
		order = (int)left_length - (int)right_length;
	if (!order)
		order = (int)left->kind - (int)right->kind;
	if (!order)
		order = (int)left->route.alpn_length -
			(int)right->route.alpn_length;
	return order ? order
		     : memcmp(left->route.alpn, right->route.alpn,
			      left->route.alpn_length);
}

/* The first row that is not before @like; may be the end. */
static size_t route_position(const struct config *config,
			     const struct config_route *like)
{
	size_t low = 0, high = config->route_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (config_compare_routes(&config->routes[middle], like) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A few rows behind @sorted ones find their places among them. */
static int merge_routes(struct config *config, size_t sorted)
{
	size_t count = config->route_count - sorted;
	struct config_route *rows = config->routes;
	AUTO_FREE struct config_route *more =
		reallocarray(NULL, count, sizeof(*more));
	struct config head = {.routes = rows, .route_count = sorted};

	if (!more)
		return -ENOMEM;
	memcpy(more, &rows[sorted], count * sizeof(*more));
	qsort(more, count, sizeof(*more), config_compare_routes);
	while (count--) {
		size_t at = route_position(&head, &more[count]);

		memmove(&rows[at + count + 1], &rows[at],
			(head.route_count - at) * sizeof(*rows));
		rows[at + count] = more[count];
		head.route_count = at;
	}
	return 0;
}

/* State files are sorted; only what people write is not, and of a map what was
 * added since all of it was made. */
static void sort_routes(struct config *config)
{
	const struct config_route *routes = config->routes;
	size_t i;

	for (i = 1; i < config->route_count; i++) {
		if (config_compare_routes(&routes[i - 1], &routes[i]) > 0)
			break;
	}
	if (i >= config->route_count)
		return;
	if (config->route_count - i > i / 8 || merge_routes(config, i))
		qsort(config->routes, config->route_count,
		      sizeof(config->routes[0]), config_compare_routes);
}

void config_sort(struct config *config)
{
	sort_routes(config);
	if (config->listener_count)
		qsort(config->listeners, config->listener_count,
		      sizeof(config->listeners[0]), compare_listeners);
}

const struct config_route *config_find_route(const struct config *config,
					     const struct config_route *like)
{
	size_t at = route_position(config, like);

	if (at == config->route_count ||
	    config_compare_routes(&config->routes[at], like) != 0)
		return NULL;
	return &config->routes[at];
}

const struct config_listener *
config_find_listener(const struct config *config,
		     const struct abi_endpoint *endpoint)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (!compare_endpoints(&config->listeners[i].endpoint,
				       endpoint))
			return &config->listeners[i];
	}
	return NULL;
}

/* ---- growth ------------------------------------------------------------- */

int config_append_route(struct config *config, const struct config_route *route)
{
	size_t room = config->route_room ? config->route_room * 2 : 64;
	struct config_route *routes;

	if (config->route_count == config->route_room) {
		routes = reallocarray(config->routes, room, sizeof(*routes));
		if (!routes)
			return -ENOMEM;
		config->routes = routes;
		config->route_room = room;
	}
	config->routes[config->route_count++] = *route;
	return 0;
}

int config_append_listener(struct config *config,
			   const struct config_listener *listener)
{
	struct config_listener *listeners;

	listeners = reallocarray(config->listeners, config->listener_count + 1,
				 sizeof(*listeners));
	if (!listeners)
		return -ENOMEM;
	config->listeners = listeners;
	listeners[config->listener_count++] = *listener;
	return 0;
}

/* ---- edit --------------------------------------------------------------- */

static int no_memory(struct error *error)
{
	return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
}

static int missing_route(const struct config_route *route, struct error *error)
{
	char name[PATTERN_TEXT_SIZE], on[ADDR_TEXT_SIZE];

	config_route_name(route, name);
	if (!route->scoped)
		return error_set(error, EXIT_FAILED, ENOENT,
				 "there is no route \"%s\"", name);
	return error_set(error, EXIT_FAILED, ENOENT,
			 "there is no route \"%s\" on listener %s", name,
			 addr_format_listener(&route->on, on));
}

static int present_route(const struct config_route *present,
			 const struct config_route *route, struct error *error)
{
	char name[PATTERN_TEXT_SIZE], other[PATTERN_TEXT_SIZE];
	char targets[CONFIG_ROW_SIZE];

	config_route_name(route, name);
	config_route_name(present, other);
	if (present->route.apex != route->route.apex)
		return error_set(error, EXIT_FAILED, EEXIST,
				 "\"%s\" cannot stand beside \"%s\", which is "
				 "there: both cover the names below",
				 name, other);
	return error_set(error, EXIT_FAILED, EEXIST,
			 "\"%s\" has a route already, to %.200s: `route "
			 "replace` changes it",
			 name, config_route_targets(&present->route, targets));
}

static int put_route(struct config *config, const struct config_row *row,
		     const struct config_locals *locals, struct error *error)
{
	const struct config_route *route = &row->route;
	size_t at = route_position(config, route);
	struct config_route *rows = config->routes;
	bool found = at < config->route_count &&
		     !config_compare_routes(&rows[at], route);
	int status;

	if (row->verb == CONFIG_ADD && found)
		return present_route(&rows[at], route, error);
	if (row->verb != CONFIG_ADD &&
	    (!found || rows[at].route.apex != route->route.apex))
		return missing_route(route, error);
	if (row->verb == CONFIG_DEL) {
		config->route_count--;
		memmove(&rows[at], &rows[at + 1],
			(config->route_count - at) * sizeof(rows[0]));
		return 0;
	}
	status = config_check_route(config, route, locals, NULL, error);
	if (status)
		return status;
	if (row->verb == CONFIG_ADD) {
		if (config_append_route(config, route))
			return no_memory(error);
		rows = config->routes;
		memmove(&rows[at + 1], &rows[at],
			(config->route_count - 1 - at) * sizeof(rows[0]));
	}
	rows[at] = *route;
	return 0;
}

static int del_listener(struct config *config,
			const struct abi_endpoint *endpoint,
			struct error *error)
{
	const struct config_listener *found =
		config_find_listener(config, endpoint);
	char text[ADDR_TEXT_SIZE];
	size_t own = 0, at;

	addr_format_listener(endpoint, text);
	if (!found)
		return error_set(error, EXIT_FAILED, ENOENT,
				 "there is no listener \"%s\"", text);
	for (size_t i = 0; i < config->route_count; i++)
		own += config->routes[i].scoped &&
		       !compare_endpoints(&config->routes[i].on, endpoint);
	if (own)
		return error_set(error, EXIT_FAILED, EBUSY,
				 "listener \"%s\" has %zu route%s of its own: "
				 "`route del NAME --on %s` first",
				 text, own, own == 1 ? "" : "s", text);
	at = (size_t)(found - config->listeners);
	config->listener_count--;
	memmove(&config->listeners[at], &config->listeners[at + 1],
		(config->listener_count - at) * sizeof(*found));
	return 0;
}

static int add_listener(struct config *config,
			const struct config_listener *listener,
			const struct config_locals *locals, struct error *error)
{
	struct config_listener copy = *listener;
	struct config alone = {.listeners = &copy, .listener_count = 1};
	int status = config_check_listener(config, listener, NULL, error);

	if (status)
		return status;
	if (config->listener_count == ABI_LISTENERS_MAX)
		return error_set(error, EXIT_FAILED, EINVAL,
				 "there are %d listeners, which is the most",
				 ABI_LISTENERS_MAX);
	/* Targets that were somebody else's may be ours now. */
	for (size_t i = 0; !status && i < config->route_count; i++)
		status = config_check_targets(&alone, &config->routes[i],
					      locals, NULL, error);
	if (status)
		return status;
	if (config_append_listener(config, listener))
		return no_memory(error);
	config_sort(config);
	return 0;
}

const struct abi_hook *config_find_hook(const struct config *config,
					const char *interface)
{
	for (size_t i = 0; i < config->hook_count; i++) {
		if (!strcmp(config->hooks[i].interface, interface))
			return &config->hooks[i];
	}
	return NULL;
}

static int compare_hooks(const void *a, const void *b)
{
	const struct abi_hook *left = a, *right = b;

	return strcmp(left->interface, right->interface);
}

static int del_hook(struct config *config, const char *interface,
		    struct error *error)
{
	const struct abi_hook *found = config_find_hook(config, interface);
	size_t at;

	if (!found)
		return error_set(error, EXIT_FAILED, ENOENT,
				 "\"%s\" has no edge-hook of its own",
				 interface);
	at = (size_t)(found - config->hooks);
	config->hook_count--;
	memmove(&config->hooks[at], &config->hooks[at + 1],
		(config->hook_count - at) * sizeof(*found));
	return 0;
}

int config_set_hook(struct config *config, const struct config_row *row,
		    struct error *error)
{
	const struct config_setting *setting = &row->setting;
	struct abi_hook *hooks = config->hooks;
	size_t at = 0;

	if (row->verb == CONFIG_DEL)
		return del_hook(config, setting->interface, error);
	while (at < config->hook_count &&
	       strcmp(hooks[at].interface, setting->interface) != 0)
		at++;
	if (at == ABI_HOOKS_MAX)
		return error_set(error, EXIT_FAILED, ENOSPC,
				 "%d interfaces have an edge-hook of their "
				 "own, which is the most",
				 ABI_HOOKS_MAX);
	if (at == config->hook_count)
		config->hook_count++;
	hooks[at] = (struct abi_hook){.hook = (uint32_t)setting->value};
	memcpy(hooks[at].interface, setting->interface,
	       sizeof(hooks[at].interface));
	qsort(hooks, config->hook_count, sizeof(*hooks), compare_hooks);
	return 0;
}

int config_edit(struct config *config, const struct config_row *row,
		const struct config_locals *locals, struct error *error)
{
	switch (row->object) {
	case CONFIG_LISTENER:
		if (row->verb == CONFIG_DEL)
			return del_listener(config, &row->listener.endpoint,
					    error);
		return add_listener(config, &row->listener, locals, error);
	case CONFIG_ROUTE:
		return put_route(config, row, locals, error);
	case CONFIG_SETTING:
		break;
	}
	if (row->setting.interface[0])
		return config_set_hook(config, row, error);
	config->settings[row->setting.setting] = row->setting.value;
	return 0;
}
