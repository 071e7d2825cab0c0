// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "flow_read.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/param.h>

/* A writer needs well under a microsecond; it may lose its CPU meanwhile. */
#define TRIES_MAX 1000
/* What stands for the beginning of a name. */
#define ELLIPSIS "..."
#define ELLIPSIS_LENGTH (sizeof(ELLIPSIS) - 1)

static uint64_t load(const __u64 *figure)
{
	return __atomic_load_n(figure, __ATOMIC_RELAXED);
}

/* What the sockmap has of a flow; NULL: nothing. */
static const struct abi_sockmap_flow *
find_sockmap(const struct store *store, const struct abi_flow_cold *cold)
{
	uint32_t index = cold->sockmap - 1U;

	return index < store_sockmap_count(store) ? &store->sockmap_flows[index]
						  : NULL;
}

/* They have other writers and no counter: each field for itself. */
void flow_figures(const struct store *store, const struct abi_flow_cold *cold,
		  const struct abi_flow_hot *hot,
		  struct abi_flow_hot *ret_figures)
{
	const struct abi_sockmap_flow *sockmap = find_sockmap(store, cold);
	struct abi_flow_hot all = {.last_ns = load(&hot->last_ns)};

	for (unsigned i = 0; i < 2; i++) {
		all.direction[i].bytes = load(&hot->direction[i].bytes);
		all.direction[i].packets = load(&hot->direction[i].packets);
	}
	for (unsigned i = 0; sockmap && i < 2; i++) {
		const struct abi_sockmap_direction *direction =
			&sockmap->direction[i];

		all.direction[i].bytes += load(&direction->redirected) +
					  load(&direction->drained);
		all.last_ns = MAX(all.last_ns, load(&direction->last_ns));
	}
	*ret_figures = all;
}

void flow_name(const struct store *store, const struct abi_flow_cold *cold,
	       struct name *ret_name)
{
	uint32_t index = cold->long_name - 1;
	size_t length = MIN(cold->name_length, ABI_NAME_MAX);
	char *to = ret_name->text;

	if (length <= ABI_NAME_SHORT) {
		memcpy(to, cold->name, length);
	} else if (index < store_name_count(store)) {
		memcpy(to, store->names[index].text, length);
	} else {
		memcpy(to, ELLIPSIS, ELLIPSIS_LENGTH);
		memcpy(to + ELLIPSIS_LENGTH, cold->name, ABI_NAME_SHORT);
		length = ELLIPSIS_LENGTH + ABI_NAME_SHORT;
	}
	to[length] = '\0';
	ret_name->length = (uint8_t)length;
}

static bool read_once(const struct store *store, uint32_t index,
		      struct flow_record *record)
{
	const struct abi_flow_cold *cold = &store->cold[index];
	uint32_t before = __atomic_load_n(&cold->sequence, __ATOMIC_ACQUIRE);

	if (before & 1)
		return false;
	memcpy(&record->cold, cold, sizeof(*cold));
	flow_figures(store, &record->cold, &store->hot[index], &record->hot);
	flow_name(store, &record->cold, &record->name);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&cold->sequence, __ATOMIC_RELAXED) == before;
}

int flow_read(const struct store *store, uint32_t index,
	      struct flow_record *ret_record)
{
	struct flow_record record;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		/* Most slots are free: don't copy them. */
		if (__atomic_load_n(&store->cold[index].phase,
				    __ATOMIC_RELAXED) == ABI_PHASE_FREE)
			return -ENOENT;
		if (!read_once(store, index, &record)) {
			sched_yield();
			continue;
		}
		if (record.cold.phase == ABI_PHASE_FREE)
			return -ENOENT;
		*ret_record = record;
		return 0;
	}
	return -EBUSY;
}

int flow_find(const struct store *store, uint64_t id,
	      struct flow_record *ret_record)
{
	struct flow_record record;

	for (uint32_t i = 0; i < store->flow_capacity; i++) {
		if (__atomic_load_n(&store->cold[i].id, __ATOMIC_RELAXED) != id)
			continue;
		if (flow_read(store, i, &record) || record.cold.id != id)
			continue;
		*ret_record = record;
		return 0;
	}
	return -ENOENT;
}

/* The domain is at the end, and so in what is there of a cut name, or longer
 * than that. */
static void route_domain(const struct abi_flow_cold *cold,
			 const struct name *name, struct name *ret_domain)
{
	size_t length = cold->name_length - cold->route_offset;
	bool is_cut = name->length != cold->name_length;

	if (is_cut && length > ABI_NAME_SHORT)
		length = name->length;
	ret_domain->length = (uint8_t)length;
	memcpy(ret_domain->text, name->text + name->length - length, length);
}

const char *flow_route_text(const struct abi_flow_cold *cold,
			    const struct name *name, char *text)
{
	struct pattern pattern = {.kind = cold->route.kind,
				  .apex = cold->route_apex};

	text[0] = '\0';
	if (!cold->route.kind || cold->route_offset > cold->name_length ||
	    cold->name_length > ABI_NAME_MAX)
		return text;
	if (cold->route.kind == ABI_ROUTE_EXACT ||
	    cold->route.kind == ABI_ROUTE_WILDCARD)
		route_domain(cold, name, &pattern.name);
	return pattern_format(&pattern, text);
}

void counters_sum(const struct store *store, struct abi_counters *ret_sum)
{
	__u64 *sum = (__u64 *)ret_sum;

	memset(ret_sum, 0, sizeof(*ret_sum));
	for (int thread = 0; thread < ABI_THREADS_MAX; thread++) {
		const __u64 *each = (const __u64 *)&store->counters[thread];

		for (size_t i = 0; i < sizeof(*ret_sum) / sizeof(*sum); i++)
			sum[i] += __atomic_load_n(&each[i], __ATOMIC_RELAXED);
	}
}
