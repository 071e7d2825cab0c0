// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is a HostName of the wire, and a pattern that somebody typed.
 * Beside not crashing: names are in normal form, which reads as itself; every
 * pattern is printed as what it is read from; every name can have a route. */
#include <errno.h>
#include <string.h>

#include "../../userspace/cleanup.h"
#include "../../userspace/name.h"
#include "require.h"

static struct span span_of(const char *text)
{
	return (struct span){(const uint8_t *)text, strlen(text)};
}

static void require_normal(const struct name *name)
{
	size_t label = 0;

	REQUIRE(name->length >= 1 && name->length <= ABI_NAME_MAX);
	REQUIRE(strlen(name->text) == name->length);
	REQUIRE(strspn(name->text, "abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
		name->length);
	for (size_t i = 0; i <= name->length; i++) {
		if (i < name->length && name->text[i] != '.') {
			label++;
			continue;
		}
		REQUIRE(label >= 1 && label <= 63);
		label = 0;
	}
	REQUIRE(name_labels(name) >= 1 && name_labels(name) <= 127);
}

static void require_same(const struct name *a, const struct name *b)
{
	REQUIRE(a->length == b->length);
	REQUIRE(!memcmp(a->text, b->text, (size_t)a->length + 1));
}

/* Printed, it is read as the same, and printed again as the same. */
static void require_round_trip(const struct pattern *pattern)
{
	char text[PATTERN_TEXT_SIZE], again_text[PATTERN_TEXT_SIZE];
	struct pattern again;
	const char *reason;

	pattern_format(pattern, text);
	REQUIRE(!pattern_parse(text, &again, &reason));
	REQUIRE(again.kind == pattern->kind && again.apex == pattern->apex);
	require_same(&again.name, &pattern->name);
	REQUIRE(!strcmp(pattern_format(&again, again_text), text));
}

static void check_wire(struct span raw)
{
	struct pattern pattern = {.kind = ABI_ROUTE_EXACT};
	struct name name, again;

	if (name_from_wire(raw, &name) != NAME_OK)
		return;
	require_normal(&name);
	REQUIRE(raw.length == name.length || raw.length == name.length + 1u);
	REQUIRE(name_from_wire(span_of(name.text), &again) == NAME_OK);
	require_same(&name, &again);
	pattern.name = name;
	require_round_trip(&pattern);
	pattern.kind = ABI_ROUTE_WILDCARD;
	require_round_trip(&pattern);
	pattern.apex = true;
	require_round_trip(&pattern);
}

static void check_pattern(const char *text)
{
	struct pattern pattern;
	const char *reason = NULL;
	int error = pattern_parse(text, &pattern, &reason);

	if (error) {
		REQUIRE(error == -EINVAL && reason && *reason);
		return;
	}
	switch ((enum abi_route_kind)pattern.kind) {
	case ABI_ROUTE_EXACT:
		REQUIRE(!pattern.apex);
		require_normal(&pattern.name);
		break;
	case ABI_ROUTE_WILDCARD:
		require_normal(&pattern.name);
		break;
	case ABI_ROUTE_NONE:
	case ABI_ROUTE_DEFAULT:
	case ABI_ROUTE_OTHER:
		REQUIRE(!pattern.apex && !pattern.name.length);
		break;
	}
	require_round_trip(&pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	/* A copy of its own size: a read behind the NUL is seen. */
	AUTO_FREE char *text = malloc(length + 1);

	REQUIRE(text);
	if (length)
		memcpy(text, data, length);
	text[length] = '\0';
	check_wire((struct span){data, length});
	check_pattern(text);
	return 0;
}
