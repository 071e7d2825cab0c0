// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From the first byte of a plain connection to what its request gets: a
 * backend, a redirection, or an answer that says why not.
 *
 * Nothing is read before it can be used: a head is looked at where it waits,
 * in the kernel's queue, and what follows it stays there for whoever moves it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "addr.h"
#include "flow.h"
#include "http_forward.h"
#include "listen.h"
#include "setting.h"

#define HTTP_PORT 80
/* RFC 8446 section 5.1: the type of a record with a handshake in it. */
#define TLS_HANDSHAKE 22

/* ---- answers ------------------------------------------------------------- */

static void http_record_status(struct flow *flow, unsigned status)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->http_status =
		status == HTTP_ANSWER_PLAIN ? HTTP_BAD_REQUEST : (__u16)status;
	flow_record_end(flow);
}

void http_answer(struct flow *flow, enum abi_outcome outcome, unsigned status,
		 const struct http_request *request)
{
	uint8_t *bytes = flow->thread->message;
	struct http_answer answer = {
		.status = status,
		.is_head = request ? request->is_head
				   : flow->http && flow->http->is_head,
		.now = time(NULL),
	};

	if (outcome == ABI_OUTCOME_REDIRECTED) {
		answer.host = request->host;
		answer.path = request->path;
	}
	http_record_status(flow, status);
	refuse_with(flow, outcome, bytes,
		    http_answer_build(&answer, bytes, HELLO_MAX_LIMIT));
}

void http_refuse(struct flow *flow, enum abi_outcome outcome)
{
	uint8_t byte;

	if (outcome == ABI_OUTCOME_CONNECT_FAILED)
		http_answer(flow, outcome, flow->error == ETIMEDOUT ? 504 : 502,
			    NULL);
	else if (outcome == ABI_OUTCOME_HELLO_TIMEOUT &&
		 recv(flow->end[FLOW_CLIENT].fd, &byte, 1, MSG_PEEK) > 0)
		http_answer(flow, outcome, 408, NULL);
	else /* a browser's spare connection is not told that it is late */
		refuse_with(flow, outcome, NULL, 0);
}

static void http_refuse_head(struct flow *flow, enum http_verdict verdict)
{
	bool large =
		verdict == HTTP_URI_TOO_LONG || verdict == HTTP_HEAD_TOO_LARGE;

	http_answer(flow, large ? ABI_OUTCOME_TOO_LARGE : ABI_OUTCOME_MALFORMED,
		    (unsigned)verdict, NULL);
}

static void http_refuse_tls(struct flow *flow, struct span bytes)
{
	uint8_t record[HELLO_ALERT_BYTES];
	uint16_t version = 0;

	if (bytes.length > 2)
		version = (uint16_t)(bytes.data[1] << 8 | bytes.data[2]);
	hello_alert_record(HELLO_ALERT_HANDSHAKE_FAILURE, version, record);
	refuse_with(flow, ABI_OUTCOME_TLS_ON_HTTP, record, sizeof(record));
}

static void http_redirect(struct flow *flow, const struct http_request *request)
{
	/* Browsers turn a POST into a GET behind 301: RFC 9110 section
	 * 15.4.2. */
	bool safe =
		request->is_head || (request->method.length == 3 &&
				     !memcmp(request->method.data, "GET", 3));

	if (request->host.length)
		http_answer(flow, ABI_OUTCOME_REDIRECTED, safe ? 301 : 308,
			    request);
	else /* nobody knows where to */
		http_answer(flow, ABI_OUTCOME_NO_SNI, 404, request);
}

/* ---- to the backend ------------------------------------------------------ */

/* Whether what connects there comes back by the listener that it came by. */
static bool http_is_loop(const struct flow *flow,
			 const struct abi_endpoint *target)
{
	const struct abi_endpoint *at = &flow->listening->endpoint;
	bool loopback = target->family == AF_INET
				? target->addr[0] == 127
				: !memcmp(target->addr, &in6addr_loopback,
					  sizeof(target->addr));

	if (target->port_be != at->port_be)
		return false;
	return addr_is_any(at)
		       ? loopback || addr_equal(target, &flow->cold->local)
		       : addr_equal(target, at);
}

/* The opening's targets become those of requests. Return: how many. */
static unsigned http_set_targets(struct flow *flow)
{
	struct abi_route *route = &flow->opening->route;
	unsigned count = route->target_count;

	if (route->http_target.family) {
		route->target[0] = route->http_target;
		route->target_count = 1;
		return 1;
	}
	route->target_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct abi_endpoint target = route->target[i];

		target.port_be = htons(HTTP_PORT);
		if (!http_is_loop(flow, &target))
			route->target[route->target_count++] = target;
	}
	return route->target_count;
}

static bool http_is_trusted(const struct flow *flow)
{
	const struct abi_listener *row = &flow->listening->row;

	for (unsigned i = 0; i < row->forwarder_count; i++) {
		if (addr_in_prefix(&flow->cold->client, &row->forwarder[i]))
			return true;
	}
	return false;
}

static void http_forward(struct flow *flow, const struct http_request *request)
{
	const struct abi_route *route = &flow->opening->route;
	uint8_t *head = flow->thread->message;
	struct http_forward how = {
		.client = &flow->cold->client,
		.tell = route->proxy == ABI_PROXY_OFF,
		.forwarded = route->forwarded,
		.trusted = http_is_trusted(flow),
	};
	size_t length =
		http_forward_request(request, &how, head, HELLO_MAX_LIMIT);

	if (!length) {
		http_refuse_head(flow, HTTP_HEAD_TOO_LARGE);
		return;
	}
	if (!http_keep(flow, request) || !steer_keep(flow, head, length)) {
		flow_outcome(flow, ABI_OUTCOME_LIMITED);
		flow_reset(flow, "limited");
		return;
	}
	flow->opening->owed = flow->scan.offset;
	steer_make_header(flow, NULL);
	connect_next(flow);
}

/* ---- the route ----------------------------------------------------------- */

static void http_take(struct flow *flow, const struct http_request *request)
{
	const struct abi_route *route = &flow->opening->route;

	if (route->action == ABI_ACTION_DROP) {
		refuse_silently(flow);
		return;
	}
	if (route->action == ABI_ACTION_REJECT || route->http == ABI_HTTP_OFF) {
		http_answer(flow, ABI_OUTCOME_REJECTED, 404, request);
		return;
	}
	if (route->http == ABI_HTTP_PROXY) {
		http_set_targets(flow);
		http_forward(flow, request);
	} else if (route->http == ABI_HTTP_ACME &&
		   http_is_challenge(request->path) && http_set_targets(flow)) {
		http_forward(flow, request);
	} else {
		http_redirect(flow, request);
	}
}

static void http_route(struct flow *flow, const struct http_request *request)
{
	struct route_query query = {.kind = ROUTE_QUERY_NO_NAME};
	struct name name;
	int error;

	if (request->host.length && request->host.data[0] != '[' &&
	    name_from_wire(request->host, &name) == NAME_OK) {
		query.kind = ROUTE_QUERY_NAME;
		query.name = &name;
	}
	if (!steer_keep(flow, flow->thread->buffer, 0)) {
		flow_outcome(flow, ABI_OUTCOME_LIMITED);
		flow_reset(flow, "limited");
		return;
	}
	error = steer_find(flow, &query, NULL);
	if (!error) {
		http_take(flow, request);
	} else if (error == -ENOENT) {
		http_answer(flow,
			    query.name ? ABI_OUTCOME_UNKNOWN_NAME
				       : ABI_OUTCOME_NO_SNI,
			    404, request);
	} else {
		flow->error = -error;
		http_answer(flow, ABI_OUTCOME_CONNECT_FAILED, 502, request);
	}
}

/* ---- read ---------------------------------------------------------------- */

static bool http_skip(struct flow *flow, size_t bytes)
{
	flow->skipped_bytes += (uint32_t)bytes;
	return flow_consume(flow, FLOW_CLIENT, bytes);
}

/* Return: true if it was there, and there may be more behind it. */
static bool http_read_header(struct flow *flow, struct span bytes)
{
	struct proxy_header header;

	switch (proxy_parse(bytes, &header)) {
	case PROXY_PARTIAL:
		return false;
	case PROXY_MALFORMED:
		refuse_with(flow, ABI_OUTCOME_MALFORMED, NULL, 0);
		return false;
	case PROXY_OK:
		break;
	}
	if (http_skip(flow, header.length))
		return flow_take_header(flow, &header);
	flow_reset(flow, "reset-by-client");
	return false;
}

static void http_read_head(struct flow *flow, struct span bytes)
{
	const struct store *store = &flow->thread->agent->store;
	struct http_request request;
	enum http_verdict verdict =
		http_scan(&flow->scan, bytes,
			  setting_get(store, ABI_SET_HTTP_HEADER_MAX_BYTES));

	if (verdict == HTTP_OK)
		verdict = http_request_parse(
			(struct span){bytes.data, flow->scan.offset}, &request);
	if (verdict == HTTP_OK) {
		http_route(flow, &request);
	} else if (verdict != HTTP_PARTIAL) {
		http_refuse_head(flow, verdict);
	} else if (flow->hung[FLOW_CLIENT]) {
		/* The rest will never come; what is unread would make a RST of
		 * our close. */
		refuse_with(flow, ABI_OUTCOME_CLIENT_GONE, NULL, 0);
	}
}

/* Return: true if what there was is consumed, so that more is to be read. */
static bool http_look(struct flow *flow, struct span bytes)
{
	if (flow->proxy_expected)
		return http_read_header(flow, bytes);
	if (bytes.data[0] == TLS_HANDSHAKE) {
		http_refuse_tls(flow, bytes);
		return false;
	}
	/* RFC 9112 section 2.2: clients that send an empty line first. */
	if (!flow->scan.offset && bytes.length >= 2 &&
	    !memcmp(bytes.data, "\r\n", 2))
		return http_skip(flow, 2);
	if (flow->scan.offset || bytes.length > 1 || bytes.data[0] != '\r')
		http_read_head(flow, bytes);
	return false;
}

void http_read(struct flow *flow)
{
	struct thread *thread = flow->thread;
	ssize_t got;

	/* It is left where it is, for another worker. */
	if (atomic_load(&thread->agent->leaving))
		return;
	do {
		do {
			got = recv(flow->end[FLOW_CLIENT].fd, thread->buffer,
				   AGENT_BUFFER_BYTES, MSG_PEEK);
		} while (got < 0 && errno == EINTR);
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0) {
			flow_outcome(flow, ABI_OUTCOME_CLIENT_GONE);
			flow_end(flow, got ? "reset-by-client" : "closed");
			return;
		}
	} while (http_look(flow, (struct span){thread->buffer, (size_t)got}));
	steer_hurry(flow);
}
