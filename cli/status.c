// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/cleanup.h"
#include "../userspace/edge_hook.h"
#include "../userspace/flow_read.h"
#include "../userspace/splice.h"
#include "../userspace/splice_guard.h"
#include "../userspace/splice_hook.h"
#include "../userspace/state.h"
#include "../userspace/words.h"
#include "agent_view.h"
#include "command.h"
#include "output.h"
#include "reader.h"

#define PATH_SIZE 4096

/**
 * struct status - what the page is made of.
 * @agent:      its answer, or NULL: then @agent_error says why.
 * @is_loaded:  false: @maps_error says why, and the figures are 0.
 * @flows:      by enum abi_phase.
 * @hooks:      array of the edge's hooks, an object an interface.
 * @unspliced:  array of interfaces where the splice's programs are missing.
 * @is_guarded: spliced flows stand still there; they are reset otherwise.
 * @kept_aside: the latest damaged state file, where @kept_count.
 */
struct status {
	json_t *agent;
	struct error agent_error;
	bool is_loaded;
	struct error maps_error;
	struct reader maps;
	size_t routes;
	uint64_t flows[ABI_PHASE_COUNT];
	uint64_t flow_count;
	uint64_t memory_bytes;
	uint64_t bans;
	uint64_t allowed;
	json_t *hooks;
	json_t *unspliced;
	bool is_guarded;
	unsigned kept_count;
	char kept_aside[PATH_SIZE];
};

/* ---- gathering ------------------------------------------------------------
 */

static void count_flows(struct status *status)
{
	const struct store *store = &status->maps.store;
	struct flow_record flow;

	for (uint32_t i = 0; i < store->flow_capacity; i++) {
		if (flow_read(store, i, &flow) ||
		    flow.cold.phase >= ABI_PHASE_COUNT)
			continue;
		status->flows[flow.cold.phase]++;
		status->flow_count++;
	}
}

static void add_hook(void *context, const char *interface,
		     enum edge_hook_kind kind, enum edge_hook_kind wanted)
{
	json_array_append_new(
		context, json_pack("{s:s, s:s, s:s}", "interface", interface,
				   "hook", edge_hook_words[kind], "wanted",
				   edge_hook_words[wanted]));
}

static void add_unspliced(void *context, const char *interface, bool is_hooked)
{
	if (!is_hooked)
		json_array_append_new(context, json_string(interface));
}

static int read_maps(const struct invocation *call, struct status *status)
{
	AUTO_CONFIG config = {.listeners = NULL};
	struct reader *maps = &status->maps;
	int ret = reader_open(maps, &call->paths, &status->maps_error);

	if (!ret)
		ret = state_load(&maps->store, &config, &status->maps_error);
	if (ret)
		return ret;
	status->is_loaded = true;
	status->routes = config.route_count;
	status->memory_bytes = store_memory(&maps->store);
	count_flows(status);
	status->bans = maps->store.edge->bans;
	status->allowed = maps->store.edge->allowed;
	edge_hook_visit(&maps->store, add_hook, status->hooks);
	if (splice_exists(&maps->store))
		splice_hook_visit(&maps->store, add_unspliced,
				  status->unspliced);
	status->is_guarded = splice_guard_exists(&maps->store);
	return 0;
}

static void gather(const struct invocation *call, struct status *status)
{
	memset(status, 0, sizeof(*status));
	status->maps = READER_NONE;
	status->hooks = json_array();
	status->unspliced = json_array();
	agent_ask(&call->paths, "status", &status->agent, &status->agent_error);
	read_maps(call, status);
	status->kept_count = state_kept_aside(&call->paths, status->kept_aside,
					      sizeof(status->kept_aside));
}

static json_int_t agent_number(const struct status *status, const char *key)
{
	return json_integer_value(json_object_get(status->agent, key));
}

static const char *agent_text(const struct status *status, const char *key)
{
	const char *text =
		json_string_value(json_object_get(status->agent, key));

	return text ? text : "?";
}

static bool agent_flag(const struct status *status, const char *key)
{
	return json_is_true(json_object_get(status->agent, key));
}

/* ---- the page -------------------------------------------------------------
 */

static void print_agent(const struct status *status)
{
	char up[OUTPUT_AMOUNT_SIZE];

	if (!status->agent) {
		output_field("Agent", "%sdown%s: %s", output_tone(TONE_BAD),
			     output_tone(TONE_PLAIN), status->agent_error.text);
		return;
	}
	output_ns(output_age_ns((uint64_t)agent_number(status, "started_ns")),
		  up);
	output_field("Agent",
		     "%srunning%s, version %s, pid %d, up for %s, "
		     "threads %d",
		     output_tone(TONE_GOOD), output_tone(TONE_PLAIN),
		     agent_text(status, "version"),
		     (int)agent_number(status, "pid"), up,
		     (int)agent_number(status, "threads"));
	if (agent_flag(status, "draining"))
		output_field(NULL, "draining: no new connections are taken");
	if (agent_flag(status, "accept_paused"))
		output_field(NULL,
			     "%saccepting is paused%s: descriptors or "
			     "flow records are short",
			     output_tone(TONE_BAD), output_tone(TONE_PLAIN));
}

static void print_listeners(const struct status *status)
{
	char port[ADDR_TEXT_SIZE], text[AGENT_SENTENCE_SIZE];
	const char *label = "Listeners";

	for (size_t i = 0; i < status->maps.listeners.count; i++) {
		const struct abi_endpoint *endpoint =
			&status->maps.listeners.row[i].endpoint;
		struct listener_view view;

		agent_listener(status->agent, endpoint, &view);
		output_field(label, "%-10s %s%s%s",
			     addr_format_listener(endpoint, port),
			     output_tone(view.why || !view.state ? TONE_BAD
								 : TONE_GOOD),
			     agent_listener_text(&view, text),
			     output_tone(TONE_PLAIN));
		label = NULL;
	}
	if (label && status->is_loaded)
		output_field(label, "none: `snictl listen add 443` adds one");
}

static void print_datapaths(const struct status *status)
{
	const json_t *rows = json_object_get(status->agent, "datapaths");
	const char *label = "Data paths";

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const char *name =
			json_string_value(json_object_get(row, "name"));
		const char *why =
			json_string_value(json_object_get(row, "why"));
		bool on = json_is_true(json_object_get(row, "on"));

		output_field(label, "%-10s %s%s%s", name ? name : "?",
			     on ? "on" : "off", why ? ": " : "",
			     why ? why : "");
		label = NULL;
	}
}

static void print_unspliced(const struct status *status)
{
	for (size_t i = 0; i < json_array_size(status->unspliced); i++)
		output_field(
			i ? NULL : "Spliced",
			"%sits programs are missing on %s%s: flows %s",
			output_tone(TONE_BAD),
			json_string_value(json_array_get(status->unspliced, i)),
			output_tone(TONE_PLAIN),
			status->is_guarded ? "stand still there"
					   : "are reset there");
}

/* Where there is nothing to drop there are no hooks: said in one word. */
static void print_hooks(const struct status *status)
{
	const char *label = "Hooks";

	for (size_t i = 0; i < json_array_size(status->hooks); i++) {
		json_t *row = json_array_get(status->hooks, i);
		const char *name, *kind, *wanted;

		if (json_unpack(row, "{s:s, s:s, s:s}", "interface", &name,
				"hook", &kind, "wanted", &wanted) ||
		    !strcmp(kind, edge_hook_words[EDGE_HOOK_NONE]))
			continue;
		output_field(label, "%-10s %s%s", name, kind,
			     strncmp(kind, wanted, strlen(wanted))
				     ? ": XDP is not to be had there"
				     : "");
		label = NULL;
	}
	if (label)
		output_field(label, "none: nothing is banned or limited");
}

static void print_maps(const struct status *status)
{
	char memory[OUTPUT_AMOUNT_SIZE], phases[160] = "";
	size_t length = 0;

	if (!status->is_loaded) {
		output_field("Maps", "%s", status->maps_error.text);
		return;
	}
	for (int i = ABI_PHASE_FREE + 1; i < ABI_PHASE_COUNT; i++) {
		if (!status->flows[i])
			continue;
		length += (size_t)snprintf(
			phases + length, sizeof(phases) - length, "%s%s %llu",
			length ? ", " : ": ", words_phase[i],
			(unsigned long long)status->flows[i]);
	}
	output_field("Flows", "%llu of at most %u%s",
		     (unsigned long long)status->flow_count,
		     status->maps.store.flow_capacity, phases);
	output_field("Routes", "%zu", status->routes);
	output_field("Bans", "%llu prefixes, %llu allowed",
		     (unsigned long long)status->bans,
		     (unsigned long long)status->allowed);
	print_hooks(status);
	output_field("Memory", "%s in maps",
		     output_bytes(status->memory_bytes, memory));
}

static void print_page(const struct invocation *call,
		       const struct status *status)
{
	print_agent(status);
	print_listeners(status);
	print_datapaths(status);
	print_unspliced(status);
	print_maps(status);
	output_field("Maps in", "%s", call->paths.bpffs);
	output_field("State file", "%s", call->paths.state);
	if (status->kept_count)
		output_field(NULL,
			     "%sdamaged ones were kept aside%s: %u, the latest "
			     "is %s",
			     output_tone(TONE_BAD), output_tone(TONE_PLAIN),
			     status->kept_count, status->kept_aside);
}

/* ---- JSON -----------------------------------------------------------------
 */

static json_t *agent_object(const struct status *status)
{
	uint64_t up_ns;

	if (!status->agent)
		return json_pack("{s:b, s:s}", "running", 0, "error",
				 status->agent_error.text);
	up_ns = output_age_ns((uint64_t)agent_number(status, "started_ns"));
	return json_pack("{s:b, s:s, s:I, s:I, s:I, s:s, s:b, s:b}", "running",
			 1, "version", agent_text(status, "version"), "pid",
			 agent_number(status, "pid"), "threads",
			 agent_number(status, "threads"), "up_ms",
			 (json_int_t)(up_ns / 1000000), "datapath",
			 agent_text(status, "datapath"), "draining",
			 agent_flag(status, "draining"), "accept_paused",
			 agent_flag(status, "accept_paused"));
}

static json_t *listeners_object(const struct status *status)
{
	json_t *array = json_array();
	struct listener_view view;

	for (size_t i = 0; i < status->maps.listeners.count; i++) {
		const struct listener *row = &status->maps.listeners.row[i];

		agent_listener(status->agent, &row->endpoint, &view);
		json_array_append_new(array, agent_listener_object(row, &view));
	}
	return array;
}

static json_t *flows_object(const struct status *status)
{
	json_t *object = json_object();

	for (int i = ABI_PHASE_FREE + 1; i < ABI_PHASE_COUNT; i++)
		json_object_set_new(object, words_phase[i],
				    json_integer((json_int_t)status->flows[i]));
	json_object_set_new(object, "total",
			    json_integer((json_int_t)status->flow_count));
	json_object_set_new(
		object, "capacity",
		json_integer((json_int_t)status->maps.store.flow_capacity));
	return object;
}

static json_t *maps_object(const struct invocation *call,
			   const struct status *status)
{
	return json_pack("{s:b, s:s?, s:s, s:I}", "loaded", status->is_loaded,
			 "error",
			 status->is_loaded ? NULL : status->maps_error.text,
			 "bpffs", call->paths.bpffs, "memory_bytes",
			 (json_int_t)status->memory_bytes);
}

static json_t *state_object(const struct invocation *call,
			    const struct status *status)
{
	return json_pack("{s:s, s:i, s:s?}", "file", call->paths.state,
			 "kept_aside", (int)status->kept_count, "latest",
			 status->kept_count ? status->kept_aside : NULL);
}

static json_t *status_object(const struct invocation *call,
			     const struct status *status)
{
	json_t *datapaths = json_object_get(status->agent, "datapaths");

	return json_pack(
		"{s:o, s:o, s:O?, s:O, s:o, s:I, s:{s:I, s:I, s:O}, s:o, s:o}",
		"agent", agent_object(status), "listeners",
		listeners_object(status), "datapaths", datapaths, "unspliced",
		status->unspliced, "flows", flows_object(status), "routes",
		(json_int_t)status->routes, "edge", "bans",
		(json_int_t)status->bans, "allowed",
		(json_int_t)status->allowed, "hooks", status->hooks, "maps",
		maps_object(call, status), "state", state_object(call, status));
}

int status_main(const struct invocation *call, struct error *error)
{
	AUTO_FREE struct status *status = malloc(sizeof(*status));
	int ret = 0;

	(void)error;
	if (!status)
		return -ENOMEM;
	gather(call, status);
	if (call->option[OPTION_JSON])
		ret = output_json(status_object(call, status));
	else
		print_page(call, status);
	if (!ret && !status->agent)
		ret = EXIT_FAILED;
	else if (!ret && !status->is_loaded)
		ret = (int)status->maps_error.status;
	json_decref(status->agent);
	reader_close(&status->maps);
	json_decref(status->hooks);
	json_decref(status->unspliced);
	return ret;
}
