// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From the first byte to a route: PROXY header, ClientHello, look-up. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "cleanup.h"
#include "crash.h"
#include "flow.h"
#include "http_forward.h"
#include "listen.h"
#include "setting.h"

/* What is kept of the bytes so far, room for a usual hello from the start:
 * browsers with a post-quantum key share send about 1900 bytes. */
#define STEER_WIRE_BYTES 3072

bool steer_keep(struct flow *flow, const uint8_t *bytes, size_t length)
{
	struct opening *opening = flow->opening;
	size_t have = opening ? opening->taken : 0;
	size_t size = opening ? opening->size : STEER_WIRE_BYTES;
	bool is_new = !opening;

	if (is_new || have + length > size) {
		while (size < have + length)
			size *= 2;
		opening = realloc(opening, sizeof(*opening) + size);
		if (!opening)
			return false;
		if (is_new)
			memset(opening, 0, sizeof(*opening));
		opening->size = size;
		flow->opening = opening;
	}
	memcpy(opening->wire + have, bytes, length);
	opening->length = have + length;
	return true;
}

/* The protocols that the client offers, as "h2,http/1.1", as many as fit. */
static void steer_record_alpn(struct abi_flow_cold *cold, struct span alpn)
{
	struct span protocol;
	size_t length = 0;

	while (span_take_block(&alpn, 1, &protocol)) {
		size_t comma = length ? 1 : 0;

		if (length + comma + protocol.length > ABI_ALPN_KEPT)
			break;
		if (comma)
			cold->alpn[length++] = ',';
		memcpy(cold->alpn + length, protocol.data, protocol.length);
		length += protocol.length;
	}
	cold->alpn_length = (__u8)length;
}

/* What the backend is told: only one protocol on offer is a known one. */
void steer_make_header(struct flow *flow, const struct hello *hello)
{
	struct opening *opening = flow->opening;
	const struct abi_flow_cold *cold = flow->cold;
	char id[40];
	struct proxy_info info = {
		.source = cold->client,
		.destination = cold->local,
		.authority = {(const uint8_t *)opening->name.text,
			      opening->name.length},
	};
	int length;

	if (opening->route.proxy == ABI_PROXY_OFF)
		return;
	length = snprintf(id, sizeof(id), "%016llx-%llx",
			  (unsigned long long)flow->thread->agent->started_ns,
			  (unsigned long long)cold->id);
	info.unique_id = (struct span){(const uint8_t *)id, (size_t)length};
	if (hello && hello->alpn_count == 1)
		info.alpn = (struct span){hello->alpn.data + 1,
					  hello->alpn.length - 1};
	opening->header_length = proxy_build(
		(enum abi_proxy)opening->route.proxy, &info, opening->header);
}

/* All that came, but for the PROXY header. */
static struct span steer_bytes(const struct flow *flow)
{
	const struct opening *opening = flow->opening;

	return (struct span){opening->wire + opening->skip,
			     opening->length - opening->skip};
}

static void steer_refuse(struct flow *flow, const struct route_query *query)
{
	switch (query->kind) {
	case ROUTE_QUERY_NAME:
		refuse(flow, ABI_OUTCOME_UNKNOWN_NAME,
		       HELLO_ALERT_UNRECOGNIZED_NAME);
		return;
	case ROUTE_QUERY_NO_NAME:
		refuse(flow, ABI_OUTCOME_NO_SNI, HELLO_ALERT_UNRECOGNIZED_NAME);
		return;
	case ROUTE_QUERY_NOT_TLS:
		if (http_looks_like(steer_bytes(flow)))
			http_answer(flow, ABI_OUTCOME_HTTP_ON_TLS,
				    HTTP_ANSWER_PLAIN, NULL);
		else
			refuse(flow, ABI_OUTCOME_NOT_TLS, 0);
		return;
	}
}

static void steer_record(struct flow *flow, const struct route_query *query,
			 const struct hello *hello)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->hello_us = flow_age_us(flow);
	if (hello)
		steer_record_alpn(cold, hello->alpn);
	flow_record_end(flow);
	if (query->kind == ROUTE_QUERY_NAME) {
		flow->opening->name = *query->name;
		flow_keep_name(flow, query->name);
	}
}

static void steer_record_route(struct flow *flow,
			       const struct abi_route_key *key)
{
	const struct abi_route *route = &flow->opening->route;
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->route = *key;
	cold->proxy = route->proxy;
	cold->outcome = ABI_OUTCOME_ROUTED;
	if (key->kind == ABI_ROUTE_WILDCARD) {
		cold->route_offset =
			(__u8)(cold->name_length - route->name_length);
		cold->route_apex = route->apex;
	}
	flow_record_end(flow);
}

static void steer_take(struct flow *flow, const struct hello *hello)
{
	struct opening *opening = flow->opening;

	switch ((enum abi_action)opening->route.action) {
	case ABI_ACTION_FORWARD:
		steer_make_header(flow, hello);
		opening->owed = opening->length - opening->taken;
		crash_point("steered");
		connect_next(flow);
		return;
	case ABI_ACTION_REJECT:
		refuse(flow, ABI_OUTCOME_REJECTED,
		       hello ? HELLO_ALERT_UNRECOGNIZED_NAME : 0);
		return;
	case ABI_ACTION_DROP:
		refuse_silently(flow);
		return;
	}
}

int steer_find(struct flow *flow, struct route_query *query,
	       const struct hello *hello)
{
	struct thread *thread = flow->thread;
	struct abi_route_key key;
	int error;

	flow_settle(flow);
	query->listener_id = flow->listening->row.id;
	steer_record(flow, query, hello);
	error = route_lookup(&thread->agent->store, &thread->routes, query,
			     &key, &flow->opening->route);
	if (!error)
		steer_record_route(flow, &key);
	return error;
}

static void steer_route(struct flow *flow, struct route_query *query,
			const struct hello *hello)
{
	int error;

	flow->opening->is_tls = hello;
	error = steer_find(flow, query, hello);
	if (!error) {
		steer_take(flow, hello);
	} else if (error == -ENOENT) {
		steer_refuse(flow, query);
	} else {
		flow->error = -error;
		refuse(flow, ABI_OUTCOME_CONNECT_FAILED,
		       hello ? HELLO_ALERT_INTERNAL_ERROR : 0);
	}
}

static void steer_hello(struct flow *flow, const struct hello *hello)
{
	struct route_query query = {.kind = ROUTE_QUERY_NO_NAME,
				    .alpn = hello->alpn};
	struct name name;

	if (hello->host_name.length) {
		switch (name_from_wire(hello->host_name, &name)) {
		case NAME_OK:
			query.kind = ROUTE_QUERY_NAME;
			query.name = &name;
			break;
		case NAME_IP_LITERAL:
			break;
		case NAME_MALFORMED:
			refuse(flow, ABI_OUTCOME_MALFORMED,
			       HELLO_ALERT_DECODE_ERROR);
			return;
		}
	}
	steer_route(flow, &query, hello);
}

/* Return: false while more of the client's PROXY header is to come. */
static bool steer_proxy(struct flow *flow)
{
	struct opening *opening = flow->opening;
	struct proxy_header header;

	switch (proxy_parse((struct span){opening->wire, opening->length},
			    &header)) {
	case PROXY_PARTIAL:
		return false;
	case PROXY_MALFORMED:
		refuse(flow, ABI_OUTCOME_MALFORMED, 0);
		return false;
	case PROXY_OK:
		break;
	}
	opening->skip = header.length;
	return flow_take_header(flow, &header);
}

/* Look at all that has come. Return: true while more is to be read. */
static bool steer_look(struct flow *flow)
{
	struct thread *thread = flow->thread;
	struct opening *opening = flow->opening;
	struct route_query query = {.kind = ROUTE_QUERY_NOT_TLS};
	struct hello hello;

	if (flow->proxy_expected && !steer_proxy(flow))
		return flow->cold->phase == ABI_PHASE_HELLO;
	switch (hello_read(
		&opening->reader, steer_bytes(flow),
		setting_get(&thread->agent->store, ABI_SET_HELLO_MAX_BYTES),
		thread->message, &hello)) {
	case HELLO_PARTIAL:
		return true;
	case HELLO_OK:
		steer_hello(flow, &hello);
		return false;
	case HELLO_NOT_TLS:
		steer_route(flow, &query, NULL);
		return false;
	case HELLO_MALFORMED:
		refuse(flow, ABI_OUTCOME_MALFORMED, HELLO_ALERT_DECODE_ERROR);
		return false;
	case HELLO_TOO_LARGE:
		refuse(flow, ABI_OUTCOME_TOO_LARGE, HELLO_ALERT_DECODE_ERROR);
		return false;
	}
	return false;
}

void steer_hurry(const struct flow *flow)
{
	int once = 2; /* bit 0 would ask for quick ACKs from here on */

	if ((flow->cold->phase == ABI_PHASE_HELLO && flow->opening) ||
	    (flow->cold->phase == ABI_PHASE_REQUEST && flow->scan.offset))
		setsockopt(flow->end[FLOW_CLIENT].fd, IPPROTO_TCP, TCP_QUICKACK,
			   &once, sizeof(once));
}

/* More is to come, and what there is makes room for it: a socket with unread
 * bytes sends no ACK at once. */
static void steer_wait(struct flow *flow, size_t seen)
{
	struct opening *opening = flow->opening;
	struct thread *thread = flow->thread;

	if (!opening->taken)
		opening->kept = heart_keep(thread->agent->heart, thread->index,
					   flow->cold->id);
	if (opening->kept && !heart_add(thread->agent->heart, opening->kept,
					thread->buffer, seen))
		heart_forget(take_pointer(opening->kept));
	crash_point("piece-kept");
	opening->taken += seen;
	flow_consume(flow, FLOW_CLIENT, seen);
	crash_point("piece-taken");
}

void steer_read(struct flow *flow)
{
	struct thread *thread = flow->thread;
	ssize_t seen;
	bool all;

	do {
		seen = flow_look(flow, FLOW_CLIENT, &all);
		if (seen < 0 && errno == EAGAIN)
			break;
		if (seen <= 0) {
			flow_outcome(flow, ABI_OUTCOME_CLIENT_GONE);
			flow_end(flow, seen ? "reset-by-client" : "closed");
			return;
		}
		/* Behind all that there was, more is a new edge. A
		 * FIN that was announced before is not announced again. */
		flow->readable[FLOW_CLIENT] = !all || flow->hung[FLOW_CLIENT];
		if (!steer_keep(flow, thread->buffer, (size_t)seen)) {
			flow_outcome(flow, ABI_OUTCOME_LIMITED);
			flow_reset(flow, "limited");
			return;
		}
		if (!steer_look(flow))
			return;
		steer_wait(flow, (size_t)seen);
	} while (flow->readable[FLOW_CLIENT]);
	steer_hurry(flow);
}
