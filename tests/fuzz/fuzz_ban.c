// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is a bans file, between its first line and its last. Beside not
 * crashing: what is accepted is in order, nothing twice; a ban that is not
 * over ends within the time that its row says; what is refused says where. */
#include <string.h>

#include "../../userspace/addr.h"
#include "../../userspace/ban_file.h"
#include "../../userspace/ban_set.h"
#include "../../userspace/cleanup.h"
#include "require.h"

/* Two clocks at some moment: not round, and far apart. */
#define WALL_NS 1763683200123456789ULL
#define NOW_NS 86400987654321ULL

static void require_prefix(const struct abi_prefix *prefix)
{
	char text[ADDR_TEXT_SIZE];
	struct abi_prefix again;

	REQUIRE(!addr_parse_prefix(addr_format_prefix(prefix, text), &again));
	REQUIRE(!ban_compare_prefixes(prefix, &again));
}

static void require_bans(const struct ban_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct ban *ban = &list->bans[i];

		require_prefix(&ban->prefix);
		REQUIRE(ban->reason && !strchr(ban->reason, '\n'));
		REQUIRE(ban->expires_ns < 2 || ban->expires_ns > NOW_NS);
		REQUIRE(ban_find(list, &ban->prefix) == ban);
		REQUIRE(!i || ban_compare_prefixes(&list->bans[i - 1].prefix,
						   &ban->prefix) < 0);
	}
}

static void require_sets(const struct ban_list *list)
{
	unsigned seen = 0;

	REQUIRE(list->set_count <= ABI_BAN_SETS_MAX);
	for (size_t i = 0; i < list->set_count; i++) {
		const struct ban_set *set = &list->sets[i];

		REQUIRE(ban_set_is_name(set->name));
		REQUIRE(ban_set_find(list, set->name) == set);
		REQUIRE(set->bit >= 1 && set->bit <= ABI_BAN_SETS_MAX);
		REQUIRE(!(seen & 1U << set->bit));
		seen |= 1U << set->bit;
	}
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 1;

	while ((text = strchr(text, '\n'))) {
		lines++;
		text++;
	}
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	AUTO_FREE char *text = strndup((const char *)data, length);
	AUTO_BAN_LIST list = {0};
	unsigned row = 0, lines;

	REQUIRE(text);
	lines = count_lines(text);
	if (ban_file_parse(text, WALL_NS, NOW_NS, &list, &row)) {
		REQUIRE(row >= 1 && row <= lines);
		REQUIRE(!list.count && !list.allowed_count && !list.set_count);
		return 0;
	}
	require_bans(&list);
	require_sets(&list);
	for (size_t i = 0; i < list.allowed_count; i++)
		require_prefix(&list.allowed[i]);
	return 0;
}
