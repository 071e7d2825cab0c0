// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Failures that are told one by one. */
#define TOLD_MAX 10

int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void flow_greet(struct flow *flow, const struct options *options)
{
	size_t run;

	if (!options->greeting)
		return;
	flow->out = malloc(options->greeting);
	if (!flow->out)
		abort();
	memcpy(flow->out, pattern_at(pattern_key(0, 0, GREETING), 0, &run),
	       options->greeting);
	flow->out_length = options->greeting;
}

static void flow_over(struct flow *flow)
{
	flow->state = FLOW_OVER;
}

static void flow_reset(struct flow *flow)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(flow->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	flow_over(flow);
}

void flow_fail(struct loop *loop, struct flow *flow, enum failure failure,
	       const char *format, ...)
{
	va_list arguments;

	if (report_failed(&loop->report) < TOLD_MAX) {
		fprintf(stderr, "traffic: %s %" PRIx64 "/%" PRIu64 ": ",
			loop->options->client ? "client" : "server",
			loop->options->seed, flow->id);
		va_start(arguments, format);
		vfprintf(stderr, format, arguments);
		va_end(arguments);
		fprintf(stderr,
			" (sent %" PRIu64 " of %" PRIu64 ", received %" PRIu64
			" of %" PRIu64 ")\n",
			flow->sent, flow->mine.bytes, flow->received,
			flow->theirs.bytes);
	}
	loop->report.failures[failure]++;
	flow_reset(flow);
}

static void flow_finish(struct loop *loop, struct flow *flow)
{
	loop->report.completed++;
	flow_over(flow);
}

void flow_cut(struct loop *loop, struct flow *flow)
{
	loop->report.completed++;
	flow_reset(flow);
}

static void flow_empty(struct loop *loop, struct flow *flow)
{
	loop->report.empty++;
	flow_over(flow);
}

/* ---- ends --------------------------------------------------------------- */

void flow_take_end(struct loop *loop, struct flow *flow)
{
	flow->readable = false;
	flow->end_seen = true;
	if (flow->state == FLOW_PREFACE && !flow->in_length)
		flow_empty(loop, flow);
	else if (flow->state == FLOW_PREFACE)
		flow_fail(loop, flow, FAIL_HELLO, "it ends inside the hello");
	else if (flow->theirs.end == END_CUT)
		flow_cut(loop, flow);
	else if (flow->theirs.end == END_RESET)
		flow_fail(loop, flow, FAIL_CLEAN_END,
			  "a clean end where the other side has reset");
	else if (flow->received != flow->theirs.bytes || flow->greeting_left)
		flow_fail(loop, flow, FAIL_SHORT, "ended early");
}

void flow_take_reset(struct loop *loop, struct flow *flow)
{
	if (flow->state == FLOW_PREFACE && !flow->in_length)
		flow_empty(loop, flow);
	else if (flow->state == FLOW_STREAM &&
		 (flow->theirs.end == END_RESET || flow->theirs.end == END_CUT))
		flow_finish(loop, flow);
	else
		flow_fail(loop, flow, FAIL_RESET, "reset by the other side");
}

static void end_as_planned(struct loop *loop, struct flow *flow)
{
	bool due = false;

	if (flow->state != FLOW_STREAM || flow->out ||
	    flow->sent < flow->mine.bytes)
		return;
	switch ((enum end)flow->mine.end) {
	case END_FIN:
		due = true;
		break;
	case END_FIN_LAST:
		due = flow->end_seen;
		break;
	case END_FIN_DONE:
		due = flow->received == flow->theirs.bytes;
		break;
	case END_RESET:
		/* Before a byte has come back, the other side may not even
		 * know of the connection. */
		if (flow->received || !loop->options->client) {
			loop->report.completed++;
			flow_reset(flow);
			return;
		}
		break;
	case END_CUT:
		break;
	}
	if (due && !flow->fin_sent) {
		shutdown(flow->fd, SHUT_WR);
		flow->fin_sent = true;
	}
	if (flow->fin_sent && flow->end_seen)
		flow_finish(loop, flow);
}

/* ---- both --------------------------------------------------------------- */

static void connected(struct loop *loop, struct flow *flow)
{
	const struct options *options = loop->options;
	static uint8_t preface[PREFACE_MAX];
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	struct pact pact;
	const char *name = "";
	int error = 0;

	getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &error,
		   &(socklen_t){sizeof(error)});
	if (error) {
		flow_fail(loop, flow, FAIL_CONNECT, "connect: %s",
			  strerror(error));
		return;
	}
	shape_choose(options, flow->id, &pact, &flow->immediate, &flow->hold);
	flow->mine = pact.client;
	flow->theirs = pact.server;
	getsockname(flow->fd, (struct sockaddr *)&address, &length);
	place_from_sockaddr(&address, &pact.source);
	length = sizeof(address);
	getpeername(flow->fd, (struct sockaddr *)&address, &length);
	place_from_sockaddr(&address, &pact.destination);
	if (options->proxy_version) {
		pact.source = options->proxy_source;
		pact.destination = options->proxy_destination;
	}
	if (options->name_count)
		name = options->names[flow->id % options->name_count];
	flow->out_length = preface_build(options, &pact, name, preface);
	flow->out = malloc(flow->out_length);
	if (!flow->out)
		abort();
	memcpy(flow->out, preface, flow->out_length);
	flow->state = FLOW_STREAM;
}

void flow_step(struct loop *loop, struct flow *flow)
{
	bool more;

	if (flow->state == FLOW_CONNECT) {
		if (!flow->writable)
			return;
		connected(loop, flow);
		if (loop->stopped && flow->state == FLOW_STREAM &&
		    flow->mine.end == END_CUT) {
			flow_cut(loop, flow);
			return;
		}
	}
	more = flow_receive(loop, flow);
	if (flow->state != FLOW_OVER)
		more |= flow_send(loop, flow);
	if (flow->state != FLOW_OVER)
		end_as_planned(loop, flow);
	/* A reset may have to be read after a send has failed. */
	if (flow->state != FLOW_OVER && (more || flow->readable) &&
	    !flow->parked && !flow->stall_end_ns)
		loop_queue(loop, flow);
}
