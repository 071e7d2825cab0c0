/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Host names and route patterns: one normal form for wire, CLI and files. Pure
 * but for IDN, which libidn2 converts. */
#ifndef SNICTL_NAME_H
#define SNICTL_NAME_H

#include <stdbool.h>
#include "../bpf/abi.h"
#include "span.h"

/**
 * struct name - a host name in normal form.
 * @text: lower case, no trailing dot, NUL-terminated, letters, digits, '-',
 *        '_' and single dots only.
 */
struct name {
	uint8_t length;
	char text[ABI_NAME_MAX + 1];
};

enum name_status {
	NAME_OK,
	NAME_IP_LITERAL, /* RFC 6066 section 3 permits none: as no name */
	NAME_MALFORMED	 /* a byte or a length that no host name has */
};

/**
 * name_from_wire() - normalise the HostName of a server_name extension.
 * @raw:      the bytes as sent, any.
 * @ret_name: written only on NAME_OK.
 *
 * Lower case, one trailing dot stripped. Malformed: empty, over 253
 * characters, a label empty or over 63, any byte but letters, digits, '-',
 * '_' and '.' (so also NUL and '*').
 *
 * Spec: RFC 6066 section 3, RFC 1035 section 2.3.4.
 */
enum name_status name_from_wire(struct span raw, struct name *ret_name);

/** name_labels() - number of labels, at least 1. */
unsigned name_labels(const struct name *name);

/**
 * struct pattern - what a route's name says.
 * @kind: enum abi_route_kind.
 * @apex: on ABI_ROUTE_WILDCARD: written ".name", covers the name itself too.
 * @name: empty for the kinds that have none.
 */
struct pattern {
	uint8_t kind;
	bool apex;
	struct name name;
};

/**
 * pattern_parse() - read "pbx.example.com", "*.example.com", ".example.com",
 * "none", "default" or "other".
 * @text:       NUL-terminated UTF-8; Unicode is converted (IDNA2008, with
 *              libidn2), upper case lowered, one trailing dot stripped.
 * @ret_reason: on error, a static phrase that ends the sentence
 *              "NAME is no host name: ..."; never NULL then.
 *
 * An IP address, a port, a path or a URL gets a reason of its own.
 *
 * Return: 0 or -EINVAL.
 */
int pattern_parse(const char *text, struct pattern *ret_pattern,
		  const char **ret_reason);

/** PATTERN_TEXT_SIZE - the longest pattern and its NUL. */
#define PATTERN_TEXT_SIZE (ABI_NAME_MAX + 3)

/**
 * pattern_format() - back to the text that pattern_parse() reads; a host that
 * is called "none" keeps a trailing dot, "none.".
 * @text: at least PATTERN_TEXT_SIZE bytes.
 * Return: @text.
 */
const char *pattern_format(const struct pattern *pattern, char *text);

#endif
