// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is kept of a request and its response, and what of that outlives us.
 *
 * The head of either is changed on its way, so that the record says how many
 * bytes were sent for how many (before_sent, before_taken), before they are.
 * What stands behind a response's head is passed on as it is, and the backend
 * has been told to close then: a relay, if need be.
 */
#include <stdlib.h>
#include "cleanup.h"
#include "crash.h"
#include "flow.h"

static bool http_make(struct flow *flow)
{
	flow->http = calloc(1, sizeof(*flow->http));
	if (flow->http)
		atomic_fetch_add(&flow->thread->agent->exchange_count, 1);
	return flow->http;
}

bool http_keep(struct flow *flow, const struct http_request *request)
{
	struct abi_flow_cold *cold;
	struct http *http;

	if (!http_make(flow))
		return false;
	http = flow->http;
	http->request = request->body;
	http->is_head = request->is_head;
	http->old = !request->minor;
	http->websocket = request->websocket;
	cold = flow_record_begin(flow);
	if (http->is_head)
		cold->exchange |= ABI_EXCHANGE_HEAD;
	if (http->old)
		cold->exchange |= ABI_EXCHANGE_OLD;
	if (http->websocket)
		cold->exchange |= ABI_EXCHANGE_WEBSOCKET;
	flow_record_end(flow);
	if (http_body_is_done(&http->request))
		http_asked(flow);
	return true;
}

/* An upgrade need not wait for it any more. */
static void http_let_go(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;

	if (!flow->http->asked &&
	    atomic_fetch_sub(&agent->exchange_count, 1) == 1 &&
	    atomic_load(&agent->leaving))
		agent_wake_main(agent);
	flow->http->asked = true;
}

void http_asked(struct flow *flow)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->exchange |= ABI_EXCHANGE_ASKED;
	flow_record_end(flow);
	http_let_go(flow);
}

void http_told(struct flow *flow, unsigned status, size_t length)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->before_sent[ABI_FROM_BACKEND] += (__u32)length;
	cold->before_taken[ABI_FROM_BACKEND] += flow->http->scan.offset;
	if (status >= 200) {
		cold->http_status = (__u16)status;
		cold->exchange |= ABI_EXCHANGE_ANSWERED;
	} else if (status == 101) {
		cold->http_status = (__u16)status;
		cold->exchange = 0;
	}
	flow_record_end(flow);
	crash_point("told");
}

bool http_adopt(struct flow *flow)
{
	const struct abi_flow_cold *cold = flow->cold;
	struct thread *thread = flow->thread;

	if (!http_make(flow))
		return false;
	flow->http->is_head = cold->exchange & ABI_EXCHANGE_HEAD;
	flow->http->old = cold->exchange & ABI_EXCHANGE_OLD;
	flow->http->websocket = cold->exchange & ABI_EXCHANGE_WEBSOCKET;
	http_let_go(flow);
	flow_phase(flow, ABI_PHASE_EXCHANGE);
	deadline_set(&thread->deadlines, flow, DEADLINE_EXCHANGE,
		     thread->now_ns);
	flow_again(flow);
	return true;
}

void http_forget(struct flow *flow)
{
	if (!flow->http)
		return;
	http_let_go(flow);
	free(flow->http->out);
	free(take_pointer(flow->http));
}
