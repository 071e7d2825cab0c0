// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes: first the preface, then a stream of which every byte is known. */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_BYTES (256u << 10)
/* How far a shift of the stream is looked for, and by how many bytes it is
 * recognised. */
#define SHIFT_MAX 65536
#define SHIFT_SAMPLE 16

static uint8_t scratch[SCRATCH_BYTES];

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
	uint64_t before = flow->received, left;
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
	left = flow->theirs.bytes - before;
	verify(loop, flow, data, length < left ? length : (size_t)left);
	if (length > left && flow->state != FLOW_OVER)
		flow_fail(loop, flow, FAIL_LONG, "%zu bytes too many",
			  length - (size_t)left);
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

static void begin_stream(const struct options *options, struct flow *flow,
			 const struct pact *pact)
{
	if (options->answer)
		flow_greet(flow, options);
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
	begin_stream(loop->options, flow, &pact);
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

bool flow_receive(struct loop *loop, struct flow *flow)
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
				flow_take_reset(loop, flow);
			else if (errno != EAGAIN)
				flow_fail(loop, flow, FAIL_SYSTEM, "recv: %s",
					  strerror(errno));
			break;
		}
		if (!length) {
			flow_take_end(loop, flow);
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
