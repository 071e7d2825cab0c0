// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config_check.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "addr.h"

static void note(struct config_finding *finding, uint32_t line,
		 enum config_role role, size_t index)
{
	if (finding)
		*finding = (struct config_finding){line, role, index};
}

/* ", also on line 3", where the other row has come from a file. */
static const char *also(uint32_t line, char text[32])
{
	text[0] = '\0';
	if (line)
		snprintf(text, 32, ", also on line %u", line);
	return text;
}

static bool is_loopback(const struct abi_endpoint *address)
{
	static const uint8_t one[16] = {[15] = 1};

	if (address->family == AF_INET)
		return address->addr[0] == 127;
	return address->family == AF_INET6 && !memcmp(address->addr, one, 16);
}

static bool is_local(const struct abi_endpoint *address,
		     const struct config_locals *locals)
{
	if (is_loopback(address))
		return true;
	for (size_t i = 0; locals && i < locals->count; i++) {
		if (addr_equal(address, &locals->addresses[i]))
			return true;
	}
	return false;
}

/* Whether a connection to @target arrives at @listener. */
static bool arrives(const struct abi_endpoint *target,
		    const struct config_listener *listener,
		    const struct config_locals *locals)
{
	const struct abi_endpoint *at = &listener->endpoint;

	if (at->port_be != target->port_be)
		return false;
	if (!addr_is_any(at))
		return addr_equal(at, target);
	return (!at->family || at->family == target->family) &&
	       is_local(target, locals);
}

static int check_target(const struct config *config,
			const struct config_route *route,
			const struct abi_endpoint *target,
			const struct config_locals *locals, struct error *error)
{
	char text[ADDR_TEXT_SIZE], at[ADDR_TEXT_SIZE], name[PATTERN_TEXT_SIZE];

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (!arrives(target, listener, locals))
			continue;
		return error_set(
			error, EXIT_FAILED, EINVAL,
			"\"%s\" is our own listener %s: connections "
			"for \"%s\" would run in a loop; its target is "
			"the server's address and port",
			addr_format_endpoint(target, text),
			addr_format_listener(&listener->endpoint, at),
			config_route_name(route, name));
	}
	return 0;
}

/* Where requests go. With "acme" and no target of its own a loop is only a
 * reason to redirect the challenges too: many routes have no use for them. */
static int check_http_target(const struct config *config,
			     const struct config_route *route,
			     const struct config_locals *locals,
			     struct error *error)
{
	int status = 0;

	if (route->route.http_target.family)
		return check_target(config, route, &route->route.http_target,
				    locals, error);
	if (route->route.http != ABI_HTTP_PROXY)
		return 0;
	for (size_t i = 0; !status && i < route->route.target_count; i++) {
		struct abi_endpoint target = route->route.target[i];

		target.port_be = htons(80);
		status = check_target(config, route, &target, locals, error);
	}
	return status;
}

int config_check_targets(const struct config *config,
			 const struct config_route *route,
			 const struct config_locals *locals,
			 struct config_finding *ret_finding,
			 struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < route->route.target_count; i++) {
		status = check_target(config, route, &route->route.target[i],
				      locals, error);
		if (status) {
			note(ret_finding, route->line, CONFIG_ROLE_TARGET, i);
			return status;
		}
	}
	status = check_http_target(config, route, locals, error);
	if (status)
		note(ret_finding, route->line, CONFIG_ROLE_HTTP, 0);
	return status;
}

int config_check_route(const struct config *config,
		       const struct config_route *route,
		       const struct config_locals *locals,
		       struct config_finding *ret_finding, struct error *error)
{
	char on[ADDR_TEXT_SIZE];

	if (route->scoped && !config_find_listener(config, &route->on)) {
		note(ret_finding, route->line, CONFIG_ROLE_ON, 0);
		addr_format_listener(&route->on, on);
		return error_set(error, EXIT_FAILED, EINVAL,
				 "\"%s\" is no listener: `listen add %s` makes "
				 "it one",
				 on, on);
	}
	return config_check_targets(config, route, locals, ret_finding, error);
}

/* All addresses of both families contain all of one; that would be one port
 * bound twice. A single address beside them is the more specific one. */
static bool clash(const struct abi_endpoint *a, const struct abi_endpoint *b)
{
	if (a->port_be != b->port_be)
		return false;
	if (addr_is_any(a) && addr_is_any(b))
		return !a->family || !b->family || a->family == b->family;
	return addr_equal(a, b);
}

int config_check_listener(const struct config *config,
			  const struct config_listener *listener,
			  struct config_finding *ret_finding,
			  struct error *error)
{
	char text[ADDR_TEXT_SIZE], other[ADDR_TEXT_SIZE], where[32];

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *row = &config->listeners[i];
		const struct config_listener *late = listener, *early = row;

		if (row == listener ||
		    !clash(&row->endpoint, &listener->endpoint))
			continue;
		if (row->line > listener->line) {
			late = row;
			early = listener;
		}
		note(ret_finding, late->line, CONFIG_ROLE_NAME, 0);
		return error_set(error, EXIT_FAILED, EEXIST,
				 "\"%s\" is a listener already: %s%s",
				 addr_format_listener(&late->endpoint, text),
				 addr_format_listener(&early->endpoint, other),
				 also(early->line, where));
	}
	return 0;
}

static int check_listeners(const struct config *config,
			   struct config_finding *ret_finding,
			   struct error *error)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		int status = config_check_listener(
			config, &config->listeners[i], ret_finding, error);

		if (status)
			return status;
	}
	if (config->listener_count <= ABI_LISTENERS_MAX)
		return 0;
	note(ret_finding, config->listeners[ABI_LISTENERS_MAX].line,
	     CONFIG_ROLE_NAME, 0);
	return error_set(error, EXIT_FAILED, EINVAL,
			 "%zu listeners are too many: at most %d",
			 config->listener_count, ABI_LISTENERS_MAX);
}

/* Two rows of which only one can be there. */
static int complain_of_pair(const struct config_route *a,
			    const struct config_route *b,
			    struct config_finding *ret_finding,
			    struct error *error)
{
	const struct config_route *early = a->line < b->line ? a : b;
	const struct config_route *late = early == a ? b : a;
	char name[PATTERN_TEXT_SIZE], other[PATTERN_TEXT_SIZE], where[32];

	note(ret_finding, late->line, CONFIG_ROLE_NAME, 0);
	config_route_name(late, name);
	also(early->line, where);
	if (early->route.apex == late->route.apex)
		return error_set(error, EXIT_FAILED, EEXIST,
				 "\"%s\" has a route already%s", name, where);
	return error_set(error, EXIT_FAILED, EEXIST,
			 "\"%s\" cannot stand beside \"%s\"%s: both cover the "
			 "names below",
			 name, config_route_name(early, other), where);
}

int config_check(const struct config *config,
		 const struct config_locals *locals,
		 struct config_finding *ret_finding, struct error *error)
{
	int status = check_listeners(config, ret_finding, error);

	for (size_t i = 0; !status && i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		if (i && !config_compare_routes(route - 1, route))
			return complain_of_pair(route - 1, route, ret_finding,
						error);
		status = config_check_route(config, route, locals, ret_finding,
					    error);
	}
	return status;
}
