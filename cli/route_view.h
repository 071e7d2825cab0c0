/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The routes and their figures, as the reading commands see them. */
#ifndef SNICTL_ROUTE_VIEW_H
#define SNICTL_ROUTE_VIEW_H

#include "../userspace/route.h"
#include "../userspace/state.h"
#include "command.h"
#include "reader.h"
#include "tally.h"

/**
 * struct route_view - all that the readers need, of one moment.
 * @on: the listener that --on names, where @scoped.
 * @on_id: its id, else 0.
 */
struct route_view {
	struct reader maps;
	struct config config;
	struct tally tally;
	struct abi_endpoint on;
	uint32_t on_id;
	bool scoped;
};

/** struct route_figures - of finished flows and of those that live. */
struct route_figures {
	struct abi_route_stats stats;
	uint64_t live;
	uint64_t bytes[2];
};

#define ROUTE_VIEW_NONE ((struct route_view){.maps = READER_NONE})

/**
 * route_view_open() - read the maps, and --on.
 * @view: ROUTE_VIEW_NONE; for route_view_done(), also after a failure.
 * Return: 0 or -errno with a sentence.
 */
int route_view_open(const struct invocation *call, struct route_view *view,
		    struct error *error);

/** route_view_done() - let go of it. */
void route_view_done(struct route_view *view);

#define AUTO_ROUTE_VIEW                                                        \
	__attribute__((cleanup(route_view_done))) struct route_view

/** route_view_shows() - whether a route is in the table that --on asks for;
 * every route is where it is not given. */
bool route_view_shows(const struct route_view *view,
		      const struct config_route *route);

/**
 * route_view_alpn() - read --alpn, where it is given.
 * Return: 0, or -EINVAL with a sentence.
 */
int route_view_alpn(const struct invocation *call, struct abi_route *route,
		    struct error *error);

/**
 * route_view_http() - a sentence about what becomes of plain requests.
 * @text: at least CONFIG_ROW_SIZE bytes.
 * Return: @text.
 */
const char *route_view_http(const struct abi_route *route, char *text);

/** route_view_figures() - of one route. */
void route_view_figures(const struct route_view *view,
			const struct config_route *route,
			struct route_figures *ret_figures);

#endif
