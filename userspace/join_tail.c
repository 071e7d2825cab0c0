// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tail loss probes (RFC 8985 section 7) for backends that do not know how far
 * the client is: the last segment of a first flight that nobody has answered is
 * sent once more. An agent that dies before leaves it to the backend, which
 * sends it again after a second or so. */
#include <errno.h>
#include <stdlib.h>
#include <sys/param.h>
#include "flow.h"
#include "splice.h"

/* Of a thread at the same time; more of them are left to their backends. */
#define TAILS_MAX 64
#define MS_NS 1000000ULL
/* Two round trips, and what a client may wait before he acknowledges a segment
 * that comes alone: PTO in RFC 8985 section 7.2. */
#define TAIL_TRIPS 2U
#define TAIL_SLACK_MS 2
#define TAIL_ALONE_MS 200

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

void join_tail_keep(struct flow *flow, const struct abi_tail *segment)
{
	struct thread *thread = flow->thread;
	const struct abi_splice *slot =
		&thread->agent->splice->slots[segment->splice];
	uint64_t wait_ms = TAIL_TRIPS * slot->far_ms + TAIL_SLACK_MS;
	unsigned i = 0;

	while (i < thread->tail_count &&
	       thread->tails[i].segment.splice != segment->splice)
		i++;
	if (i == TAILS_MAX)
		return;
	if (segment->seq == slot->way[ABI_FROM_BACKEND].acked)
		wait_ms += TAIL_ALONE_MS;
	thread->tail_count = MAX(thread->tail_count, i + 1);
	thread->tails[i] = (struct tail){
		segment->sent_ns + wait_ms * MS_NS, flow->cold->id, *segment};
}

uint64_t join_tail_due_ns(const struct thread *thread)
{
	uint64_t due = 0;

	for (unsigned i = 0; i < thread->tail_count; i++) {
		if (!due || thread->tails[i].due_ns < due)
			due = thread->tails[i].due_ns;
	}
	return due;
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

void join_tail_send(struct thread *thread)
{
	for (unsigned i = 0; i < thread->tail_count;) {
		struct tail *tail = &thread->tails[i];

		if (tail->due_ns > thread->now_ns) {
			i++;
			continue;
		}
		if (tail_is_missing(thread, tail))
			splice_send_tail(thread->agent->splice, &tail->segment);
		*tail = thread->tails[--thread->tail_count];
	}
}
