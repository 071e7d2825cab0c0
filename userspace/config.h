/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The whole configuration in memory: read from text, checked, edited,
 * compared, printed. No I/O but config_print()'s stream. */
#ifndef SNICTL_CONFIG_H
#define SNICTL_CONFIG_H

#include <stdio.h>
#include "config_row.h"

/**
 * struct config - listeners, routes and settings; owns its arrays.
 * @listeners, @routes: in the order of config_print(): the common table by
 *              name, then "none", "default", "other"; then the listeners'
 *              own tables likewise.
 * @settings:   by enum abi_setting, each filled.
 * @hooks:      "edge-hook" of single interfaces, by name.
 */
struct config {
	struct config_listener *listeners;
	size_t listener_count;
	struct config_route *routes;
	size_t route_count;
	size_t route_room;
	uint64_t settings[ABI_SETTING_COUNT];
	struct abi_hook hooks[ABI_HOOKS_MAX];
	size_t hook_count;
};

/** config_init() - no listeners, no routes, the default settings. */
void config_init(struct config *config);

/** config_done() - free what it owns; it is as after config_init(). */
void config_done(struct config *config);

/** AUTO_CONFIG - a config that is freed at the end of its scope. */
#define AUTO_CONFIG __attribute__((cleanup(config_done))) struct config

/**
 * struct config_locals - the addresses of this host, from local_addresses();
 * a target at one of them may be one of our own listeners.
 */
struct config_locals {
	struct abi_endpoint *addresses;
	size_t count;
};

/**
 * config_parse() - read a whole text and check it.
 * @file:       its name for messages: "FILE:3:11: ...".
 * @text:       @length bytes, any; borrowed.
 * @locals:     may be NULL: then loops by local addresses are not seen.
 * @ret_config: for config_done(); written only on success.
 *
 * The text says what is to be there: only "listen add", "route add" and
 * "set"; '#' at the start of a word begins a comment.
 *
 * Return: 0, -EINVAL (EXIT_FAILED, with file, line, column), -ENOMEM.
 */
int config_parse(const char *file, const char *text, size_t length,
		 const struct config_locals *locals, struct config *ret_config,
		 struct error *error);

/**
 * config_edit() - make the change that one row asks for, in memory.
 * @locals: as for config_parse().
 *
 * Checks what config_parse() would check of the result. On failure nothing
 * is changed.
 *
 * Return: 0, -EEXIST (add), -ENOENT (replace, del), -EBUSY (a listener with
 * routes of its own), -EINVAL, -ENOMEM; all with a sentence.
 */
int config_edit(struct config *config, const struct config_row *row,
		const struct config_locals *locals, struct error *error);

/**
 * config_append_route(), config_append_listener() - add a row at the end,
 * unchecked; config_sort() - when all are there, before any other use.
 * Return: 0 or -ENOMEM.
 */
int config_append_route(struct config *config,
			const struct config_route *route);
int config_append_listener(struct config *config,
			   const struct config_listener *listener);
void config_sort(struct config *config);

/** config_find_hook() - that of an interface; NULL if it has none. */
const struct abi_hook *config_find_hook(const struct config *config,
					const char *interface);

/**
 * config_set_hook() - set, or with CONFIG_DEL take away, that of an interface.
 * Return: 0; -ENOSPC; -ENOENT; both with a sentence.
 */
int config_set_hook(struct config *config, const struct config_row *row,
		    struct error *error);

/**
 * config_find_route() - the route with that kind, name, ALPN and table; @like's
 * other members do not count, nor does apex.
 * Return: NULL if there is none; valid until @config changes.
 */
const struct config_route *config_find_route(const struct config *config,
					     const struct config_route *like);

/** config_find_listener() - by its endpoint; NULL if there is none. */
const struct config_listener *
config_find_listener(const struct config *config,
		     const struct abi_endpoint *endpoint);

/**
 * config_diff() - what differs.
 * @visit: for each row that differs; @before NULL: added; @after NULL:
 *         removed. Listeners, then settings, then routes, each in order.
 * Return: number of rows that differ.
 */
typedef void config_visit(void *context, const struct config_row *before,
			  const struct config_row *after);
size_t config_diff(const struct config *before, const struct config *after,
		   config_visit *visit, void *context);

/**
 * config_print() - the text that config_parse() reads: listeners, settings
 * that are not the default, routes.
 * Return: number of lines; write errors are the stream's (ferror()).
 */
size_t config_print(const struct config *config, FILE *out);

/**
 * config_compare_routes() - the order of routes; 0: the same row, whatever
 * it does. For qsort().
 */
int config_compare_routes(const void *a, const void *b);

#endif
