// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What goes: the preface, then the stream, as far and as fast as the plan
 * says. */
#include "traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* Up to which offset the plan allows to send now. */
static uint64_t sendable_to(struct loop *loop, struct flow *flow)
{
	const struct plan *plan = &flow->mine;
	uint64_t limit = plan->bytes;

	if (loop->options->answer && flow->greeting_left)
		return 0;
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

/* @begun_ns: before the call that sent it: whoever was to answer may have done
 * so before that call was over. */
static void count_sent(struct loop *loop, struct flow *flow, size_t sent,
		       int64_t begun_ns)
{
	size_t left = flow->out_length - flow->out_done;
	size_t preface = sent < left ? sent : left;

	flow->out_done += preface;
	flow->sent += sent - preface;
	loop->report.bytes_sent += sent - preface;
	flow->progress_ns = begun_ns;
	flow->asked_ns = begun_ns;
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
		flow_take_reset(loop, flow);
	else if (errno == EPIPE)
		/* The reader finds out how the connection has ended. */
		flow->readable = flow->hung_up = true;
	else if (errno != EAGAIN)
		flow_fail(loop, flow, FAIL_SYSTEM, "send: %s", strerror(errno));
}

bool flow_send(struct loop *loop, struct flow *flow)
{
	struct iovec pieces[2];
	struct msghdr message = {.msg_iov = pieces};
	size_t turn = 0;
	int64_t begun_ns;
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
		begun_ns = clock_ns();
		sent = sendmsg(flow->fd, &message, flags);
		if (sent < 0) {
			send_failed(loop, flow);
			break;
		}
		turn += (size_t)sent;
		count_sent(loop, flow, (size_t)sent, begun_ns);
	}
	return false;
}
