// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tail loss probes (RFC 8985 section 7) for backends that do not know how far
 * the client is: the last segment of a first flight that nobody has answered is
 * sent once more. An agent that dies before leaves it to the backend, which
 * sends it again after a second or so. */
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include "flow.h"
#include "splice.h"

/* Of a thread at the same time; more of them are left to their backends. */
#define TAILS_MAX 64
#define MS_NS 1000000ULL
/* The PTO of RFC 8985 section 7.2: two round trips, and what a client may wait
 * before he acknowledges a segment that comes alone. Linux adds two ticks. */
#define TAIL_TRIPS 2U
#define TAIL_SLACK_MS 2
#define TAIL_ALONE_MS 200
/* Then the backend's own timer is sooner. */
#define TAIL_WAIT_MAX_MS 1000

/**
 * struct tail - a segment, until it is time to send it once more.
 * @flow_id: whose it is: its slot may be another flow's by then.
 */
struct tail {
	uint64_t due_ns;
	uint64_t flow_id;
	struct abi_tail segment;
};

int join_tail_thread(struct thread *thread)
{
	thread->tails = calloc(TAILS_MAX, sizeof(*thread->tails));
	return thread->tails ? 0 : -ENOMEM;
}

static bool tail_is_missing(const struct thread *thread,
			    const struct tail *tail)
{
	const struct splice *splice = thread->agent->splice;
	uint32_t slot = tail->segment.splice;
	const struct flow *flow =
		&thread->agent->flows[splice->slots[slot].flow];

	return flow->thread == thread && flow->splice == slot + 1 &&
	       flow->cold->id == tail->flow_id &&
	       flow->cold->phase == ABI_PHASE_SPLICED &&
	       splice_state(splice, slot) == ABI_SPLICE_SPLICED &&
	       splice->slots[slot].far_ms;
}

/* Return: the one of the same splice, or one that is not needed any more, or
 * another; NULL: there is none. */
static struct tail *tail_room(struct thread *thread, uint32_t splice)
{
	for (unsigned i = 0; i < thread->tail_count; i++) {
		if (thread->tails[i].segment.splice == splice)
			return &thread->tails[i];
	}
	for (unsigned i = 0; i < thread->tail_count; i++) {
		if (!tail_is_missing(thread, &thread->tails[i]))
			return &thread->tails[i];
	}
	return thread->tail_count < TAILS_MAX
		       ? &thread->tails[thread->tail_count++]
		       : NULL;
}

static void tail_await(struct thread *thread, uint64_t due_ns)
{
	if (!thread->tail_ns || due_ns < thread->tail_ns)
		thread->tail_ns = due_ns;
}

void join_tail_keep(struct flow *flow, const struct abi_tail *segment)
{
	struct thread *thread = flow->thread;
	const struct abi_splice *slot =
		&thread->agent->splice->slots[segment->splice];
	uint64_t wait_ms = TAIL_TRIPS * slot->far_ms + TAIL_SLACK_MS;
	struct tcphdr tcp;
	struct tail *tail;

	memcpy(&tcp, segment->header, sizeof(tcp));
	if (!segment->before &&
	    be32toh(tcp.seq) == slot->way[ABI_FROM_BACKEND].acked)
		wait_ms += TAIL_ALONE_MS;
	/* It has been answered meanwhile; or it is another flow's, which had
	 * this slot before. */
	if (!slot->far_ms || wait_ms > TAIL_WAIT_MAX_MS ||
	    segment->sent_ns < flow->cold->accepted_ns)
		return;
	tail = tail_room(thread, segment->splice);
	if (!tail)
		return;
	tail->due_ns = segment->sent_ns + wait_ms * MS_NS;
	tail->flow_id = flow->cold->id;
	tail->segment = *segment;
	tail_await(thread, tail->due_ns);
}

void join_tail_send(struct thread *thread)
{
	if (!thread->tail_ns || thread->now_ns < thread->tail_ns)
		return;
	thread->tail_ns = 0;
	for (unsigned i = 0; i < thread->tail_count;) {
		struct tail *tail = &thread->tails[i];

		if (tail->due_ns > thread->now_ns) {
			tail_await(thread, tail->due_ns);
			i++;
			continue;
		}
		if (tail_is_missing(thread, tail))
			splice_send_tail(thread->agent->splice, &tail->segment);
		*tail = thread->tails[--thread->tail_count];
	}
}
