// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * User space moves the bytes: by copying while there are few, by splice(2)
 * through a borrowed pipe while there are many.
 *
 * Copying is peek, send, consume: the kernel's queue is the only place where
 * unsent bytes are, so a flow holds no buffer, and what has been passed on
 * can be told from the two sockets alone (adopt.c). With splice(2) the pipe
 * holds the bytes; it is emptied before more is taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "cleanup.h"
#include "crash.h"
#include "flow.h"
#include "setting.h"
#include "stream.h"

/* One direction's share of a turn. */
#define RELAY_TURN_BYTES (1 << 20)
/* A look that shows as much begins a bulk, a splice that finds less ends it. */
#define RELAY_BULK_BYTES 32768

enum relay_status {
	RELAY_MOVED,   /* bytes went on: try again */
	RELAY_DRY,     /* the source has nothing more now */
	RELAY_BLOCKED, /* the sink takes nothing more now */
	RELAY_FINISHED,
	RELAY_BROKEN_SOURCE,
	RELAY_BROKEN_SINK
};

/* One direction of a flow, for the time of a turn; @broken: its source has
 * sent a RST. */
struct relay {
	struct flow *flow;
	enum abi_direction direction;
	struct watch *source;
	struct watch *sink;
	size_t moved;
	bool broken;
};

static void relay_count(struct relay *relay, size_t bytes)
{
	struct abi_flow_hot *hot = relay->flow->hot;

	hot->direction[relay->direction].bytes += bytes;
	if (hot->last_ns != relay->flow->thread->now_ns)
		hot->last_ns = relay->flow->thread->now_ns;
	relay->moved += bytes;
}

/* A failed send: the sink is full, or broken. A sink that took less than it
 * was given has noted that somebody waits for space, as one that took none. */
static enum relay_status relay_blocked(struct relay *relay, int error)
{
	enum flow_side side = relay->direction == ABI_FROM_CLIENT ? FLOW_BACKEND
								  : FLOW_CLIENT;

	if (error == EINTR)
		return RELAY_MOVED;
	if (error != EAGAIN)
		return RELAY_BROKEN_SINK;
	relay->flow->blocked[relay->direction] = true;
	if (!relay->flow->watches_out[side] &&
	    thread_watch(relay->flow->thread, relay->sink,
			 EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, false))
		return RELAY_BROKEN_SINK;
	relay->flow->watches_out[side] = true;
	return RELAY_BLOCKED;
}

/* A failed read: the source has no more now, or is broken. */
static enum relay_status relay_dry(struct relay *relay)
{
	if (errno == EINTR)
		return RELAY_MOVED;
	if (errno != EAGAIN)
		return RELAY_BROKEN_SOURCE;
	relay->flow->readable[relay->direction] = false;
	return RELAY_DRY;
}

/* The source's FIN has been read, and all before it was passed on. */
static enum relay_status relay_finish(struct relay *relay)
{
	struct flow *flow = relay->flow;

	flow->direction[relay->direction] |= FLOW_ENDED;
	/* A RST looks like a FIN to whoever reads behind a failed send. */
	if (relay->broken)
		return RELAY_FINISHED;
	flow->direction[relay->direction] |= FLOW_SHUT;
	/* The second end needs no shutdown: both sockets are closed now. */
	if (flow->direction[!relay->direction] & FLOW_SHUT)
		return RELAY_FINISHED;
	if (shutdown(relay->sink->fd, SHUT_WR))
		return RELAY_BROKEN_SINK;
	crash_point("shut");
	flow->hot->last_ns = flow->thread->now_ns;
	deadline_set(&flow->thread->deadlines, flow, DEADLINE_HALF_CLOSE,
		     flow->thread->now_ns);
	return RELAY_FINISHED;
}

/* A broken flow ends in the sockmap, with what was passed still to be read:
 * there neither MSG_TRUNC nor splice(2) does what it does with TCP. */
static bool relay_is_joined(const struct relay *relay)
{
	return relay->flow->pair && pair_is_joined(relay->flow->pair);
}

/* Take from the source what the sink has got. Should that ever fail, a RST is
 * better than the same bytes twice: nothing more is read. */
static bool relay_consume(struct relay *relay, size_t bytes)
{
	struct flow *flow = relay->flow;
	bool joined = relay_is_joined(relay);
	ssize_t got;

	do {
		got = recv(relay->source->fd,
			   joined ? flow->thread->buffer : NULL, bytes,
			   joined ? 0 : MSG_TRUNC);
	} while (got < 0 && errno == EINTR);
	if (got == (ssize_t)bytes)
		return true;
	flow->direction[relay->direction] |= FLOW_ENDED;
	return false;
}

/* The FIN that has been announced comes next: it can go in the same packet.
 * If it is a RST after all, relay_push() sends what was held back for it. */
static bool relay_is_tail(const struct relay *relay)
{
	return !relay->broken && relay->flow->hung[relay->direction];
}

/* tcp(7): setting TCP_NODELAY sends what is pending. */
static void relay_push(const struct flow *flow, enum flow_side side)
{
	int on = 1;

	setsockopt(flow->end[side].fd, IPPROTO_TCP, TCP_NODELAY, &on,
		   sizeof(on));
}

static enum relay_status relay_copy(struct relay *relay)
{
	struct flow *flow = relay->flow;
	enum flow_side side = (enum flow_side)relay->direction;
	bool all;
	ssize_t seen = flow_look(flow, side, &all), sent;

	if (seen < 0)
		return relay_dry(relay);
	if (!seen)
		return relay_finish(relay);
	sent = send(relay->sink->fd, flow->thread->buffer, (size_t)seen,
		    all && relay_is_tail(relay) ? MSG_NOSIGNAL | MSG_MORE
						: MSG_NOSIGNAL);
	if (sent < 0)
		return relay_blocked(relay, errno);
	crash_point("sent");
	relay_count(relay, (size_t)sent);
	if (!relay_consume(relay, (size_t)sent))
		return RELAY_BROKEN_SOURCE;
	if (seen >= RELAY_BULK_BYTES)
		flow->direction[relay->direction] |= FLOW_BULK;
	if (sent < seen)
		return relay_blocked(relay, EAGAIN);
	/* What comes now is an edge of its own. Only a FIN that was announced
	 * before is not announced again. */
	if (all && !flow->hung[relay->direction]) {
		flow->readable[relay->direction] = false;
		return RELAY_DRY;
	}
	return RELAY_MOVED;
}

static enum relay_status relay_empty_pipe(struct relay *relay,
					  struct pipe *pipe)
{
	ssize_t sent = splice(pipe->fd[0], NULL, relay->sink->fd, NULL,
			      pipe->bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (sent < 0)
		return relay_blocked(relay, errno);
	crash_point("pipe-emptied");
	pipe->bytes -= (size_t)sent;
	relay->flow->thread->haste.bytes += (size_t)sent;
	relay_count(relay, (size_t)sent);
	return RELAY_MOVED;
}

static enum relay_status relay_fill_pipe(struct relay *relay, struct pipe *pipe)
{
	ssize_t got = splice(relay->source->fd, NULL, pipe->fd[1], NULL,
			     PIPE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (got < 0)
		return relay_dry(relay);
	if (got < RELAY_BULK_BYTES)
		relay->flow->direction[relay->direction] &= (uint8_t)~FLOW_BULK;
	/* An end, or a mark of urgent data in front of it. */
	if (!got)
		return relay_copy(relay);
	crash_point("pipe-filled");
	pipe->bytes = (size_t)got;
	return RELAY_MOVED;
}

static enum relay_status relay_splice(struct relay *relay)
{
	struct flow *flow = relay->flow;
	struct pipe **pipe = &flow->pipe[relay->direction];

	if (!*pipe) {
		*pipe = pipes_borrow(&flow->thread->pipes);
		if (!*pipe) {
			flow->direction[relay->direction] &=
				(uint8_t)~FLOW_BULK;
			return relay_copy(relay);
		}
		flow->cold->pipe[relay->direction] = (__u32)(*pipe)->inode;
	}
	return (*pipe)->bytes ? relay_empty_pipe(relay, *pipe)
			      : relay_fill_pipe(relay, *pipe);
}

static bool relay_is_piped(const struct relay *relay)
{
	const struct pipe *pipe = relay->flow->pipe[relay->direction];

	return pipe && pipe->bytes;
}

/* At a mark of urgent data splice(2) says that there is nothing. */
static bool relay_is_bulk(const struct relay *relay)
{
	const struct flow *flow = relay->flow;

	return flow->direction[relay->direction] & FLOW_BULK &&
	       !flow->urgent[relay->direction] && !relay_is_joined(relay);
}

static enum relay_status relay_direction(struct relay *relay)
{
	struct flow *flow = relay->flow;
	enum abi_direction direction = relay->direction;
	enum relay_status status;

	if (flow->direction[direction] & FLOW_ENDED)
		return RELAY_FINISHED;
	if (flow->blocked[direction])
		return RELAY_BLOCKED;
	if (!flow->readable[direction] && !flow->pipe[direction])
		return RELAY_DRY;
	do {
		if (relay_is_piped(relay) || relay_is_bulk(relay))
			status = relay_splice(relay);
		else
			status = relay_copy(relay);
	} while (status == RELAY_MOVED && relay->moved < RELAY_TURN_BYTES);
	/* Idle flows hold no pipe. */
	if (flow->pipe[direction] && !relay_is_piped(relay))
		pipes_return(&flow->thread->pipes,
			     take_pointer(flow->pipe[direction]));
	return status;
}

static struct relay relay_make(struct flow *flow, enum abi_direction direction)
{
	return (struct relay){
		.flow = flow,
		.direction = direction,
		.source = &flow->end[direction],
		.sink = &flow->end[!direction],
		.broken = flow->direction[direction] & FLOW_BROKEN,
	};
}

/* Return: whether bytes are still on their way to the sink, and may be: a sink
 * that takes nothing is waited for as after a FIN. */
static bool relay_is_draining(const struct relay *relay)
{
	const struct thread *thread = relay->flow->thread;
	uint64_t last_ns = relay->flow->hot->last_ns;
	uint64_t most_ms = setting_get(&thread->agent->store,
				       ABI_SET_HALF_CLOSE_TIMEOUT_MS);
	int left;

	return !ioctl(relay->sink->fd, SIOCOUTQ, &left) && left &&
	       thread->now_ns - last_ns < most_ms * 1000000;
}

void relay_flush(struct flow *flow)
{
	struct thread *thread = flow->thread;
	bool client = flow->direction[ABI_FROM_CLIENT] & FLOW_BROKEN;
	struct relay relay =
		relay_make(flow, client ? ABI_FROM_CLIENT : ABI_FROM_BACKEND);
	enum relay_status status = relay_direction(&relay);

	if (status == RELAY_MOVED)
		flow_again(flow);
	else if (status != RELAY_BROKEN_SINK && relay_is_draining(&relay))
		deadline_set(&thread->deadlines, flow, DEADLINE_FLUSH,
			     thread->now_ns);
	else
		flow_reset(flow,
			   client ? "reset-by-client" : "reset-by-backend");
}

static void relay_record_broken(struct flow *flow, enum abi_direction direction)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->broken |= (__u8)(1U << direction);
	flow_record_end(flow);
}

/* A RST becomes a RST, but what came before it arrives first: a server that
 * refuses an upload answers, and closes with the rest unread. Our own RST would
 * throw away what is still queued. */
void relay_broken(struct flow *flow, enum flow_side side)
{
	enum abi_direction direction =
		side == FLOW_CLIENT ? ABI_FROM_CLIENT : ABI_FROM_BACKEND;

	if (flow->direction[!direction] & FLOW_BROKEN) {
		flow_reset(flow, side == FLOW_CLIENT ? "reset-by-backend"
						     : "reset-by-client");
		return;
	}
	flow->direction[direction] |= FLOW_BROKEN;
	relay_record_broken(flow, direction);
	crash_point("broken");
	flow->hot->last_ns = flow->thread->now_ns;
	flow->readable[side] = true;
	flow->hung[side] = true;
	relay_push(flow, side == FLOW_CLIENT ? FLOW_BACKEND : FLOW_CLIENT);
	relay_flush(flow);
}

/* Return: whether the other direction is to be moved too. */
static bool relay_settle(struct flow *flow, enum abi_direction direction,
			 enum relay_status status)
{
	bool from_client = direction == ABI_FROM_CLIENT;

	switch (status) {
	case RELAY_MOVED:
		flow_again(flow);
		return true;
	case RELAY_BROKEN_SOURCE:
		relay_broken(flow, from_client ? FLOW_CLIENT : FLOW_BACKEND);
		return false;
	case RELAY_BROKEN_SINK:
		relay_broken(flow, from_client ? FLOW_BACKEND : FLOW_CLIENT);
		return false;
	case RELAY_DRY:
	case RELAY_BLOCKED:
	case RELAY_FINISHED:
		return true;
	}
	return true;
}

/* Behind a request the client has not been read: a close would reset it. */
static void relay_end(struct flow *flow)
{
	if (flow->cold->exchange & ABI_EXCHANGE_ANSWERED)
		refuse_with(flow, ABI_OUTCOME_ROUTED, NULL, 0);
	else
		flow_end(flow, "closed");
}

void relay_pump(struct flow *flow)
{
	/* Whether the flow is one for the kernel: little at a time, and nothing
	 * left behind. */
	bool quiet = true;

	if ((flow->direction[0] | flow->direction[1]) & FLOW_BROKEN) {
		relay_flush(flow);
		return;
	}
	for (enum abi_direction i = ABI_FROM_CLIENT; i <= ABI_FROM_BACKEND;
	     i++) {
		struct relay relay = relay_make(flow, i);
		enum relay_status status = relay_direction(&relay);

		if (!relay_settle(flow, i, status))
			return;
		quiet &= status == RELAY_DRY &&
			 !(flow->direction[i] & FLOW_BULK);
	}
	if (flow->direction[0] & flow->direction[1] & FLOW_SHUT)
		relay_end(flow);
	else if (quiet)
		redirect_try(flow);
}

void relay_ready(struct flow *flow, enum flow_side side, uint32_t events)
{
	/* The source of a blocked direction is not read, so its RST is only
	 * seen here. */
	if (events & EPOLLERR) {
		relay_broken(flow, side);
		return;
	}
	relay_pump(flow);
}

/* The route's own, else the agent's, else the setting. */
void relay_choose(struct flow *flow)
{
	const struct agent *agent = flow->thread->agent;

	flow->datapath = flow->opening->route.datapath;
	if (flow->datapath == ABI_DATAPATH_AUTO)
		flow->datapath = (uint8_t)agent->datapath;
	if (flow->datapath == ABI_DATAPATH_AUTO)
		flow->datapath =
			(uint8_t)setting_get(&agent->store, ABI_SET_DATAPATH);
}

static bool relay_has(const struct flow *flow)
{
	return flow->datapath == ABI_DATAPATH_AUTO ||
	       flow->datapath == ABI_DATAPATH_RELAY ||
	       (flow->datapath == ABI_DATAPATH_SOCKMAP &&
		flow->thread->agent->sockmap);
}

/* Behind an upgraded request: nothing is in flight. */
static void relay_measure(struct flow *flow)
{
	struct abi_flow_cold *cold = flow->cold;
	enum stream_state state;
	uint64_t sent, taken;

	for (unsigned i = 0; i < 2; i++) {
		bool connected = i == ABI_FROM_CLIENT;

		if (stream_sent(flow->end[!i].fd, &sent, &state) ||
		    stream_taken(flow->end[i].fd, &taken, &state))
			continue;
		cold->before_sent[i] = (__u32)(sent - connected);
		cold->before_taken[i] = (__u32)taken;
	}
}

void relay_start(struct flow *flow)
{
	struct thread *thread = flow->thread;
	struct abi_flow_cold *cold;

	/* Behind an upgraded request it has been done already. */
	if (flow->opening)
		relay_choose(flow);
	else
		relay_measure(flow);
	flow_forget_opening(flow);
	cold = flow_record_begin(flow);
	cold->phase = ABI_PHASE_RELAY;
	cold->datapath = ABI_DATAPATH_RELAY;
	if (flow->why)
		cold->why = flow->why;
	else if (!relay_has(flow))
		cold->why = ABI_WHY_OFF;
	flow_record_end(flow);
	redirect_prepare(flow);
	if (cold->why)
		thread->counters->relayed[cold->why]++;
	thread->counters->datapath[ABI_DATAPATH_RELAY]++;
	deadline_set(&thread->deadlines, flow, DEADLINE_IDLE, thread->now_ns);
	relay_pump(flow);
}
