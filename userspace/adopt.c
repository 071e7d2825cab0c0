// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "adopt.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cleanup.h"
#include "edge.h"
#include "flow.h"
#include "inherit.h"
#include "listen.h"
#include "stream.h"

/**
 * struct adopted - what a socket tells, less what is not payload.
 * @shut: our FIN has been sent.
 */
struct adopted {
	uint64_t sent;
	uint64_t taken;
	bool shut;
	bool broken;
};

bool adopt_is_left(const struct abi_flow_cold *cold)
{
	return cold->phase != ABI_PHASE_FREE &&
	       cold->phase != ABI_PHASE_SPLICED &&
	       (inherit_has(cold->client_cookie) ||
		inherit_has(cold->backend_cookie));
}

/* ---- the sockets --------------------------------------------------------- */

static bool adopt_has_failed(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) || error;
}

/* A connection that is CLOSED was reset, of which it says so once, or both
 * sides ended it: then what was sent has the FIN in it. */
static int adopt_look(const struct flow *flow, enum flow_side side,
		      struct adopted *ret_adopted)
{
	int fd = flow->end[side].fd;
	struct adopted adopted = {.broken = flow_is_broken(flow, side)};
	enum stream_state before, state;
	int result = stream_sent(fd, &adopted.sent, &before);

	if (result)
		return result;
	if (stream_taken(fd, &adopted.taken, &state)) {
		adopted.broken = true;
		result = stream_taken(fd, &adopted.taken, &state);
	}
	if (state == STREAM_CLOSED && adopt_has_failed(fd))
		adopted.broken = true;
	adopted.shut = stream_is_shut(state);
	if (state == STREAM_CLOSED && !adopted.broken) {
		adopted.shut = true;
		adopted.sent -= before == STREAM_CLOSED;
	}
	/* The SYN. */
	if (side == FLOW_BACKEND && adopted.sent)
		adopted.sent--;
	*ret_adopted = adopted;
	return result;
}

/* ---- the bytes ----------------------------------------------------------- */

static bool adopt_pipe(struct flow *flow, enum abi_direction direction,
		       uint64_t bytes)
{
	uint64_t inode = flow->cold->pipe[direction];
	int fd[2], held = 0;

	if (!inherit_pipe(inode, fd))
		return false;
	if (!ioctl(fd[0], FIONREAD, &held) && (uint64_t)held == bytes)
		flow->pipe[direction] =
			pipes_adopt(&flow->thread->pipes, fd, inode, bytes);
	if (flow->pipe[direction])
		return true;
	close(fd[0]);
	close(fd[1]);
	return false;
}

/* ALL_SENT. Return: false where bytes are missing. */
static bool adopt_direction(struct flow *flow, enum abi_direction direction,
			    const struct adopted ends[2])
{
	const struct abi_flow_cold *cold = flow->cold;
	__u64 *bytes = &flow->hot->direction[direction].bytes;
	uint64_t sent = ends[!direction].sent - cold->before_sent[direction];
	uint64_t taken = ends[direction].taken - cold->before_taken[direction];
	bool whole = true;

	/* Nothing goes there any more. */
	if (ends[!direction].broken)
		return true;
	if ((int64_t)(sent - taken) > 0)
		whole = flow_consume(flow, (enum flow_side)direction,
				     sent - taken);
	else if (sent != taken)
		whole = adopt_pipe(flow, direction, taken - sent);
	if (whole && sent > *bytes)
		*bytes = sent;
	if (ends[!direction].shut)
		flow->direction[direction] |= FLOW_ENDED | FLOW_SHUT;
	return whole;
}

static bool adopt_watch(struct flow *flow, enum flow_side side)
{
	flow->readable[side] = true;
	flow->look[side] = FLOW_LOOK_BYTES;
	return !thread_watch(flow->thread, &flow->end[side],
			     EPOLLIN | EPOLLRDHUP | EPOLLET, true);
}

static void adopt_relay(struct flow *flow, const struct adopted ends[2])
{
	struct thread *thread = flow->thread;
	struct abi_flow_cold *cold;

	for (enum abi_direction i = ABI_FROM_CLIENT; i <= ABI_FROM_BACKEND;
	     i++) {
		if (!adopt_direction(flow, i, ends)) {
			flow_reset(flow, "bytes-lost");
			return;
		}
	}
	cold = flow_record_begin(flow);
	cold->phase = ABI_PHASE_RELAY;
	cold->datapath = ABI_DATAPATH_RELAY;
	flow_record_end(flow);
	flow->datapath = ABI_DATAPATH_RELAY;
	/* The backend gets one request, whatever the client sends behind it. */
	if (cold->exchange & ABI_EXCHANGE_ANSWERED)
		flow->direction[ABI_FROM_CLIENT] |= FLOW_ENDED | FLOW_SHUT;
	flow_count_again(flow);
	deadline_set(&thread->deadlines, flow,
		     ends[0].shut || ends[1].shut ? DEADLINE_HALF_CLOSE
						  : DEADLINE_IDLE,
		     thread->now_ns);
	if (!adopt_watch(flow, FLOW_CLIENT) || !adopt_watch(flow, FLOW_BACKEND))
		flow_reset(flow, "error");
	else if (ends[FLOW_CLIENT].broken)
		relay_broken(flow, FLOW_CLIENT);
	else if (ends[FLOW_BACKEND].broken)
		relay_broken(flow, FLOW_BACKEND);
	else
		flow_again(flow);
}

/* ---- the phases ---------------------------------------------------------- */

/* NOTHING_YET. */
static void adopt_begin_again(struct flow *flow, uint64_t taken)
{
	struct preface *kept = NULL;

	if (taken)
		kept = heart_kept(flow->thread->agent->heart, flow->cold->id,
				  false);
	flow_close_backend(flow);
	if ((taken && (!kept || kept->length < taken)) ||
	    !flow_begin_again(flow, kept, taken))
		flow_reset(flow, "worker-died");
}

/* The backend may have some of what the heart has kept for it. */
static bool adopt_send_rest(const struct flow *flow, const struct preface *kept,
			    struct adopted *backend)
{
	const uint8_t *bytes = heart_bytes(flow->thread->agent->heart, kept);
	size_t left;

	if (backend->sent > kept->length)
		return false;
	left = kept->length - backend->sent;
	if (left && send(flow->end[FLOW_BACKEND].fd, bytes + backend->sent,
			 left, MSG_NOSIGNAL) != (ssize_t)left)
		return false;
	backend->sent += left;
	return true;
}

static bool adopt_take(struct flow *flow, enum flow_side side, uint64_t bytes)
{
	return !bytes || flow_consume(flow, side, bytes);
}

/* ALL_SENT, of heads that were changed on their way. Return: false where the
 * worker died while it sent one. */
static bool adopt_heads(struct flow *flow, const struct adopted ends[2])
{
	struct abi_flow_cold *cold = flow->cold;
	uint64_t sent = ends[FLOW_CLIENT].sent;
	uint64_t taken = ends[FLOW_BACKEND].taken;

	if (cold->phase == ABI_PHASE_PREFACE &&
	    !adopt_take(flow, FLOW_CLIENT,
			cold->before_taken[ABI_FROM_CLIENT] -
				ends[FLOW_CLIENT].taken))
		return false;
	/* It was noted, and not sent yet. */
	if (!sent && !taken) {
		cold->exchange &= (__u8)~ABI_EXCHANGE_ANSWERED;
		cold->before_sent[ABI_FROM_BACKEND] = 0;
		cold->before_taken[ABI_FROM_BACKEND] = 0;
	}
	if (cold->exchange & ABI_EXCHANGE_ANSWERED)
		return sent >= cold->before_sent[ABI_FROM_BACKEND];
	return sent == cold->before_sent[ABI_FROM_BACKEND] &&
	       adopt_take(flow, FLOW_BACKEND,
			  cold->before_taken[ABI_FROM_BACKEND] - taken);
}

static void adopt_exchange(struct flow *flow, const struct adopted ends[2])
{
	if (!(flow->cold->exchange & ABI_EXCHANGE_ASKED) ||
	    ends[FLOW_CLIENT].broken || !adopt_heads(flow, ends)) {
		flow_reset(flow, "worker-died");
	} else if (flow->cold->exchange & ABI_EXCHANGE_ANSWERED) {
		adopt_relay(flow, ends);
	} else if (http_adopt(flow)) {
		flow_count_again(flow);
		if (!adopt_watch(flow, FLOW_CLIENT) ||
		    !adopt_watch(flow, FLOW_BACKEND))
			flow_reset(flow, "error");
	} else {
		flow_reset(flow, "limited");
	}
}

static void adopt_preface(struct flow *flow, struct adopted ends[2])
{
	const struct abi_flow_cold *cold = flow->cold;
	struct preface *outbound =
		heart_kept(flow->thread->agent->heart, flow->cold->id, true);
	struct adopted *client = &ends[FLOW_CLIENT];
	struct adopted *backend = &ends[FLOW_BACKEND];

	if (outbound && !client->taken)
		heart_forget(take_pointer(outbound));
	if ((!outbound && !backend->sent) ||
	    (flow->is_http &&
	     backend->sent < cold->before_sent[ABI_FROM_CLIENT]))
		adopt_begin_again(flow, client->taken);
	else if (flow->is_http)
		adopt_exchange(flow, ends);
	else if (outbound && !adopt_send_rest(flow, outbound, backend))
		flow_reset(flow, "bytes-lost");
	else
		adopt_relay(flow, ends);
}

static void adopt_refuse(struct flow *flow)
{
	bool dropped = flow->cold->outcome == ABI_OUTCOME_DROPPED;

	flow_count_again(flow);
	deadline_set(&flow->thread->deadlines, flow,
		     dropped ? DEADLINE_DROP : DEADLINE_REFUSE,
		     flow->thread->now_ns);
	if (!dropped)
		shutdown(flow->end[FLOW_CLIENT].fd, SHUT_WR);
	if (!adopt_watch(flow, FLOW_CLIENT))
		flow_reset(flow, "error");
}

/* Whether it needs a backend's socket to go on. */
static bool adopt_has_backend(const struct flow *flow)
{
	enum abi_phase phase = (enum abi_phase)flow->cold->phase;

	return phase != ABI_PHASE_HELLO && phase != ABI_PHASE_REQUEST &&
	       phase != ABI_PHASE_CONNECT && phase != ABI_PHASE_REFUSE;
}

static void adopt_phase(struct flow *flow)
{
	struct adopted ends[2] = {0};

	if (adopt_has_backend(flow) && redirect_adopt(flow))
		return;
	if (adopt_look(flow, FLOW_CLIENT, &ends[FLOW_CLIENT]) ||
	    (adopt_has_backend(flow) &&
	     adopt_look(flow, FLOW_BACKEND, &ends[FLOW_BACKEND]))) {
		flow_reset(flow, "error");
		return;
	}
	switch ((enum abi_phase)flow->cold->phase) {
	case ABI_PHASE_HELLO:
	case ABI_PHASE_REQUEST:
	case ABI_PHASE_CONNECT:
		adopt_begin_again(flow, ends[FLOW_CLIENT].taken);
		return;
	case ABI_PHASE_PREFACE:
		adopt_preface(flow, ends);
		return;
	case ABI_PHASE_ARMED:
	case ABI_PHASE_RELAY:
	case ABI_PHASE_KERNEL:
	case ABI_PHASE_RETURN:
		adopt_relay(flow, ends);
		return;
	case ABI_PHASE_REFUSE:
		adopt_refuse(flow);
		return;
	case ABI_PHASE_EXCHANGE:
		adopt_exchange(flow, ends);
		return;
	case ABI_PHASE_FREE:
	case ABI_PHASE_SPLICED:
	case ABI_PHASE_COUNT:
		return;
	}
}

/* ---- the flows ----------------------------------------------------------- */

static void adopt_one(struct thread *thread, struct flow *flow)
{
	struct agent *agent = thread->agent;
	struct abi_flow_cold *cold = flow->cold;

	/* It died while it wrote there. */
	if (cold->sequence % 2)
		flow_record_end(flow);
	flow_init(flow, thread, listen_by_id(agent, cold->listener_id),
		  inherit_connection(cold->client_cookie),
		  inherit_connection(cold->backend_cookie));
	cold->thread = (__u8)thread->index;
	atomic_fetch_add(&agent->flow_count, 1);
	flow_hold(flow);
	if (flow->end[FLOW_CLIENT].fd < 0 ||
	    (flow->end[FLOW_BACKEND].fd < 0 && adopt_has_backend(flow)))
		flow_end(flow, "closed");
	else if (heart_is_poison(agent->heart, cold->id))
		flow_reset(flow, "poison");
	else if (edge_is_banned(&agent->store, &cold->client))
		flow_reset(flow, "banned");
	else
		adopt_phase(flow);
}

static void adopt_records(struct thread *thread, void *context)
{
	struct agent *agent = thread->agent;

	(void)context;
	for (uint32_t i = 0; i < agent->store.meta->flow_capacity; i++) {
		const struct abi_flow_cold *cold = &agent->store.cold[i];
		struct flow *flow = &agent->flows[i];

		/* Not by way of flow->cold: another thread may be in
		 * flow_init() with a flow that is its own. */
		if (cold->thread % agent->thread_count == thread->index &&
		    adopt_is_left(cold) && !flow->thread)
			adopt_one(thread, flow);
	}
}

/* Accepted, and not recorded yet. */
static void adopt_new(struct thread *thread, int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	struct abi_endpoint local, peer;
	struct listening *listening = NULL;

	if (!getsockname(fd, (struct sockaddr *)&address, &size)) {
		addr_from_sockaddr(&address, &local);
		listening = listen_at(thread->agent, &local);
	}
	size = sizeof(address);
	if (!listening || getpeername(fd, (struct sockaddr *)&address, &size)) {
		close(fd);
		return;
	}
	addr_from_sockaddr(&address, &peer);
	flow_begin(thread, listening, fd, &peer);
}

static void adopt_rest(struct thread *thread, void *context)
{
	struct heart *heart = thread->agent->heart;
	int fd;

	(void)context;
	for (unsigned i = 0; i < HEART_PREFACES; i++) {
		struct preface *preface =
			&heart->preface[thread->index * HEART_PREFACES + i];

		if (preface->flow && preface->worker != heart->worker)
			heart_forget(preface);
	}
	if (thread->index)
		return;
	while ((fd = inherit_any()) >= 0)
		adopt_new(thread, fd);
	for (int i = 0; i < LISTEN_BACKLOG && agent_has_room(thread->agent) &&
			(fd = inherit_waiting()) >= 0;
	     i++)
		adopt_new(thread, fd);
}

void adopt_flows(struct agent *agent)
{
	agent_on_threads(agent, adopt_records, NULL);
	agent_on_threads(agent, adopt_rest, NULL);
}
