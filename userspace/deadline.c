// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "deadline.h"

#include <stddef.h>
#include "flow.h"

static void deadline_leave(struct deadlines *deadlines, struct flow *flow)
{
	if (flow->previous)
		flow->previous->next = flow->next;
	else
		deadlines->first[flow->deadline] = flow->next;
	if (flow->next)
		flow->next->previous = flow->previous;
	else
		deadlines->last[flow->deadline] = flow->previous;
	flow->previous = NULL;
	flow->next = NULL;
}

void deadline_set(struct deadlines *deadlines, struct flow *flow,
		  enum deadline deadline, uint64_t now_ns)
{
	if (flow->deadline != DEADLINE_NONE)
		deadline_leave(deadlines, flow);
	flow->deadline = (uint8_t)deadline;
	if (deadline == DEADLINE_NONE)
		return;
	flow->deadline_from_ns = now_ns;
	flow->previous = deadlines->last[deadline];
	if (flow->previous)
		flow->previous->next = flow;
	else
		deadlines->first[deadline] = flow;
	deadlines->last[deadline] = flow;
}
