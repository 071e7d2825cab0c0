/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What rows of a configuration must keep to among each other. Pure. */
#ifndef SNICTL_CONFIG_CHECK_H
#define SNICTL_CONFIG_CHECK_H

#include "config.h"

/** struct config_finding - which part of which row is at fault. */
struct config_finding {
	uint32_t line;
	enum config_role role;
	size_t index;
};

/**
 * config_check_route() - whether a route fits the listeners: it is on one
 * that is there, and no target of it is one of them.
 * @locals:      NULL: loops by local addresses are not seen.
 * @ret_finding: written only on failure; may be NULL.
 * Return: 0, or -EINVAL with EXIT_FAILED and a sentence.
 */
int config_check_route(const struct config *config,
		       const struct config_route *route,
		       const struct config_locals *locals,
		       struct config_finding *ret_finding, struct error *error);

/**
 * config_check_targets() - the second half of config_check_route().
 */
int config_check_targets(const struct config *config,
			 const struct config_route *route,
			 const struct config_locals *locals,
			 struct config_finding *ret_finding,
			 struct error *error);

/**
 * config_check_listener() - whether a listener fits the others.
 * @listener: may be one of them itself.
 * Return: 0, or -EEXIST with EXIT_FAILED and a sentence.
 */
int config_check_listener(const struct config *config,
			  const struct config_listener *listener,
			  struct config_finding *ret_finding,
			  struct error *error);

/**
 * config_check() - the whole, whose routes and listeners are sorted; the
 * first fault that is found.
 * Return: 0, -EEXIST or -EINVAL, with EXIT_FAILED and a sentence.
 */
int config_check(const struct config *config,
		 const struct config_locals *locals,
		 struct config_finding *ret_finding, struct error *error);

#endif
