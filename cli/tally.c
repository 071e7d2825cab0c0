// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../userspace/flow_read.h"

static int compare(const void *a, const void *b)
{
	const struct tally_row *one = a, *other = b;

	return memcmp(&one->key, &other->key, sizeof(one->key));
}

/* One row a flow, sorted, then equal neighbours are added up. */
static void merge(struct tally *tally)
{
	size_t count = 0;

	for (size_t i = 0; i < tally->count; i++) {
		const struct tally_row *from = &tally->rows[i];
		struct tally_row *last = &tally->rows[count - 1];

		if (!count || compare(last, from) != 0) {
			tally->rows[count++] = *from;
			continue;
		}
		last->live += from->live;
		last->bytes[0] += from->bytes[0];
		last->bytes[1] += from->bytes[1];
	}
	tally->count = count;
}

int tally_read(const struct store *store, struct tally *ret_tally)
{
	uint32_t capacity = store->flow_capacity;
	struct tally tally = {calloc(capacity, sizeof(*tally.rows)), 0};
	struct flow_record flow;

	if (!tally.rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < capacity; i++) {
		if (flow_read(store, i, &flow) || !flow.cold.route.kind)
			continue;
		tally.rows[tally.count++] = (struct tally_row){
			.key = flow.cold.route,
			.live = 1,
			.bytes = {flow.hot.direction[ABI_FROM_CLIENT].bytes,
				  flow.hot.direction[ABI_FROM_BACKEND].bytes},
		};
	}
	qsort(tally.rows, tally.count, sizeof(*tally.rows), compare);
	merge(&tally);
	*ret_tally = tally;
	return 0;
}

void tally_done(struct tally *tally)
{
	free(tally->rows);
	tally->rows = NULL;
}

struct tally_row tally_find(const struct tally *tally,
			    const struct abi_route_key *key)
{
	const struct tally_row like = {.key = *key};
	const struct tally_row *found = NULL;

	if (tally->count)
		found = bsearch(&like, tally->rows, tally->count,
				sizeof(*tally->rows), compare);
	return found ? *found : like;
}
