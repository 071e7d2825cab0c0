// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../userspace/edge.h"
#include "../userspace/flow_read.h"
#include "../userspace/words.h"
#include "command.h"
#include "output.h"

/* All words of a list with their counters. */
static json_t *counts_object(const char *const *words, size_t count,
			     const __u64 *values)
{
	json_t *object = json_object();

	/* Index 0 is "pending" or "auto": nothing ends there. */
	for (size_t i = 1; i < count; i++)
		json_object_set_new(object, words[i],
				    json_integer((json_int_t)values[i]));
	return object;
}

/* By reason; the last of them is counted by the hooks too. */
static const struct {
	const char *json;
	const char *label;
} limits[ABI_LIMIT_COUNT] = {
	[ABI_LIMIT_FLOWS] = {"flows", "all flows"},
	[ABI_LIMIT_SOURCE] = {"flows_per_source", "flows per source"},
	[ABI_LIMIT_PENDING] = {"pending_per_source", "pending per source"},
	[ABI_LIMIT_RATE] = {"new_per_source", "new per source"},
};

static json_t *limits_object(const struct abi_counters *sum)
{
	json_t *object = json_object();

	for (size_t i = 0; i < ABI_LIMIT_COUNT; i++)
		json_object_set_new(object, limits[i].json,
				    json_integer((json_int_t)sum->limited[i]));
	return object;
}

static json_t *stats_object(const struct abi_counters *sum,
			    const struct abi_edge_counts *edge)
{
	return json_pack(
		"{s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o, "
		"s:{s:I, s:I}}",
		"accepted", (json_int_t)sum->accepted, "outcomes",
		counts_object(words_outcome, ABI_OUTCOME_COUNT, sum->outcome),
		"datapaths",
		counts_object(words_datapath, ABI_DATAPATH_COUNT,
			      sum->datapath),
		"relayed",
		counts_object(words_why, ABI_WHY_COUNT, sum->relayed),
		"bytes_in", (json_int_t)sum->bytes[ABI_FROM_CLIENT],
		"bytes_out", (json_int_t)sum->bytes[ABI_FROM_BACKEND],
		"connect_failures", (json_int_t)sum->connect_failures,
		"accept_pauses", (json_int_t)sum->accept_pauses, "returns",
		(json_int_t)sum->returns, "limits", limits_object(sum), "edge",
		"banned", (json_int_t)edge->banned, "limited",
		(json_int_t)edge->limited);
}

static const struct column columns[] = {
	{"COUNTER", COLUMN_TEXT},
	{"VALUE", COLUMN_NUMBER},
	{NULL, COLUMN_TEXT},
};

static void put(struct listing *listing, const char *prefix, const char *name,
		__u64 value)
{
	char label[64], number[OUTPUT_AMOUNT_SIZE];

	snprintf(label, sizeof(label), "%s%s", prefix, name);
	snprintf(number, sizeof(number), "%llu", value);
	listing_row(listing, (const char *const[]){label, number});
}

static int print_table(const struct abi_counters *sum,
		       const struct abi_edge_counts *edge)
{
	struct listing listing;

	listing_begin(&listing, false, columns);
	put(&listing, "", "accepted", sum->accepted);
	for (size_t i = 1; i < ABI_OUTCOME_COUNT; i++)
		put(&listing, "outcome ", words_outcome[i], sum->outcome[i]);
	for (size_t i = 1; i < ABI_DATAPATH_COUNT; i++)
		put(&listing, "data path ", words_datapath[i],
		    sum->datapath[i]);
	for (size_t i = 1; i < ABI_WHY_COUNT; i++)
		put(&listing, "relayed: ", words_why[i], sum->relayed[i]);
	put(&listing, "", "bytes in", sum->bytes[ABI_FROM_CLIENT]);
	put(&listing, "", "bytes out", sum->bytes[ABI_FROM_BACKEND]);
	put(&listing, "", "connect failures", sum->connect_failures);
	put(&listing, "", "accept pauses", sum->accept_pauses);
	put(&listing, "", "returns", sum->returns);
	for (size_t i = 0; i < ABI_LIMIT_COUNT; i++)
		put(&listing, "limit ", limits[i].label, sum->limited[i]);
	put(&listing, "edge ", "packets banned", edge->banned);
	put(&listing, "edge ", "connects limited", edge->limited);
	return listing_end(&listing);
}

int stats_main(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	struct abi_edge_counts edge;
	struct abi_counters sum;
	int ret;

	ret = store_open(&call->paths, STORE_READ, &store, error);
	if (ret)
		return ret;
	counters_sum(&store, &sum);
	edge = edge_counts_read(&store);
	if (call->option[OPTION_JSON])
		return output_json(stats_object(&sum, &edge));
	return print_table(&sum, &edge);
}
