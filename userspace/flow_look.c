// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a socket has received: look at it, and take it. */
#include <errno.h>
#include <sys/socket.h>
#include "flow.h"

/* For each segment that it shows, the kernel walks the queue from its start:
 * many small ones cost the square of their number. So a look that took longer
 * than its bytes explain is followed by a quarter of it, and one that was full,
 * and did not, by four times as much. */
#define FLOW_LOOK_STEP 4
#define FLOW_LOOK_LEAST 256
#define FLOW_LOOK_BYTE_NS 50

static uint32_t flow_next_look(uint32_t most, size_t seen, uint64_t took_ns)
{
	bool is_slow = took_ns > seen * FLOW_LOOK_BYTE_NS;

	if (!is_slow && seen == most)
		return most < AGENT_BUFFER_BYTES / FLOW_LOOK_STEP
			       ? most * FLOW_LOOK_STEP
			       : AGENT_BUFFER_BYTES;
	if (is_slow && seen > FLOW_LOOK_LEAST)
		return seen / FLOW_LOOK_STEP > FLOW_LOOK_LEAST
			       ? (uint32_t)seen / FLOW_LOOK_STEP
			       : FLOW_LOOK_LEAST;
	return most;
}

ssize_t flow_look(struct flow *flow, enum flow_side side, bool *ret_all)
{
	uint32_t most, *look = &flow->look[side];
	uint64_t before_ns;
	ssize_t seen;

	do {
		most = *look;
		before_ns = agent_now_ns();
		do {
			seen = recv(flow->end[side].fd, flow->thread->buffer,
				    most, MSG_PEEK);
		} while (seen < 0 && errno == EINTR);
		if (seen > 0)
			*look = flow_next_look(most, (size_t)seen,
					       agent_now_ns() - before_ns);
	} while (seen == (ssize_t)most && *look > most);
	/* At a mark of urgent data a look ends, whatever is behind it. */
	*ret_all = seen < (ssize_t)most && !flow->urgent[side];
	return seen;
}

bool flow_consume(struct flow *flow, enum flow_side side, size_t bytes)
{
	ssize_t got;

	do {
		got = recv(flow->end[side].fd, NULL, bytes, MSG_TRUNC);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)bytes;
}
