/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The edge's programs on the interfaces. They hang there by pinned links (or,
 * before Linux 6.6, as clsact filters), so that bans hold without an agent;
 * whoever changes what is banned or limited brings them up to date, and the
 * agent does when interfaces come and go.
 */
#ifndef SNICTL_EDGE_HOOK_H
#define SNICTL_EDGE_HOOK_H

#include <stdbool.h>
#include "store.h"

enum edge_hook_kind {
	EDGE_HOOK_NONE,
	EDGE_HOOK_XDP,
	EDGE_HOOK_DISPATCHER, /* XDP beside others, by libxdp */
	EDGE_HOOK_TCX,
	EDGE_HOOK_CLSACT,
	EDGE_HOOK_COUNT
};

/** edge_hook_words - "none", "xdp", "xdp-dispatcher", "tc", "tc" (by clsact).
 */
extern const char *const edge_hook_words[EDGE_HOOK_COUNT];

/**
 * edge_hook_wanted() - whether anything is banned or limited at all.
 */
bool edge_hook_wanted(const struct store *store);

/**
 * edge_hook_sync() - make the hooks what they should be: on every interface
 * that packets come in by, or on none where nothing is banned or limited.
 * @store: locked.
 *
 * Where libxdp's dispatcher is in the place of XDP, it is joined; where
 * another XDP program is, or the driver has none, it is TC. Interfaces that go
 * meanwhile are no error.
 *
 * Return: 0, or -errno with a sentence that names the interface.
 */
int edge_hook_sync(const struct store *store, struct error *error);

/** edge_hook_remove() - take them all away, before the maps go. */
void edge_hook_remove(const struct store *store);

/**
 * edge_hook_visit() - each interface that has, or could have, a hook.
 * @wanted: EDGE_HOOK_XDP or EDGE_HOOK_TCX, or EDGE_HOOK_NONE as @kind is.
 * Return: 0 or -errno.
 */
typedef void edge_hook_visitor(void *context, const char *interface,
			       enum edge_hook_kind kind,
			       enum edge_hook_kind wanted);
int edge_hook_visit(const struct store *store, edge_hook_visitor *visit,
		    void *context);

#endif
