// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "flow.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/param.h>
#include <sys/socket.h>
#include "addr.h"
#include "cleanup.h"
#include "crash.h"
#include "edge.h"
#include "flow_read.h"
#include "listen.h"
#include "setting.h"
#include "words.h"

/* How long a refused client's bytes are read on: enough for one round trip
 * of a slow link, with a retransmission. */
#define FLOW_REFUSE_NS 2000000000ULL
/* How often a flow is looked at in the time that it may be idle: it is ended
 * by an eighth of that late at most. */
#define FLOW_IDLE_LOOKS 8
/* Of what a record tells of the beginning of its flow: an hour. */
#define FLOW_AGE_MAX_US 3600000000U
/* There is no event for the end of the kernel's own work on a flow. */
#define FLOW_RETURN_NS 1000000ULL

/* How often a reset that waits for the ACKs of what came before is tried. No
 * event tells of them. */
#define FLOW_FLUSH_NS 20000000ULL
/* A backend that has not acknowledged the hello by then can be relayed too. */
#define FLOW_JOIN_NS 1000000000ULL

static struct flow *flow_take(struct agent *agent)
{
	uint64_t most = setting_get(&agent->store, ABI_SET_MAX_FLOWS);
	struct flow *flow;

	if (most && atomic_load(&agent->flow_count) >= most)
		return NULL;
	pthread_mutex_lock(&agent->free_lock);
	flow = agent->free_flows;
	if (flow)
		agent->free_flows = flow->next;
	pthread_mutex_unlock(&agent->free_lock);
	if (flow)
		atomic_fetch_add(&agent->flow_count, 1);
	return flow;
}

void flow_give_back(struct thread *thread)
{
	struct agent *agent = thread->agent;

	while (thread->ended) {
		struct flow *flow = thread->ended;

		thread->ended = flow->next_again;
		pthread_mutex_lock(&agent->free_lock);
		flow->next = agent->free_flows;
		agent->free_flows = flow;
		pthread_mutex_unlock(&agent->free_lock);
		atomic_fetch_sub(&agent->flow_count, 1);
		if (agent->draining && !agent_flows_here(agent))
			agent_wake_main(agent);
	}
}

void flow_again(struct flow *flow)
{
	if (flow->is_again)
		return;
	flow->is_again = true;
	flow->next_again = flow->thread->again;
	flow->thread->again = flow;
}

void flow_phase(struct flow *flow, enum abi_phase phase)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->phase = (__u8)phase;
	flow_record_end(flow);
}

void flow_outcome(struct flow *flow, enum abi_outcome outcome)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->outcome = (__u8)outcome;
	flow_record_end(flow);
}

uint32_t flow_age_us(const struct flow *flow)
{
	uint64_t age_us =
		(flow->thread->now_ns - flow->cold->accepted_ns) / 1000;

	return (uint32_t)MIN(MAX(age_us, 1), FLOW_AGE_MAX_US);
}

void flow_hold(const struct flow *flow)
{
	struct thread *thread = flow->thread;

	thread_beat(thread);
	heart_hold(thread->agent->heart, thread->index, flow->cold->id);
}

/* One switch steps the whole state machine. */
static void flow_step(struct flow *flow, enum flow_side side, uint32_t events)
{
	flow_hold(flow);
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
		flow->readable[side] = true;
	if (events & EPOLLRDHUP)
		flow->hung[side] = true;
	if (events & EPOLLPRI)
		flow->urgent[side] = true;
	if (events & EPOLLOUT)
		flow->blocked[!side] = false;
	switch ((enum abi_phase)flow->cold->phase) {
	case ABI_PHASE_HELLO:
		steer_read(flow);
		return;
	case ABI_PHASE_REQUEST:
		http_read(flow);
		return;
	case ABI_PHASE_CONNECT:
		if (side == FLOW_BACKEND)
			connect_ready(flow, events);
		else if (events & EPOLLERR)
			flow_reset(flow, "reset-by-client");
		return;
	case ABI_PHASE_PREFACE:
		if (events & EPOLLERR && side == FLOW_CLIENT)
			flow_reset(flow, "reset-by-client");
		else if (events & EPOLLERR)
			flow_lost_backend(flow);
		else if (side == FLOW_BACKEND)
			connect_send(flow);
		return;
	case ABI_PHASE_EXCHANGE:
		http_ready(flow, side, events);
		return;
	case ABI_PHASE_RELAY:
		relay_ready(flow, side, events);
		return;
	case ABI_PHASE_ARMED:
		join_ready(flow, side, events);
		return;
	case ABI_PHASE_KERNEL:
	case ABI_PHASE_RETURN:
		redirect_ready(flow, side, events);
		return;
	case ABI_PHASE_REFUSE:
		refuse_read(flow);
		return;
	case ABI_PHASE_SPLICED: /* its sockets had more to say in this turn */
	case ABI_PHASE_FREE:	/* ended earlier in this turn */
	case ABI_PHASE_COUNT:
		return;
	}
}

static void flow_client_ready(struct watch *watch, uint32_t events)
{
	flow_step((struct flow *)((char *)watch -
				  offsetof(struct flow, end[FLOW_CLIENT])),
		  FLOW_CLIENT, events);
}

static void flow_backend_ready(struct watch *watch, uint32_t events)
{
	flow_step((struct flow *)((char *)watch -
				  offsetof(struct flow, end[FLOW_BACKEND])),
		  FLOW_BACKEND, events);
}

/* accept → cookie → record: whoever finds the socket later can tell whose
 * it is. */
static void flow_record_client(struct flow *flow,
			       const struct abi_endpoint *peer, uint64_t id,
			       uint64_t accepted_ns)
{
	int fd = flow->end[FLOW_CLIENT].fd;
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	struct abi_endpoint local;
	struct abi_flow_cold *cold;
	__u64 cookie = 0;

	getsockname(fd, (struct sockaddr *)&address, &size);
	addr_from_sockaddr(&address, &local);
	size = sizeof(cookie);
	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);

	cold = flow_record_begin(flow);
	/* All but the sequence: a reader must not find it even now. */
	memset((char *)cold + sizeof(cold->sequence), 0,
	       sizeof(*cold) - sizeof(cold->sequence));
	cold->phase = flow->is_http ? ABI_PHASE_REQUEST : ABI_PHASE_HELLO;
	cold->id = id;
	cold->client_cookie = cookie;
	cold->accepted_ns = accepted_ns;
	cold->client = *peer;
	cold->peer = *peer;
	cold->local = local;
	cold->listener_id = flow->listening->row.id;
	cold->thread = (__u8)flow->thread->index;
	flow_record_end(flow);
}

static bool flow_is_trusted(const struct flow *flow)
{
	const struct abi_listener *row = &flow->listening->row;

	for (unsigned i = 0; i < row->trusted_count; i++) {
		if (addr_in_prefix(&flow->cold->peer, &row->trusted[i]))
			return true;
	}
	return false;
}

static bool flow_limit(struct flow *flow, enum abi_limit limit)
{
	flow->limit = (uint8_t)limit;
	flow_outcome(flow, ABI_OUTCOME_LIMITED);
	flow_reset(flow, words_limit[limit]);
	return false;
}

/* The hook at the edge has seen the SYN, but of whom a proxy speaks for only
 * the proxy's address. */
static bool flow_is_too_fast(const struct flow *flow)
{
	const struct abi_flow_cold *cold = flow->cold;

	return !addr_equal(&cold->client, &cold->peer) &&
	       edge_is_too_fast(&flow->thread->agent->store, &cold->client);
}

static struct limit_rules flow_rules(const struct store *store)
{
	return (struct limit_rules){
		.ipv4_bits = (unsigned)setting_get(store,
						   ABI_SET_SOURCE_PREFIX_IPV4),
		.ipv6_bits = (unsigned)setting_get(store,
						   ABI_SET_SOURCE_PREFIX_IPV6),
		.max_flows = setting_get(store, ABI_SET_MAX_FLOWS_PER_SOURCE),
		.max_pending =
			setting_get(store, ABI_SET_HELLO_PENDING_PER_SOURCE),
	};
}

void flow_count_again(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;
	const struct abi_endpoint *client = &flow->cold->client;
	struct limit_rules rules = flow_rules(&agent->store);
	enum abi_limit limit;

	if (edge_is_allowed(&agent->store, client))
		return;
	rules.max_flows = 0;
	rules.max_pending = 0;
	flow->source = limit_enter(&agent->limits, client, &rules, &limit);
	flow->pending = flow->source;
	flow_settle(flow);
}

bool flow_admit(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;
	const struct store *store = &agent->store;
	const struct abi_endpoint *client = &flow->cold->client;
	const struct limit_rules rules = flow_rules(store);
	enum abi_limit limit;

	if (edge_is_allowed(store, client))
		return true;
	if (edge_is_banned(store, client)) {
		flow_outcome(flow, ABI_OUTCOME_BANNED);
		flow_reset(flow, "banned");
		return false;
	}
	if (flow_is_too_fast(flow))
		return flow_limit(flow, ABI_LIMIT_RATE);
	flow->source = limit_enter(&agent->limits, client, &rules, &limit);
	if (!flow->source)
		return flow_limit(flow, limit);
	flow->pending = true;
	return true;
}

bool flow_take_header(struct flow *flow, const struct proxy_header *header)
{
	struct abi_flow_cold *cold;

	flow->proxy_expected = false;
	if (!header->local) {
		cold = flow_record_begin(flow);
		cold->client = header->info.source;
		cold->local = header->info.destination;
		flow_record_end(flow);
	}
	return flow_admit(flow);
}

static void flow_set_linger(int fd)
{
	/* Close sends a RST and throws away what is queued. */
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void flow_init(struct flow *flow, struct thread *thread,
	       struct listening *listening, int client, int backend)
{
	*flow = (struct flow){
		.end = {{flow_client_ready, client},
			{flow_backend_ready, backend}},
		.thread = thread,
		.listening = listening,
		.cold = flow->cold,
		.hot = flow->hot,
		.look = {FLOW_LOOK_BYTES, FLOW_LOOK_BYTES},
		.is_http = listening->row.http,
	};
}

static void flow_start(struct flow *flow, const struct abi_endpoint *peer,
		       uint64_t id, uint64_t accepted_ns)
{
	struct thread *thread = flow->thread;

	*flow->hot = (struct abi_flow_hot){0};
	flow_record_client(flow, peer, id, accepted_ns);
	flow_hold(flow);
	crash_point("recorded");
	deadline_set(&thread->deadlines, flow,
		     flow->is_http ? DEADLINE_REQUEST : DEADLINE_HELLO,
		     thread->now_ns);
	/* Who stands behind a trusted proxy is known only from its header. */
	flow->proxy_expected = flow_is_trusted(flow);
	if (!flow->proxy_expected && !flow_admit(flow))
		return;
	/* The hello is often there already. Read first, watch then: what has
	 * been read is no event any more. */
	if (flow->is_http)
		http_read(flow);
	else
		steer_read(flow);
	if (flow->cold->phase != ABI_PHASE_FREE &&
	    thread_watch(thread, &flow->end[FLOW_CLIENT],
			 EPOLLIN | EPOLLRDHUP | EPOLLET, true)) {
		flow_outcome(flow, ABI_OUTCOME_LIMITED);
		flow_reset(flow, "limited");
	}
}

void flow_begin(struct thread *thread, struct listening *listening, int fd,
		const struct abi_endpoint *peer)
{
	struct flow *flow = flow_take(thread->agent);

	thread->counters->accepted++;
	if (!flow) {
		thread->counters->outcome[ABI_OUTCOME_LIMITED]++;
		thread->counters->limited[ABI_LIMIT_FLOWS]++;
		flow_set_linger(fd);
		close(fd);
		return;
	}
	flow_init(flow, thread, listening, fd, -1);
	crash_point("accepted");
	flow_start(flow, peer,
		   __atomic_fetch_add(&thread->agent->store.meta->next_flow_id,
				      1, __ATOMIC_RELAXED),
		   thread->now_ns);
}

bool flow_begin_again(struct flow *flow, struct preface *kept, size_t taken)
{
	const struct abi_flow_cold *cold = flow->cold;
	struct heart *heart = flow->thread->agent->heart;
	struct abi_endpoint peer = cold->peer;

	flow_forget_name(flow);
	if (kept) {
		if (!steer_keep(flow, heart_bytes(heart, kept), taken))
			return false;
		kept->length = (uint32_t)taken;
		kept->worker = heart->worker;
		flow->opening->taken = taken;
		flow->opening->kept = kept;
	}
	flow_start(flow, &peer, cold->id, cold->accepted_ns);
	return true;
}

void flow_settle(struct flow *flow)
{
	if (flow->pending)
		limit_settle(&flow->thread->agent->limits, flow->source);
	flow->pending = false;
}

void flow_forget_opening(struct flow *flow)
{
	flow_settle(flow);
	if (flow->opening && flow->opening->kept)
		heart_forget(flow->opening->kept);
	free(take_pointer(flow->opening));
}

static void flow_count_packets(struct flow *flow)
{
	for (unsigned i = 0; i < 2; i++) {
		struct tcp_info info = {0};
		socklen_t size = sizeof(info);

		if (flow->end[i].fd >= 0 &&
		    !getsockopt(flow->end[i].fd, IPPROTO_TCP, TCP_INFO, &info,
				&size))
			flow->hot->direction[i].packets = info.tcpi_segs_in;
	}
}

void flow_close_backend(struct flow *flow)
{
	if (flow->end[FLOW_BACKEND].fd < 0)
		return;
	flow_count_packets(flow);
	close(take_fd(&flow->end[FLOW_BACKEND].fd));
}

void flow_lost_backend(struct flow *flow)
{
	if (flow->is_http)
		http_refuse(flow, ABI_OUTCOME_CONNECT_FAILED);
	else
		flow_reset(flow, "reset-by-backend");
}

static void flow_account(struct flow *flow, const char *how)
{
	struct thread *thread = flow->thread;
	const struct abi_flow_cold *cold = flow->cold;
	const struct store *store = &thread->agent->store;
	struct abi_flow_hot figures;
	uint64_t bytes[2];
	enum abi_log form = (enum abi_log)setting_get(store, ABI_SET_LOG);

	flow_figures(store, cold, flow->hot, &figures);
	bytes[0] = figures.direction[0].bytes;
	bytes[1] = figures.direction[1].bytes;
	thread->counters->outcome[cold->outcome]++;
	if (cold->outcome == ABI_OUTCOME_LIMITED)
		thread->counters->limited[flow->limit]++;
	thread->counters->bytes[0] += bytes[0];
	thread->counters->bytes[1] += bytes[1];
	if (cold->route.kind)
		accounts_add(&thread->accounts, store, &cold->route, bytes);
	if (form != ABI_LOG_OFF) {
		struct name name;
		struct log_flow line = {
			.cold = cold,
			.name = &name,
			.figures = &figures,
			.end = how,
			.error = flow->error,
			.listener = flow->listening->text,
			.now_ns = thread->now_ns,
		};

		flow_name(store, cold, &name);
		log_flow(&thread->log, &line, form);
	}
}

void flow_end(struct flow *flow, const char *how)
{
	struct thread *thread = flow->thread;
	struct abi_flow_cold *cold;

	/* Only a line of the log tells them of a flow that has ended. */
	if (flow->cold->connected_us &&
	    setting_get(&thread->agent->store, ABI_SET_LOG) != ABI_LOG_OFF)
		flow_count_packets(flow);
	join_leave(flow);
	for (unsigned i = 0; i < 2; i++) {
		if (flow->end[i].fd >= 0)
			close(take_fd(&flow->end[i].fd));
		crash_point(i ? "closed" : "closing");
		if (flow->pipe[i])
			pipes_return(&thread->pipes,
				     take_pointer(flow->pipe[i]));
	}
	redirect_forget(flow);
	flow_forget_opening(flow);
	http_forget(flow);
	if (flow->source)
		limit_leave(&thread->agent->limits, take_pointer(flow->source));
	deadline_set(&thread->deadlines, flow, DEADLINE_NONE, 0);
	flow_account(flow, how);
	flow_forget_name(flow);

	cold = flow_record_begin(flow);
	cold->phase = ABI_PHASE_FREE;
	cold->client_cookie = 0;
	cold->backend_cookie = 0;
	flow_record_end(flow);
	/* A flow on the "again" list is dropped from it first: relay.c. */
	if (!flow->is_again) {
		flow->next_again = thread->ended;
		thread->ended = flow;
	}
}

void flow_reset(struct flow *flow, const char *how)
{
	for (unsigned i = 0; i < 2; i++) {
		if (flow->end[i].fd >= 0)
			flow_set_linger(flow->end[i].fd);
	}
	flow_end(flow, how);
}

static uint64_t flow_wait_ns(const struct flow *flow)
{
	static const enum abi_setting setting[DEADLINE_COUNT] = {
		[DEADLINE_HELLO] = ABI_SET_HELLO_TIMEOUT_MS,
		[DEADLINE_REQUEST] = ABI_SET_HTTP_REQUEST_TIMEOUT_MS,
		[DEADLINE_EXCHANGE] = ABI_SET_HTTP_IDLE_TIMEOUT_MS,
		[DEADLINE_CONNECT] = ABI_SET_CONNECT_TIMEOUT_MS,
		[DEADLINE_IDLE] = ABI_SET_IDLE_TIMEOUT_MS,
		[DEADLINE_HALF_CLOSE] = ABI_SET_HALF_CLOSE_TIMEOUT_MS,
		[DEADLINE_DROP] = ABI_SET_HELLO_TIMEOUT_MS,
	};

	if (flow->deadline == DEADLINE_REFUSE)
		return FLOW_REFUSE_NS;
	if (flow->deadline == DEADLINE_FLUSH)
		return FLOW_FLUSH_NS;
	if (flow->deadline == DEADLINE_JOIN)
		return FLOW_JOIN_NS;
	if (flow->deadline == DEADLINE_RETURN)
		return FLOW_RETURN_NS;
	return setting_get(&flow->thread->agent->store,
			   setting[flow->deadline]) *
	       1000000;
}

uint64_t flow_deadline_ns(const struct flow *flow)
{
	uint64_t wait_ns = flow_wait_ns(flow);

	if (flow->deadline == DEADLINE_IDLE ||
	    flow->deadline == DEADLINE_EXCHANGE ||
	    flow->deadline == DEADLINE_HALF_CLOSE)
		wait_ns /= FLOW_IDLE_LOOKS;
	return flow->deadline_from_ns + wait_ns;
}

/* Moving bytes does not touch the queues. A flow that is not idle long enough
 * goes to the end of its queue as of now, not as of its last byte: the queue
 * has to stay in order. */
static void flow_expire_idle(struct flow *flow, const char *how)
{
	const struct abi_flow_cold *cold = flow->cold;
	struct thread *thread = flow->thread;
	struct abi_flow_hot figures;
	uint64_t last_ns;

	join_recheck(flow);
	if (cold->phase == ABI_PHASE_FREE)
		return;
	flow_figures(&thread->agent->store, cold, flow->hot, &figures);
	last_ns = MAX(figures.last_ns, flow_after_ns(cold, cold->connected_us));
	/* BPF's clock may be ahead of this turn's. */
	if (last_ns + flow_wait_ns(flow) > thread->now_ns)
		deadline_set(&thread->deadlines, flow,
			     (enum deadline)flow->deadline, thread->now_ns);
	else if (flow->deadline == DEADLINE_EXCHANGE)
		http_expired(flow);
	else
		flow_end(flow, how);
}

void flow_expire(struct flow *flow)
{
	switch ((enum deadline)flow->deadline) {
	case DEADLINE_HELLO:
	case DEADLINE_REQUEST:
		refuse(flow, ABI_OUTCOME_HELLO_TIMEOUT, 0);
		return;
	case DEADLINE_CONNECT:
		connect_expired(flow);
		return;
	case DEADLINE_IDLE:
	case DEADLINE_EXCHANGE:
		flow_expire_idle(flow, "idle");
		return;
	case DEADLINE_HALF_CLOSE:
		flow_expire_idle(flow, "half-close-timeout");
		return;
	case DEADLINE_FLUSH:
		relay_flush(flow);
		return;
	case DEADLINE_REFUSE:
		flow_end(flow, refuse_word(flow));
		return;
	case DEADLINE_DROP:
		flow_reset(flow, "refused");
		return;
	case DEADLINE_RETURN:
		redirect_step(flow);
		return;
	case DEADLINE_JOIN:
		join_expired(flow);
		return;
	case DEADLINE_NONE:
	case DEADLINE_COUNT:
		return;
	}
}
