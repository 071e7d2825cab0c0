/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One row of the configuration, and the one grammar for it: the words of the
 * command line are the words of a line in a file. Pure. */
#ifndef SNICTL_CONFIG_ROW_H
#define SNICTL_CONFIG_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../bpf/abi.h"
#include "error.h"
#include "name.h"

/* The most words that any row has, with room to tell one too many. */
#define CONFIG_ROW_WORDS 24

enum config_verb {
	CONFIG_ADD,
	CONFIG_REPLACE, /* routes only */
	CONFIG_DEL,
	CONFIG_SET /* settings only; CONFIG_DEL: "default" of an interface */
};

enum config_object {
	CONFIG_LISTENER,
	CONFIG_ROUTE,
	CONFIG_SETTING
};

/** struct config_listener - a listener; @line of its file, or 0. */
struct config_listener {
	struct abi_endpoint endpoint;
	uint32_t trusted_count;
	struct abi_prefix trusted[ABI_TRUSTED_MAX];
	struct abi_prefix forwarder[ABI_TRUSTED_MAX];
	uint32_t forwarder_count;
	uint8_t http;
	uint32_t line;
};

/**
 * struct config_route - a route and where it stands.
 * @on:     the listener whose own table it is in, where @scoped.
 * @kind:   enum abi_route_kind.
 * @line:   of its file, or 0.
 */
struct config_route {
	struct abi_route route;
	struct abi_endpoint on;
	bool scoped;
	uint8_t kind;
	uint32_t line;
};

/**
 * struct config_setting - a setting.
 * @value:     in its unit.
 * @interface: only of this one; "": of all that have none of their own.
 */
struct config_setting {
	enum abi_setting setting;
	uint64_t value;
	char interface[ABI_INTERFACE_SIZE];
};

/**
 * struct config_row - what one command or one line says.
 * @proxy_given: a route's --proxy was there (it defaults to off).
 *
 * With CONFIG_DEL only what names the row is filled: the listener's
 * endpoint; the route's kind, name, apex, alpn, scoped and on.
 */
struct config_row {
	enum config_verb verb;
	enum config_object object;
	bool proxy_given;
	union {
		struct config_listener listener;
		struct config_route route;
		struct config_setting setting;
	};
};

/**
 * struct config_fault - where in the words a fault is.
 * @word:   index; the number of words if something is missing at the end.
 * @offset: bytes into that word.
 */
struct config_fault {
	size_t word;
	size_t offset;
};

/**
 * config_row_parse() - read the words of one row, verb and all:
 *
 *   listen add [ADDR:]PORT [--accept-proxy PREFIX[,PREFIX]...]
 *         [--http] [--trust-forwarded PREFIX[,PREFIX]...]
 *   listen del [ADDR:]PORT
 *   route add|replace NAME TARGET[,TARGET]... [--proxy off|v1|v2]
 *         [--datapath auto|splice|sockmap|relay] [--on [ADDR:]PORT]
 *         [--alpn PROTOCOL] [--http acme|redirect|proxy|off]
 *         [--http-target ADDR[:PORT]] [--forwarded]
 *   route del NAME [--on [ADDR:]PORT] [--alpn PROTOCOL]
 *   set KEY VALUE|default
 *   set edge-hook VALUE|default --interface NAME
 *
 * Options may stand anywhere behind the verb, as "--key value" or
 * "--key=value". TARGET is IP[:PORT] (443 where none is given), or "reject"
 * or "drop" alone.
 *
 * @words:     @count of them; borrowed, not changed.
 * @ret_row:   written only on success.
 * @ret_fault: written only on failure; may be NULL.
 *
 * Return: 0, or -EINVAL with EXIT_USAGE and a sentence that quotes the word.
 */
int config_row_parse(char *const *words, size_t count,
		     struct config_row *ret_row, struct config_fault *ret_fault,
		     struct error *error);

/** enum config_role - a part of a row that a check may find fault with. */
enum config_role {
	CONFIG_ROLE_NAME, /* what the row is called: NAME, [ADDR:]PORT, KEY */
	CONFIG_ROLE_TARGET,
	CONFIG_ROLE_VALUE, /* of a setting */
	CONFIG_ROLE_HTTP,  /* --http-target, or --http where there is none */
	CONFIG_ROLE_ON,
	CONFIG_ROLE_INTERFACE
};

/**
 * config_row_place() - where in the words of a row a part of it stands.
 * @words: as config_row_parse() accepted them.
 * @index: of the target; 0 for the other roles.
 */
struct config_fault config_row_place(char *const *words, size_t count,
				     enum config_role role, size_t index);

/** CONFIG_ROW_SIZE - the longest row as text, and its NUL. */
#define CONFIG_ROW_SIZE 1280

/**
 * config_row_format() - the row as config_row_parse() reads it, with its
 * verb, in one normal form: what is the default is left out.
 * @text: at least CONFIG_ROW_SIZE bytes.
 * Return: length of @text.
 */
size_t config_row_format(const struct config_row *row, char *text);

/**
 * config_route_targets() - "10.0.0.1:443,[2001:db8::1]:443", "reject" or
 * "drop".
 * @text: at least CONFIG_ROW_SIZE bytes.
 * Return: @text.
 */
const char *config_route_targets(const struct abi_route *route, char *text);

/**
 * config_route_alpn() - the protocol of its --alpn, "" where there is none.
 * @text: at least ABI_ALPN_MAX + 1 bytes.
 * Return: @text.
 */
const char *config_route_alpn(const struct abi_route *route, char *text);

/** config_route_pattern() - the name of a route, for pattern_format(). */
void config_route_pattern(const struct config_route *route,
			  struct pattern *ret_pattern);

/**
 * config_route_name() - the name as text, "*.example.com".
 * @text: at least PATTERN_TEXT_SIZE bytes.
 * Return: @text.
 */
const char *config_route_name(const struct config_route *route, char *text);

#endif
