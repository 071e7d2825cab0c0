// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whether both sides of spliced flows are still there: nobody else asks them,
 * since they have no sockets here. */
#include <sys/param.h>
#include "flow.h"
#include "setting.h"
#include "splice.h"

#define MS_NS 1000000ULL
/* How often flows are looked at: so often in the time of a keepalive. */
#define KEEP_LOOKS 8
#define KEEP_LOOK_MIN_MS 100
#define KEEP_LOOK_MAX_MS 2000

static void keep_queue(struct thread *thread, enum deadline queue,
		       uint64_t keepalive_ns)
{
	struct flow *flow = thread->deadlines.first[queue], *next;

	for (; flow; flow = next) {
		unsigned gone;

		next = flow->next;
		if (flow->cold->phase != ABI_PHASE_SPLICED)
			continue;
		gone = splice_keep(thread->agent->splice, flow->splice - 1,
				   flow->hot, thread->now_ns, keepalive_ns);
		if (gone)
			flow_end(flow, gone - 1 == ABI_FROM_CLIENT
					       ? "reset-by-client"
					       : "reset-by-backend");
	}
}

void join_keep(struct thread *thread)
{
	uint64_t keepalive_ms =
		setting_get(&thread->agent->store, ABI_SET_KEEPALIVE_MS);
	uint64_t look_ms = keepalive_ms / KEEP_LOOKS;

	if (!thread->agent->splice || !keepalive_ms ||
	    thread->now_ns < thread->keep_ns)
		return;
	look_ms = MAX(MIN(look_ms, KEEP_LOOK_MAX_MS), KEEP_LOOK_MIN_MS);
	thread->keep_ns = thread->now_ns + look_ms * MS_NS;
	keep_queue(thread, DEADLINE_IDLE, keepalive_ms * MS_NS);
	keep_queue(thread, DEADLINE_HALF_CLOSE, keepalive_ms * MS_NS);
}
