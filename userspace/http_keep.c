// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is kept of a request and its response, and what of that outlives us. */
#include <stdlib.h>
#include "cleanup.h"
#include "flow.h"

struct http *http_keep(struct flow *flow)
{
	flow->http = calloc(1, sizeof(*flow->http));
	if (flow->http)
		atomic_fetch_add(&flow->thread->agent->exchange_count, 1);
	return flow->http;
}

static void http_needs_nobody(struct agent *agent)
{
	if (atomic_fetch_sub(&agent->exchange_count, 1) == 1 &&
	    atomic_load(&agent->leaving))
		agent_wake_main(agent);
}

void http_tell(struct flow *flow)
{
	flow->http->told = true;
	if (flow->http->outlives)
		atomic_fetch_add(&flow->thread->agent->exchange_count, 1);
	flow->http->outlives = false;
}

/*
 * Behind the request all is the backend's. Its response's head we change; what
 * comes behind that is passed on as it is, and it has been told to close then:
 * a relay, if need be.
 */
void http_note(struct flow *flow)
{
	struct http *http = flow->http;
	struct abi_flow_cold *cold;
	__u8 flags = ABI_EXCHANGE_ASKED;

	if (http->out || !http_body_is_done(&http->request) ||
	    (http->told && !http->begun) || http->outlives)
		return;
	if (http->begun)
		flags |= ABI_EXCHANGE_ANSWERED;
	if (http->is_head)
		flags |= ABI_EXCHANGE_HEAD;
	if (http->old)
		flags |= ABI_EXCHANGE_OLD;
	if (http->websocket)
		flags |= ABI_EXCHANGE_WEBSOCKET;
	if (http->begun && !relay_measure(flow))
		return;
	cold = flow_record_begin(flow);
	cold->exchange = flags;
	flow_record_end(flow);
	http_needs_nobody(flow->thread->agent);
	http->outlives = true;
}

bool http_adopt(struct flow *flow)
{
	struct thread *thread = flow->thread;
	__u8 flags = flow->cold->exchange;

	if (!http_keep(flow))
		return false;
	flow->http->is_head = flags & ABI_EXCHANGE_HEAD;
	flow->http->old = flags & ABI_EXCHANGE_OLD;
	flow->http->websocket = flags & ABI_EXCHANGE_WEBSOCKET;
	deadline_set(&thread->deadlines, flow, DEADLINE_EXCHANGE,
		     thread->now_ns);
	flow_again(flow);
	return true;
}

void http_forget(struct flow *flow)
{
	if (!flow->http)
		return;
	if (!flow->http->outlives)
		http_needs_nobody(flow->thread->agent);
	free(flow->http->out);
	free(take_pointer(flow->http));
}
