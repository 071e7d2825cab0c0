// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Connections that take no route: the alert arrives, nothing is held. */
#include <errno.h>
#include <sys/socket.h>
#include "crash.h"
#include "flow.h"

/* What a refused client may still send before it is cut off. */
#define REFUSE_BYTES_MAX 262144

void refuse(struct flow *flow, enum abi_outcome outcome, enum hello_alert alert)
{
	uint8_t record[HELLO_ALERT_BYTES];

	if (flow->is_http) {
		http_refuse(flow, outcome);
		return;
	}
	if (alert)
		hello_alert_record(alert, flow->opening->reader.record_version,
				   record);
	refuse_with(flow, outcome, record, alert ? sizeof(record) : 0);
}

void refuse_with(struct flow *flow, enum abi_outcome outcome,
		 const uint8_t *bytes, size_t length)
{
	int client = flow->end[FLOW_CLIENT].fd;
	struct thread *thread = flow->thread;

	flow_outcome(flow, outcome);
	flow_phase(flow, ABI_PHASE_REFUSE);
	/* The first bytes we send, but for a 1xx: they always fit. */
	if (length)
		(void)send(client, bytes, length, MSG_NOSIGNAL);
	shutdown(client, SHUT_WR);
	crash_point("refused");
	flow_close_backend(flow);
	flow_forget_opening(flow);
	http_forget(flow);
	deadline_set(&thread->deadlines, flow, DEADLINE_REFUSE, thread->now_ns);
	refuse_read(flow);
}

void refuse_silently(struct flow *flow)
{
	struct thread *thread = flow->thread;

	flow_outcome(flow, ABI_OUTCOME_DROPPED);
	flow_phase(flow, ABI_PHASE_REFUSE);
	flow_forget_opening(flow);
	deadline_set(&thread->deadlines, flow, DEADLINE_DROP, thread->now_ns);
}

/* What has been answered is not refused. */
const char *refuse_word(const struct flow *flow)
{
	return flow->cold->outcome == ABI_OUTCOME_ROUTED ||
			       flow->cold->outcome == ABI_OUTCOME_REDIRECTED
		       ? "closed"
		       : "refused";
}

void refuse_read(struct flow *flow)
{
	if (flow->deadline == DEADLINE_DROP)
		return;
	for (;;) {
		ssize_t got = recv(flow->end[FLOW_CLIENT].fd, NULL,
				   AGENT_BUFFER_BYTES, MSG_TRUNC);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			flow_end(flow,
				 got ? "reset-by-client" : refuse_word(flow));
			return;
		}
		flow->refused_bytes += (uint32_t)got;
		if (flow->refused_bytes > REFUSE_BYTES_MAX) {
			flow_end(flow, refuse_word(flow));
			return;
		}
	}
}
