// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Bytes a flow moves each way before others have their turn. */
#define TURN_BYTES (1u << 20)
#define SCRATCH_BYTES (256u << 10)
/* Failures that are told one by one. */
#define TOLD_MAX 10
/* How far a shift of the stream is looked for, and by how many bytes it is
 * recognised. */
#define SHIFT_MAX 65536
#define SHIFT_SAMPLE 16

static uint8_t scratch[SCRATCH_BYTES];

int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
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

/* ---- receiving ---------------------------------------------------------- */

static bool is_pattern(uint64_t key, uint64_t offset, const uint8_t *data,
		       size_t length)
{
	const uint8_t *expected;
	size_t run;

	while (length) {
		expected = pattern_at(key, offset, &run);
		if (run > length)
			run = length;
		if (memcmp(data, expected, run) != 0)
			return false;
		offset += run;
		data += run;
		length -= run;
	}
	return true;
}

static void fail_corrupt(struct loop *loop, struct flow *flow, uint64_t offset,
			 const uint8_t *data, size_t length)
{
	for (int64_t shift = -SHIFT_MAX; shift <= SHIFT_MAX; shift++) {
		if (length < SHIFT_SAMPLE || (int64_t)offset + shift < 0 ||
		    !is_pattern(flow->receive_key, offset + (uint64_t)shift,
				data, SHIFT_SAMPLE))
			continue;
		flow_fail(loop, flow, FAIL_CORRUPT,
			  "at offset %" PRIu64 " come the bytes of %" PRIu64
			  ": %" PRId64 " %s",
			  offset, offset + (uint64_t)shift,
			  shift > 0 ? shift : -shift,
			  shift > 0 ? "lost" : "doubled");
		return;
	}
	flow_fail(loop, flow, FAIL_CORRUPT,
		  "byte 0x%02x at offset %" PRIu64 " is of no known place",
		  *data, offset);
}

static void verify(struct loop *loop, struct flow *flow, const uint8_t *data,
		   size_t length)
{
	const uint8_t *expected;
	size_t run, same = 0;

	while (length) {
		expected = pattern_at(flow->receive_key, flow->received, &run);
		if (run > length)
			run = length;
		if (memcmp(data, expected, run) != 0) {
			while (data[same] == expected[same])
				same++;
			fail_corrupt(loop, flow, flow->received + same,
				     data + same, length - same);
			return;
		}
		flow->received += run;
		data += run;
		length -= run;
	}
}

static void measure(struct loop *loop, struct flow *flow, uint64_t before)
{
	uint32_t message = flow->mine.message;

	if (!before)
		histogram_add(&loop->report.first_byte,
			      clock_ns() - flow->started_ns);
	if (flow->mine.start == START_ASK &&
	    before / message != flow->received / message)
		histogram_add(&loop->report.echo, clock_ns() - flow->asked_ns);
}

/* What has come behind the preface. */
static void take_stream(struct loop *loop, struct flow *flow,
			const uint8_t *data, size_t length)
{
	uint64_t before = flow->received;
	size_t greeting = flow->greeting_left;

	if (greeting) {
		uint64_t offset = loop->options->greeting - greeting;

		if (greeting > length)
			greeting = length;
		if (!is_pattern(pattern_key(0, 0, GREETING), offset, data,
				greeting)) {
			flow_fail(loop, flow, FAIL_CORRUPT,
				  "the server's greeting is wrong");
			return;
		}
		flow->greeting_left -= (uint32_t)greeting;
		data += greeting;
		length -= greeting;
		if (!length)
			return;
	}
	if (length > flow->theirs.bytes - before) {
		flow_fail(loop, flow, FAIL_LONG, "%zu bytes too many",
			  length - (size_t)(flow->theirs.bytes - before));
		return;
	}
	verify(loop, flow, data, length);
	loop->report.bytes_received += flow->received - before;
	if (loop->options->client && flow->state != FLOW_OVER)
		measure(loop, flow, before);
}

static bool name_expected(const struct options *options, const char *name)
{
	for (unsigned i = 0; i < options->name_count; i++) {
		if (!strcmp(options->names[i], name))
			return true;
	}
	return !options->name_count;
}

static bool proxy_right(struct loop *loop, struct flow *flow,
			const struct proxy_claim *claim,
			const struct pact *pact, const char *name)
{
	char text[INET6_ADDRSTRLEN];

	if (!loop->options->proxy_version)
		return true;
	if (!loop->options->any_source &&
	    (!place_equal(&claim->source, &pact->source) ||
	     !place_equal(&claim->destination, &pact->destination))) {
		inet_ntop(AF_INET6, &claim->source.address, text, sizeof(text));
		flow_fail(loop, flow, FAIL_PROXY,
			  "PROXY says %s port %u, or another destination", text,
			  claim->source.port);
		return false;
	}
	if (claim->authority &&
	    (claim->authority_length != strlen(name) ||
	     memcmp(claim->authority, name, strlen(name)) != 0)) {
		flow_fail(loop, flow, FAIL_PROXY,
			  "AUTHORITY is \"%.*s\", the hello says \"%s\"",
			  (int)claim->authority_length,
			  (const char *)claim->authority, name);
		return false;
	}
	return true;
}

static void begin_stream(struct flow *flow, const struct pact *pact)
{
	flow->state = FLOW_STREAM;
	flow->id = pact->id;
	flow->random = pattern_mix(pact->id, pact->seed);
	flow->mine = pact->server;
	flow->theirs = pact->client;
	flow->send_key = pattern_key(pact->seed, pact->id, TO_CLIENT);
	flow->receive_key = pattern_key(pact->seed, pact->id, TO_SERVER);
}

/* Return: bytes of the preface, 0: not whole yet, or the flow has failed. */
static size_t parse_preface(struct loop *loop, struct flow *flow,
			    const uint8_t *data, size_t length)
{
	struct proxy_claim claim = {0};
	struct pact pact = {0};
	char name[256];
	const char *fault;
	ptrdiff_t proxy = 0, hello;

	if (loop->options->proxy_version) {
		proxy = proxy_check(loop->options->proxy_version, data, length,
				    &claim, &fault);
		if (proxy < 0)
			flow_fail(loop, flow, FAIL_PROXY, "%s", fault);
		if (proxy <= 0)
			return 0;
	}
	hello = hello_check(data + proxy, length - (size_t)proxy, &pact, name,
			    &fault);
	if (hello < 0)
		flow_fail(loop, flow, FAIL_HELLO, "the hello: %s", fault);
	if (hello <= 0)
		return 0;
	begin_stream(flow, &pact);
	if (!proxy_right(loop, flow, &claim, &pact, name))
		return 0;
	if (!name_expected(loop->options, name)) {
		flow_fail(loop, flow, FAIL_NAME, "a connection for \"%s\"",
			  name);
		return 0;
	}
	return (size_t)(proxy + hello);
}

static void take_preface(struct loop *loop, struct flow *flow,
			 const uint8_t *data, size_t length)
{
	size_t preface;

	if (flow->in_length + length > PREFACE_MAX + SCRATCH_BYTES) {
		flow_fail(loop, flow, FAIL_HELLO, "a hello without end");
		return;
	}
	if (flow->in_length) {
		memcpy(flow->in + flow->in_length, data, length);
		data = flow->in;
		length += flow->in_length;
	}
	preface = parse_preface(loop, flow, data, length);
	if (flow->state == FLOW_OVER)
		return;
	if (preface) {
		if (length > preface)
			take_stream(loop, flow, data + preface,
				    length - preface);
		free(flow->in);
		flow->in = NULL;
		flow->in_length = 0;
		return;
	}
	if (!flow->in) {
		flow->in = malloc(PREFACE_MAX + SCRATCH_BYTES);
		if (!flow->in)
			abort();
		memcpy(flow->in, data, length);
	}
	flow->in_length = length;
}

/* The other side has ended its stream in order. */
static void take_end(struct loop *loop, struct flow *flow)
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

static void take_reset(struct loop *loop, struct flow *flow)
{
	if (flow->state == FLOW_PREFACE && !flow->in_length)
		flow_empty(loop, flow);
	else if (flow->state == FLOW_STREAM &&
		 (flow->theirs.end == END_RESET || flow->theirs.end == END_CUT))
		flow_finish(loop, flow);
	else
		flow_fail(loop, flow, FAIL_RESET, "reset by the other side");
}

/* Return: how many bytes may be read now; 0: none, the flow stalls. */
static size_t readable_bytes(struct loop *loop, struct flow *flow)
{
	uint64_t left;

	if (flow->state != FLOW_STREAM || !flow->mine.stall_ms ||
	    flow->stall_over)
		return SCRATCH_BYTES;
	if (flow->stall_end_ns || flow->parked)
		return 0;
	left = flow->mine.stall_at > flow->received
		       ? flow->mine.stall_at - flow->received
		       : 0;
	if (left)
		return left < SCRATCH_BYTES ? (size_t)left : SCRATCH_BYTES;
	if (flow->mine.stall_ms == UNTIL_RELEASE) {
		loop_park(loop, flow);
	} else {
		flow->stall_end_ns =
			clock_ns() + flow->mine.stall_ms * NS_PER_MS;
		loop_wake_at(loop, flow->stall_end_ns);
	}
	return 0;
}

/* Return: whether there is more to do in the next turn. */
static bool flow_receive(struct loop *loop, struct flow *flow)
{
	size_t turn = 0, room;
	ssize_t length;

	while (flow->readable && flow->state != FLOW_OVER &&
	       turn < TURN_BYTES) {
		room = readable_bytes(loop, flow);
		if (!room)
			return false;
		length = recv(flow->fd, scratch, room, 0);
		if (length < 0) {
			flow->readable = false;
			if (errno == ECONNRESET)
				take_reset(loop, flow);
			else if (errno != EAGAIN)
				flow_fail(loop, flow, FAIL_SYSTEM, "recv: %s",
					  strerror(errno));
			break;
		}
		if (!length) {
			take_end(loop, flow);
			break;
		}
		/* All is read, unless an end waits behind it: of that the
		 * edge may have come already. */
		if ((size_t)length < room && !flow->hung_up)
			flow->readable = false;
		turn += (size_t)length;
		flow->progress_ns = clock_ns();
		if (flow->state == FLOW_PREFACE)
			take_preface(loop, flow, scratch, (size_t)length);
		else
			take_stream(loop, flow, scratch, (size_t)length);
	}
	return flow->readable;
}

/* ---- sending ------------------------------------------------------------ */

/* Up to which offset the plan allows to send now. */
static uint64_t sendable_to(struct loop *loop, struct flow *flow)
{
	const struct plan *plan = &flow->mine;
	uint64_t limit = plan->bytes;

	switch ((enum start)plan->start) {
	case START_AT_ONCE:
		break;
	case START_AFTER_END:
		limit = flow->end_seen ? limit : 0;
		break;
	case START_ASK:
		if (flow->hold && !loop->released) {
			if (flow->received >= plan->message && !flow->parked)
				loop_park(loop, flow);
			return plan->message;
		}
		limit = (flow->received / plan->message + 1) * plan->message;
		break;
	case START_ANSWER:
		limit = flow->received;
		break;
	}
	return limit < plan->bytes ? limit : plan->bytes;
}

/* Wait before a segment where the plan says so. Return: not yet. */
static bool pace(struct loop *loop, struct flow *flow, uint32_t pace_us)
{
	if (!pace_us || flow->paced)
		return false;
	flow->random = pattern_mix(flow->random, 1);
	flow->send_at_ns =
		clock_ns() + (int64_t)(flow->random % pace_us) * NS_PER_US;
	flow->paced = true;
	loop_wake_at(loop, flow->send_at_ns);
	return true;
}

/* Return: pieces, 0: nothing may be sent now. */
static int next_segment(struct loop *loop, struct flow *flow,
			struct iovec *pieces)
{
	size_t left = flow->out_length - flow->out_done, preface = left, run;
	uint32_t segment = loop->options->client ? loop->options->segment : 0;
	uint64_t limit;
	int count = 0;

	if (left) {
		if (segment && segment < preface)
			preface = segment;
		pieces[count++] =
			(struct iovec){flow->out + flow->out_done, preface};
		if (segment && pace(loop, flow, loop->options->segment_pace_us))
			return 0;
		if (preface < left || !flow->immediate)
			return count;
	}
	limit = flow->state == FLOW_STREAM ? sendable_to(loop, flow) : 0;
	if (limit <= flow->sent)
		return count;
	if (!left && pace(loop, flow, flow->mine.pace_us))
		return 0;
	pieces[count].iov_base =
		(void *)(uintptr_t)pattern_at(flow->send_key, flow->sent, &run);
	if (run > limit - flow->sent)
		run = (size_t)(limit - flow->sent);
	if (flow->mine.chunk && run > flow->mine.chunk)
		run = flow->mine.chunk;
	pieces[count++].iov_len = run;
	return count;
}

static void count_sent(struct loop *loop, struct flow *flow, size_t sent)
{
	size_t left = flow->out_length - flow->out_done;
	size_t preface = sent < left ? sent : left;
	int64_t now = clock_ns();

	flow->out_done += preface;
	flow->sent += sent - preface;
	loop->report.bytes_sent += sent - preface;
	flow->progress_ns = now;
	flow->asked_ns = now;
	flow->paced = false;
	if (flow->out && flow->out_done == flow->out_length) {
		free(flow->out);
		flow->out = NULL;
	}
}

static void send_failed(struct loop *loop, struct flow *flow)
{
	flow->writable = false;
	if (errno == ECONNRESET)
		take_reset(loop, flow);
	else if (errno == EPIPE)
		/* The reader finds out how the connection has ended. */
		flow->readable = flow->hung_up = true;
	else if (errno != EAGAIN)
		flow_fail(loop, flow, FAIL_SYSTEM, "send: %s", strerror(errno));
}

static bool flow_send(struct loop *loop, struct flow *flow)
{
	struct iovec pieces[2];
	struct msghdr message = {.msg_iov = pieces};
	size_t turn = 0;
	ssize_t sent;
	int flags;

	while (flow->writable && !flow->send_at_ns &&
	       flow->state != FLOW_OVER) {
		if (turn >= TURN_BYTES)
			return true;
		message.msg_iovlen = (size_t)next_segment(loop, flow, pieces);
		if (!message.msg_iovlen)
			break;
		/* The kernel must not put two of our segments into one. */
		flags = flow->mine.chunk ||
					(flow->out && loop->options->segment)
				? MSG_NOSIGNAL | MSG_EOR
				: MSG_NOSIGNAL;
		sent = sendmsg(flow->fd, &message, flags);
		if (sent < 0) {
			send_failed(loop, flow);
			break;
		}
		turn += (size_t)sent;
		count_sent(loop, flow, (size_t)sent);
	}
	return false;
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
