/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Deadlines of flows: a queue for each kind of wait. All waits of a kind last
 * equally long, so the queue is in order by itself and everything is O(1). */
#ifndef SNICTL_DEADLINE_H
#define SNICTL_DEADLINE_H

#include <stdint.h>

struct flow;

enum deadline {
	DEADLINE_NONE,
	DEADLINE_HELLO,	     /* total, from accept to a whole hello */
	DEADLINE_REQUEST,    /* likewise, to the whole head of a request */
	DEADLINE_CONNECT,    /* one target */
	DEADLINE_EXCHANGE,   /* as IDLE, of a request and its response */
	DEADLINE_IDLE,	     /* from the last byte either way */
	DEADLINE_HALF_CLOSE, /* from the last byte, once one side ended */
	DEADLINE_REFUSE,     /* reading on behind an alert */
	DEADLINE_FLUSH,	     /* bytes before a RST that wait for their ACK */
	DEADLINE_DROP,	     /* silence before the reset */
	DEADLINE_RETURN,     /* the kernel is about to finish something */
	DEADLINE_JOIN,	     /* the programs are to decide */
	DEADLINE_COUNT
};

/** struct deadlines - first and last of each queue. */
struct deadlines {
	struct flow *first[DEADLINE_COUNT];
	struct flow *last[DEADLINE_COUNT];
};

/**
 * deadline_set() - let a flow wait for another thing, from now on.
 * @now_ns: DEADLINE_NONE takes the flow out of its queue.
 */
void deadline_set(struct deadlines *deadlines, struct flow *flow,
		  enum deadline deadline, uint64_t now_ns);

#endif
