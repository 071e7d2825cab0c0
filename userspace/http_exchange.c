// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A request's body to its backend, and the response back.
 *
 * Both are followed by their framing: of what the client sends nothing goes on
 * that is not this request's, and with the response's end the exchange is
 * over. As in the relay bytes are looked at, sent, and taken then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "cleanup.h"
#include "crash.h"
#include "flow.h"
#include "http_forward.h"

/* Pieces of AGENT_BUFFER_BYTES that a direction moves in a turn. */
#define EXCHANGE_PIECES 16

enum exchange_status {
	EXCHANGE_MOVED, /* try again */
	EXCHANGE_WAIT,	/* until there is news */
	EXCHANGE_OVER	/* the flow is in another phase, or has ended */
};

static enum exchange_status exchange_reset(struct flow *flow, const char *how)
{
	flow_reset(flow, how);
	return EXCHANGE_OVER;
}

/* Nothing of the response has gone to the client, so it can be told. */
static enum exchange_status exchange_bad_gateway(struct flow *flow)
{
	http_answer(flow, ABI_OUTCOME_CONNECT_FAILED, 502, NULL);
	return EXCHANGE_OVER;
}

static void exchange_count(struct flow *flow, enum abi_direction direction,
			   size_t bytes)
{
	flow->hot->direction[direction].bytes += bytes;
	flow->hot->last_ns = flow->thread->now_ns;
}

/* A sink took less than it was given: it says when there is room. */
static enum exchange_status exchange_blocked(struct flow *flow,
					     enum flow_side sink)
{
	flow->blocked[!sink] = true;
	if (!flow->watches_out[sink] &&
	    thread_watch(flow->thread, &flow->end[sink],
			 EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, false))
		return exchange_reset(flow, "limited");
	flow->watches_out[sink] = true;
	return EXCHANGE_WAIT;
}

static ssize_t exchange_peek(struct flow *flow, enum flow_side side)
{
	ssize_t got;

	do {
		got = recv(flow->end[side].fd, flow->thread->buffer,
			   AGENT_BUFFER_BYTES, MSG_PEEK);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		flow->readable[side] = false;
	return got;
}

static ssize_t exchange_send(struct flow *flow, enum flow_side side,
			     const uint8_t *bytes, size_t length)
{
	ssize_t sent;

	do {
		sent = send(flow->end[side].fd, bytes, length, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		exchange_count(flow, (enum abi_direction) !side, (size_t)sent);
	return sent;
}

/* @sent of @taken bytes of a body went on, of @seen that are there. */
static enum exchange_status exchange_took(struct flow *flow,
					  enum flow_side source, size_t seen,
					  size_t taken, size_t sent)
{
	if (sent && !flow_consume(flow, source, sent))
		return exchange_reset(flow, "limited");
	if (sent < taken)
		return exchange_blocked(flow, !source);
	/* A short read has emptied the queue, see relay_copy(). */
	if (taken == seen && seen < AGENT_BUFFER_BYTES && !flow->hung[source])
		flow->readable[source] = false;
	return EXCHANGE_MOVED;
}

/* ---- the request's body -------------------------------------------------- */

static enum exchange_status request_malformed(struct flow *flow)
{
	if (flow->http->begun)
		return exchange_reset(flow, "malformed");
	http_answer(flow, ABI_OUTCOME_MALFORMED, 400, NULL);
	return EXCHANGE_OVER;
}

static enum exchange_status request_step(struct flow *flow)
{
	struct http *http = flow->http;
	struct http_body body = http->request;
	enum exchange_status status;
	size_t taken, unused;
	ssize_t seen, sent;

	if (http->cut_off || http_body_is_done(&body) ||
	    !flow->readable[FLOW_CLIENT] || flow->blocked[ABI_FROM_CLIENT])
		return EXCHANGE_WAIT;
	seen = exchange_peek(flow, FLOW_CLIENT);
	if (seen < 0 && errno == EAGAIN)
		return EXCHANGE_WAIT;
	/* Half a request must not look like a whole one. */
	if (seen <= 0)
		return exchange_reset(flow,
				      seen ? "reset-by-client" : "closed");
	if (http_body_walk(&body, flow->thread->buffer, (size_t)seen, &taken) ==
	    HTTP_BODY_MALFORMED)
		return request_malformed(flow);
	sent = exchange_send(flow, FLOW_BACKEND, flow->thread->buffer, taken);
	if (sent < 0 && errno != EAGAIN) {
		/* What it has answered before it broke is still to be read. */
		http->cut_off = true;
		flow->readable[FLOW_BACKEND] = true;
		return EXCHANGE_MOVED;
	}
	if (sent < 0)
		sent = 0;
	http_body_walk(&http->request, flow->thread->buffer, (size_t)sent,
		       &unused);
	status = exchange_took(flow, FLOW_CLIENT, (size_t)seen, taken,
			       (size_t)sent);
	if (status == EXCHANGE_MOVED && http_body_is_done(&http->request))
		http_asked(flow);
	return status;
}

/* ---- the response -------------------------------------------------------- */

static enum exchange_status response_over(struct flow *flow)
{
	refuse_with(flow, ABI_OUTCOME_ROUTED, NULL, 0);
	return EXCHANGE_OVER;
}

/* A head is on its way, whole: to what comes behind it. */
static enum exchange_status response_head_sent(struct flow *flow)
{
	struct http *http = flow->http;

	if (!http->upgraded)
		return EXCHANGE_MOVED;
	http_forget(flow);
	flow->readable[FLOW_CLIENT] = true;
	flow->readable[FLOW_BACKEND] = true;
	relay_start(flow);
	return EXCHANGE_OVER;
}

static enum exchange_status response_send_rest(struct flow *flow)
{
	struct http *http = flow->http;
	ssize_t sent =
		exchange_send(flow, FLOW_CLIENT, http->out + http->out_sent,
			      http->out_length - http->out_sent);

	if (sent < 0 && errno != EAGAIN)
		return exchange_reset(flow, "reset-by-client");
	if (sent > 0)
		http->out_sent += (size_t)sent;
	if (http->out_sent < http->out_length)
		return exchange_blocked(flow, FLOW_CLIENT);
	free(take_pointer(http->out));
	return response_head_sent(flow);
}

static enum exchange_status
response_send_head(struct flow *flow, const uint8_t *head, size_t length)
{
	struct http *http = flow->http;
	ssize_t sent =
		length ? exchange_send(flow, FLOW_CLIENT, head, length) : 0;

	if (sent < 0 && errno != EAGAIN)
		return exchange_reset(flow, "reset-by-client");
	if (sent < 0)
		sent = 0;
	crash_point("told-sent");
	if (!flow_consume(flow, FLOW_BACKEND, http->scan.offset))
		return exchange_reset(flow, "reset-by-backend");
	http->scan = (struct http_scan){0};
	if ((size_t)sent == length)
		return response_head_sent(flow);
	http->out_length = length - (size_t)sent;
	http->out_sent = 0;
	http->out = malloc(http->out_length);
	if (!http->out)
		return exchange_reset(flow, "limited");
	memcpy(http->out, head + sent, http->out_length);
	return exchange_blocked(flow, FLOW_CLIENT);
}

static void response_note(struct flow *flow,
			  const struct http_response *response)
{
	struct http *http = flow->http;

	http->begun = true;
	http->response = response->body;
	http->upgraded = response->status == 101;
	/* What is upgraded is counted when the relay starts. */
	if (!http->upgraded)
		flow->thread->counters->datapath[ABI_DATAPATH_RELAY]++;
}

static enum exchange_status response_take(struct flow *flow,
					  const struct http_response *response)
{
	struct http *http = flow->http;
	uint8_t *head = flow->thread->message;
	size_t length = http_forward_response(response, head, HELLO_MAX_LIMIT);

	if (!length || (response->status == 101 && !http->websocket))
		return exchange_bad_gateway(flow);
	if (response->status >= 200 || response->status == 101)
		response_note(flow, response);
	else if (http->old) /* RFC 9110 section 15.2: it knows no 1xx */
		length = 0;
	http_told(flow, response->status, length);
	return response_send_head(flow, head, length);
}

static enum exchange_status response_head(struct flow *flow)
{
	struct http *http = flow->http;
	struct http_response response;
	ssize_t got = exchange_peek(flow, FLOW_BACKEND);
	struct span bytes = {flow->thread->buffer, got > 0 ? (size_t)got : 0};
	enum http_verdict verdict;

	if (got < 0 && errno == EAGAIN)
		return EXCHANGE_WAIT;
	if (got <= 0)
		return exchange_bad_gateway(flow);
	verdict = http_scan(&http->scan, bytes, HTTP_HEAD_LIMIT);
	if (verdict == HTTP_PARTIAL && !flow->hung[FLOW_BACKEND]) {
		flow->readable[FLOW_BACKEND] = false;
		return EXCHANGE_WAIT;
	}
	bytes.length = http->scan.offset;
	if (verdict != HTTP_OK ||
	    !http_response_parse(bytes, http->is_head, &response))
		return exchange_bad_gateway(flow);
	return response_take(flow, &response);
}

static enum exchange_status response_body(struct flow *flow)
{
	struct http *http = flow->http;
	struct http_body body = http->response;
	ssize_t seen = exchange_peek(flow, FLOW_BACKEND), sent;
	size_t taken, unused;

	if (seen < 0 && errno == EAGAIN)
		return EXCHANGE_WAIT;
	if (!seen && body.framing == HTTP_BODY_UNTIL_CLOSE)
		return response_over(flow);
	/* A response that was cut must not look like a whole one. */
	if (seen <= 0 ||
	    http_body_walk(&body, flow->thread->buffer, (size_t)seen, &taken) ==
		    HTTP_BODY_MALFORMED)
		return exchange_reset(flow, "reset-by-backend");
	sent = exchange_send(flow, FLOW_CLIENT, flow->thread->buffer, taken);
	if (sent < 0 && errno != EAGAIN)
		return exchange_reset(flow, "reset-by-client");
	if (sent < 0)
		sent = 0;
	http_body_walk(&http->response, flow->thread->buffer, (size_t)sent,
		       &unused);
	return exchange_took(flow, FLOW_BACKEND, (size_t)seen, taken,
			     (size_t)sent);
}

static enum exchange_status response_step(struct flow *flow)
{
	struct http *http = flow->http;

	if (flow->blocked[ABI_FROM_BACKEND])
		return EXCHANGE_WAIT;
	if (http->out)
		return response_send_rest(flow);
	if (http->begun && http_body_is_done(&http->response))
		return response_over(flow);
	if (!flow->readable[FLOW_BACKEND])
		return EXCHANGE_WAIT;
	return http->begun ? response_body(flow) : response_head(flow);
}

/* ---- both ---------------------------------------------------------------- */

void http_pump(struct flow *flow)
{
	for (int i = 0; i < EXCHANGE_PIECES; i++) {
		enum exchange_status request = request_step(flow), response;

		if (request == EXCHANGE_OVER)
			return;
		response = response_step(flow);
		if (response == EXCHANGE_OVER)
			return;
		if (request == EXCHANGE_WAIT && response == EXCHANGE_WAIT)
			return;
	}
	flow_again(flow);
}

void http_ready(struct flow *flow, enum flow_side side, uint32_t events)
{
	if (events & EPOLLERR && side == FLOW_CLIENT) {
		flow_reset(flow, "reset-by-client");
		return;
	}
	/* Read what the backend has answered before its RST. */
	if (events & EPOLLERR) {
		flow->http->cut_off = true;
		flow->readable[FLOW_BACKEND] = true;
	}
	http_pump(flow);
}

void http_begin(struct flow *flow)
{
	struct abi_flow_cold *cold;

	relay_choose(flow);
	flow_forget_opening(flow);
	cold = flow_record_begin(flow);
	cold->phase = ABI_PHASE_EXCHANGE;
	cold->datapath = ABI_DATAPATH_RELAY;
	flow_record_end(flow);
	/* What was looked at with the head is still there. */
	flow->readable[FLOW_CLIENT] = true;
	http_pump(flow);
}

void http_expired(struct flow *flow)
{
	if (flow->http->begun) {
		flow_reset(flow, "idle");
		return;
	}
	flow->error = ETIMEDOUT;
	http_refuse(flow, ABI_OUTCOME_CONNECT_FAILED);
}
