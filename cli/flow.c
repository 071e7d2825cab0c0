// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/control.h"
#include "../userspace/flow_read.h"
#include "../userspace/number.h"
#include "../userspace/words.h"
#include "command.h"
#include "object.h"
#include "output.h"
#include "reader.h"

/** struct flow_texts - what both forms of a flow need as text. */
struct flow_texts {
	char name[ABI_NAME_MAX + 1];
	char alpn[ABI_ALPN_MAX + 1];
	char route[PATTERN_TEXT_SIZE];
	char client[ADDR_TEXT_SIZE];
	char backend[ADDR_TEXT_SIZE];
	char listener[ADDR_TEXT_SIZE];
};

/* ALPN is bytes that a client chose: they must not steer a terminal. */
static void copy_printable(char *to, const __u8 *from, size_t length,
			   size_t max)
{
	if (length > max)
		length = max;
	for (size_t i = 0; i < length; i++)
		to[i] = from[i] > 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	to[length] = '\0';
}

static void flow_texts(const struct flow_record *flow,
		       const struct listener_list *listeners,
		       struct flow_texts *texts)
{
	const struct abi_flow_cold *cold = &flow->cold;
	const struct listener *listener =
		listener_list_find(listeners, cold->listener_id);

	copy_printable(texts->name, (const __u8 *)flow->name.text,
		       flow->name.length, ABI_NAME_MAX);
	copy_printable(texts->alpn, cold->alpn, cold->alpn_length,
		       ABI_ALPN_KEPT);
	flow_route_text(cold, &flow->name, texts->route);
	addr_format_endpoint(&cold->client, texts->client);
	texts->backend[0] = '\0';
	if (cold->backend.family)
		addr_format_endpoint(&cold->backend, texts->backend);
	texts->listener[0] = '\0';
	if (listener)
		addr_format_listener(&listener->endpoint, texts->listener);
}

static const char *word(const char *const *words, size_t count, size_t value)
{
	return value < count && words[value] ? words[value] : "?";
}

/* NULL before it is chosen. */
static const char *datapath(const struct abi_flow_cold *cold)
{
	return cold->datapath ? word(words_datapath, ABI_DATAPATH_COUNT,
				     cold->datapath)
			      : NULL;
}

/* NULL where it is on the data path that it was meant for. */
static const char *why(const struct abi_flow_cold *cold)
{
	return cold->why ? word(words_why, ABI_WHY_COUNT, cold->why) : NULL;
}

/* The last byte either way, or the accept. */
static uint64_t last_ns(const struct flow_record *flow)
{
	return flow->hot.last_ns ? flow->hot.last_ns : flow->cold.accepted_ns;
}

/* ---- JSON -----------------------------------------------------------------
 */

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

/* Between two moments of the flow's life, milliseconds; null before. */
static json_t *span_object(uint32_t from_us, uint32_t to_us)
{
	if (!to_us)
		return json_null();
	return json_real((to_us - from_us) / 1e3);
}

static json_t *flow_object(const struct flow_record *flow,
			   const struct listener_list *listeners)
{
	const struct abi_flow_cold *cold = &flow->cold;
	const struct abi_flow_direction *way = flow->hot.direction;
	struct flow_texts texts;

	flow_texts(flow, listeners, &texts);
	return json_pack(
		"{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, "
		"s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I}",
		"id", (json_int_t)cold->id, "phase",
		word(words_phase, ABI_PHASE_COUNT, cold->phase), "client",
		texts.client, "local", object_endpoint(&cold->local), "peer",
		object_endpoint(&cold->peer), "listener",
		text_or_null(texts.listener), "name", text_or_null(texts.name),
		"alpn", text_or_null(texts.alpn), "route",
		text_or_null(texts.route), "target",
		text_or_null(texts.backend), "source",
		object_endpoint(&cold->source), "proxy",
		word(words_proxy, ABI_PROXY_V2 + 1, cold->proxy), "datapath",
		object_text(datapath(cold)), "why", object_text(why(cold)),
		"bytes_in", (json_int_t)way[ABI_FROM_CLIENT].bytes, "bytes_out",
		(json_int_t)way[ABI_FROM_BACKEND].bytes, "packets_in",
		(json_int_t)way[ABI_FROM_CLIENT].packets, "packets_out",
		(json_int_t)way[ABI_FROM_BACKEND].packets, "hello_ms",
		span_object(0, cold->hello_us), "connect_ms",
		span_object(cold->hello_us, cold->connected_us), "age_ms",
		(json_int_t)(output_age_ns(cold->accepted_ns) / 1000000),
		"idle_ms",
		(json_int_t)(output_age_ns(last_ns(flow)) / 1000000));
}

/* ---- list -----------------------------------------------------------------
 */

static const struct column columns[] = {
	{"ID", COLUMN_NUMBER},	{"PHASE", COLUMN_TEXT}, {"CLIENT", COLUMN_TEXT},
	{"ON", COLUMN_SPARE},	{"NAME", COLUMN_CUT},	{"TARGET", COLUMN_CUT},
	{"PATH", COLUMN_SPARE}, {"AGE", COLUMN_NUMBER}, {"IN", COLUMN_NUMBER},
	{"OUT", COLUMN_NUMBER}, {NULL, COLUMN_TEXT},
};

static void list_one(struct listing *listing, const struct flow_record *flow,
		     const struct listener_list *listeners)
{
	const struct abi_flow_cold *cold = &flow->cold;
	char id[OUTPUT_AMOUNT_SIZE], age[OUTPUT_AMOUNT_SIZE];
	char in[OUTPUT_AMOUNT_SIZE], out[OUTPUT_AMOUNT_SIZE];
	const char *path = datapath(cold);
	struct flow_texts texts;

	if (listing->json) {
		listing_object(listing, flow_object(flow, listeners));
		return;
	}
	flow_texts(flow, listeners, &texts);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)cold->id);
	output_bytes(flow->hot.direction[ABI_FROM_CLIENT].bytes, in);
	output_bytes(flow->hot.direction[ABI_FROM_BACKEND].bytes, out);
	listing_row(listing,
		    (const char *const[]){
			    id, word(words_phase, ABI_PHASE_COUNT, cold->phase),
			    texts.client, texts.listener, texts.name,
			    texts.backend, path ? path : "",
			    output_ns(output_age_ns(cold->accepted_ns), age),
			    in, out});
}

int flow_list_main(const struct invocation *call, struct error *error)
{
	AUTO_READER reader = READER_NONE;
	struct flow_record flow;
	struct listing listing;
	int ret = reader_open(&reader, &call->paths, error);

	if (ret)
		return ret;
	listing_begin(&listing, call->option[OPTION_JSON], columns);
	for (uint32_t i = 0; i < reader.store.flow_capacity; i++) {
		if (!flow_read(&reader.store, i, &flow))
			list_one(&listing, &flow, &reader.listeners);
	}
	return listing_end(&listing);
}

/* ---- show -----------------------------------------------------------------
 */

static void show_way(const char *label, const struct abi_flow_direction *way)
{
	char bytes[OUTPUT_AMOUNT_SIZE];

	output_field(label, "%s (%llu)", output_bytes(way->bytes, bytes),
		     (unsigned long long)way->bytes);
}

static void show_page(const struct flow_record *flow,
		      const struct listener_list *listeners)
{
	const struct abi_flow_cold *cold = &flow->cold;
	char text[ADDR_TEXT_SIZE], age[OUTPUT_AMOUNT_SIZE];
	const char *path = datapath(cold);
	struct flow_texts texts;

	flow_texts(flow, listeners, &texts);
	output_field("Flow", "%llu, %s, for %s", (unsigned long long)cold->id,
		     word(words_phase, ABI_PHASE_COUNT, cold->phase),
		     output_ns(output_age_ns(cold->accepted_ns), age));
	output_field("Client", "%s", texts.client);
	output_field("Dialled", "%s%s%s",
		     addr_format_endpoint(&cold->local, text),
		     *texts.listener ? ", listener " : "", texts.listener);
	output_field("Name", "%s", *texts.name ? texts.name : "none");
	output_field("ALPN", "%s", *texts.alpn ? texts.alpn : "none");
	output_field("Route", "%s", *texts.route ? texts.route : "none");
	output_field("Target", "%s, PROXY %s",
		     *texts.backend ? texts.backend : "none",
		     word(words_proxy, ABI_PROXY_V2 + 1, cold->proxy));
	output_field("Data path", "%s%s%s", path ? path : "none yet",
		     cold->why ? ", " : "", cold->why ? why(cold) : "");
	show_way("In", &flow->hot.direction[ABI_FROM_CLIENT]);
	show_way("Out", &flow->hot.direction[ABI_FROM_BACKEND]);
	output_field("Idle", "for %s",
		     output_ns(output_age_ns(last_ns(flow)), age));
}

static int parse_id(const char *text, uint64_t *ret_id, struct error *error)
{
	if (!number_parse(text, 0, INT64_MAX, ret_id))
		return 0;
	return error_set(error, EXIT_USAGE, EINVAL,
			 "\"%.80s\" is no flow's id: `snictl flow list` "
			 "lists them",
			 text);
}

int flow_show_main(const struct invocation *call, struct error *error)
{
	AUTO_READER reader = READER_NONE;
	struct flow_record flow;
	uint64_t id;
	int ret = parse_id(call->argument[0], &id, error);

	if (!ret)
		ret = reader_open(&reader, &call->paths, error);
	if (ret)
		return ret;
	if (flow_find(&reader.store, id, &flow))
		return error_set(error, EXIT_FAILED, ENOENT,
				 "there is no flow %s: it has ended, or never "
				 "was",
				 call->argument[0]);
	if (call->option[OPTION_JSON])
		return output_json(flow_object(&flow, &reader.listeners));
	show_page(&flow, &reader.listeners);
	return 0;
}

/* ---- kill -----------------------------------------------------------------
 */

static json_t *kill_by_id(const char *text, struct error *error)
{
	uint64_t id;

	if (parse_id(text, &id, error))
		return NULL;
	return json_pack("{s:s, s:I}", "command", "kill", "id", (json_int_t)id);
}

static json_t *kill_by_client(const char *text, struct error *error)
{
	struct abi_endpoint client = {.family = 0};
	struct abi_prefix prefix;
	char address[ADDR_TEXT_SIZE];

	/* A client has an address; its port would be another flow's soon. */
	if (addr_parse_prefix(text, &prefix) || strchr(text, '/')) {
		error_set(error, EXIT_USAGE, EINVAL,
			  "\"%.80s\" is no IP address: --client takes one "
			  "address, without a port",
			  text);
		return NULL;
	}
	memcpy(client.addr, prefix.addr, sizeof(client.addr));
	client.family = prefix.family;
	return json_pack("{s:s, s:s}", "command", "kill", "client",
			 addr_format_ip(&client, address));
}

static json_t *kill_by_name(const char *text, struct error *error)
{
	struct pattern pattern;
	const char *reason = "it stands for many";

	if (pattern_parse(text, &pattern, &reason) ||
	    pattern.kind != ABI_ROUTE_EXACT) {
		error_set(error, EXIT_USAGE, EINVAL,
			  "\"%.280s\" is no host name: %s", text, reason);
		return NULL;
	}
	return json_pack("{s:s, s:s}", "command", "kill", "name",
			 pattern.name.text);
}

int flow_kill_main(const struct invocation *call, struct error *error)
{
	json_auto_t *request = NULL, *answer = NULL;
	int ret;

	if (call->argument[0])
		request = kill_by_id(call->argument[0], error);
	else if (call->option[OPTION_CLIENT])
		request = kill_by_client(call->option[OPTION_CLIENT], error);
	else
		request = kill_by_name(call->option[OPTION_NAME], error);
	if (!request)
		return -EINVAL;
	ret = control_call(&call->paths, request, CONTROL_PATIENCE_S, &answer,
			   error);
	if (ret)
		return ret;
	if (!json_integer_value(json_object_get(answer, "killed")))
		return error_set(error, EXIT_FAILED, ENOENT,
				 "no such flow: `snictl flow list` lists "
				 "them");
	return 0;
}
