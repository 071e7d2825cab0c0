// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel moves the bytes: into the sockmap while all is quiet, and out of
 * it for good before anything that it cannot do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "cleanup.h"
#include "flow.h"
#include "flow_read.h"
#include "setting.h"
#include "sockmap.h"
#include "sockmap_check.h"
#include "stream.h"

/* ---- memory -------------------------------------------------------------- */

/* Of what TCP may use on the whole machine before the kernel is short of it
 * (tcp_mem, second figure), the sockmap's flows may hold this share. */
#define REDIRECT_SHARE 2
/* Each flow gets a part of what is left, so that the first leave some for many
 * more; but not so little that a long path would be slow. */
#define REDIRECT_PART 256
#define REDIRECT_LEAST (256U << 10)
/* The kernel gives TCP this part of the machine's memory. */
#define REDIRECT_MACHINE_PART 16

/* /proc/sys/net/ipv4/tcp_mem, in pages; it is not in every namespace. */
static uint64_t redirect_tcp_pages(void)
{
	unsigned long low, pressure = 0;
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_mem", "re");

	if (file) {
		if (fscanf(file, "%lu %lu", &low, &pressure) != 2)
			pressure = 0;
		fclose(file);
	}
	return pressure ? pressure
			: (uint64_t)sysconf(_SC_PHYS_PAGES) /
				  REDIRECT_MACHINE_PART;
}

static uint64_t redirect_budget(const struct agent *agent)
{
	uint64_t set = setting_get(&agent->store, ABI_SET_SOCKMAP_MEMORY_BYTES);

	return set ? set : agent->sockmap_memory;
}

/* Bytes of one direction that a flow may hold; 0: there are none left. Both
 * directions can be full at once. */
static uint32_t redirect_grant(struct agent *agent, uint32_t limit)
{
	uint64_t budget = redirect_budget(agent), given, part;

	given = atomic_load(&agent->sockmap_given);
	do {
		if (given >= budget)
			return 0;
		part = (budget - given) / REDIRECT_PART;
		if (part < REDIRECT_LEAST)
			part = REDIRECT_LEAST;
		if (part > limit)
			part = limit;
		if (given + 2 * part > budget)
			return 0;
	} while (!atomic_compare_exchange_weak(&agent->sockmap_given, &given,
					       given + 2 * part));
	return (uint32_t)part;
}

/* ---- places ---------------------------------------------------------------
 */

static struct abi_sockmap_flow *redirect_place(const struct flow *flow)
{
	return &flow->thread->agent->store
			.sockmap_flows[flow->cold->sockmap - 1];
}

static bool redirect_take_place(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;
	uint32_t number = places_take(&agent->sockmaps);
	struct abi_flow_cold *cold;

	if (!number)
		return false;
	agent->store.sockmap_flows[number - 1] = (struct abi_sockmap_flow){
		.flow = (uint32_t)(flow - agent->flows)};
	cold = flow_record_begin(flow);
	cold->sockmap = (__u16)number;
	flow_record_end(flow);
	return true;
}

/* What it had is in the flow's own figures from now on. Where a worker dies in
 * between, the next one finds the bytes by what was sent. */
static void redirect_give_place(struct flow *flow)
{
	uint32_t number = flow->cold->sockmap;
	struct abi_flow_cold *cold;
	struct abi_flow_hot all;

	if (!number)
		return;
	flow_figures(&flow->thread->agent->store, flow->cold, flow->hot, &all);
	cold = flow_record_begin(flow);
	cold->sockmap = 0;
	*flow->hot = all;
	flow_record_end(flow);
	places_give(&flow->thread->agent->sockmaps, number);
}

void redirect_forget(struct flow *flow)
{
	if (flow->pair && pair_is_joined(flow->pair))
		pair_forget(flow->pair);
	free(take_pointer(flow->pair));
	atomic_fetch_sub(&flow->thread->agent->sockmap_given,
			 2 * (uint64_t)flow->granted);
	flow->granted = 0;
	redirect_give_place(flow);
}

/* ---- open ---------------------------------------------------------------- */

void redirect_open(struct agent *agent)
{
	AUTO_FD flows = -1;
	struct error *error = &agent->sockmap_off;
	int result = sockmap_check(&agent->store, error);

	if (!result && store_get(&agent->store, ABI_MAP_SOCKMAP_FLOWS, &flows))
		result = error_set(error, EXIT_FAILED, ENOENT,
				   "the map of flows cannot be opened");
	if (!result)
		result = sockmap_open(&agent->store, flows,
				      store_sockmap_count(&agent->store),
				      agent->thread_count, true,
				      &agent->sockmap, error);
	agent->sockmap_memory = redirect_tcp_pages() *
				(uint64_t)sysconf(_SC_PAGESIZE) /
				REDIRECT_SHARE;
	if (result)
		log_say(LOG_LEVEL_NOTICE, "the data path sockmap is off: %s",
			error->text);
}

void redirect_close(struct agent *agent)
{
	sockmap_close(take_pointer(agent->sockmap));
}

/* ---- in ------------------------------------------------------------------ */

static void redirect_watch(struct flow *flow, uint32_t events)
{
	for (unsigned side = 0; side < 2; side++) {
		flow->readable[side] = true;
		flow->look[side] = FLOW_LOOK_BYTES;
		flow->blocked[side] = false;
		flow->watches_out[side] = false;
		thread_watch(flow->thread, &flow->end[side], events | EPOLLET,
			     false);
	}
}

/* A RST becomes a RST, but what the kernel has taken before it goes on first.
 * What it has passed and nobody has read it has thrown away already. */
static void redirect_broken(struct flow *flow, unsigned side)
{
	flow->pair->broken = (int)side;
	flow->broken = true;
	flow->pair->stopped_ns = flow->thread->now_ns;
	flow_phase(flow, ABI_PHASE_RETURN);
	pair_stop(flow->pair);
	redirect_step(flow);
}

static void redirect_failed(struct flow *flow, int error)
{
	if (error == -ECONNRESET)
		redirect_broken(flow, (unsigned)flow->pair->broken);
	else
		flow_reset(flow, error == -EBADMSG ? "bytes-lost" : "error");
}

static void redirect_return(struct flow *flow)
{
	int result;

	flow->pair->stopped_ns = flow->thread->now_ns;
	flow_phase(flow, ABI_PHASE_RETURN);
	result = pair_stop(flow->pair);
	if (result) {
		redirect_failed(flow, result);
		return;
	}
	redirect_step(flow);
}

static void redirect_record(struct flow *flow)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	if (cold->datapath != ABI_DATAPATH_SOCKMAP)
		flow->thread->counters->datapath[ABI_DATAPATH_SOCKMAP]++;
	cold->phase = ABI_PHASE_KERNEL;
	cold->datapath = ABI_DATAPATH_SOCKMAP;
	cold->why = ABI_WHY_NONE;
	flow_record_end(flow);
}

/* The relay has it from now on, and not because it ends. What the kernel had
 * against it, or its reader, would come up again; and on the bench a flow that
 * stays is as fast as one that is handed over again when all is quiet. */
static void redirect_leave(struct flow *flow, enum abi_why why)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	flow->datapath = ABI_DATAPATH_RELAY;
	cold->datapath = ABI_DATAPATH_RELAY;
	cold->why = (__u8)why;
	flow_record_end(flow);
}

static bool redirect_pair(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;
	struct abi_flow_cold *cold = flow->cold;

	flow->pair = malloc(sizeof(*flow->pair));
	if (!flow->pair)
		return false;
	*flow->pair = (struct pair){
		.sockmap = agent->sockmap,
		.slot = cold->sockmap - 1U,
		.fd = {flow->end[0].fd, flow->end[1].fd},
		.cookie = {cold->client_cookie, cold->backend_cookie},
		.record = redirect_place(flow),
	};
	return true;
}

void redirect_prepare(struct flow *flow)
{
	struct agent *agent = flow->thread->agent;
	enum abi_why why = ABI_WHY_NONE;
	uint32_t limit;

	if (!agent->sockmap || flow->datapath != ABI_DATAPATH_SOCKMAP)
		return;
	if (!redirect_take_place(flow) || !redirect_pair(flow)) {
		redirect_leave(flow, ABI_WHY_MEMORY);
		redirect_forget(flow);
		return;
	}
	limit = (uint32_t)setting_get(&agent->store,
				      ABI_SET_SOCKMAP_LIMIT_BYTES);
	flow->granted = redirect_grant(agent, limit);
	redirect_place(flow)->granted = flow->granted;
	if (!flow->granted)
		why = ABI_WHY_MEMORY;
	if (pair_bound(flow->pair, flow->granted ? flow->granted : limit))
		why = ABI_WHY_REFUSED;
	if (why == ABI_WHY_NONE)
		return;
	redirect_leave(flow, why);
	redirect_forget(flow);
}

void redirect_try(struct flow *flow)
{
	struct thread *thread = flow->thread;
	int result;

	if (!flow->pair || flow->datapath != ABI_DATAPATH_SOCKMAP ||
	    flow->hung[0] || flow->hung[1])
		return;
	result = pair_is_ready(flow->pair);
	if (!result)
		result = pair_join(flow->pair, flow->granted, thread->index);
	if (!result) {
		redirect_record(flow);
		redirect_watch(flow, EPOLLRDHUP);
		return;
	}
	if (result == -ECONNRESET) {
		redirect_failed(flow, result);
		return;
	}
	/* Bytes that came meanwhile have an event of their own. */
	if (result == -EAGAIN)
		return;
	redirect_leave(flow, ABI_WHY_REFUSED);
	if (pair_is_joined(flow->pair))
		redirect_return(flow);
	else
		redirect_forget(flow);
}

/* ---- news ---------------------------------------------------------------- */

static void redirect_look(struct flow *flow)
{
	if (flow->cold->phase != ABI_PHASE_KERNEL ||
	    (pair_is_drained(flow->pair, 0) && pair_is_drained(flow->pair, 1)))
		return;
	flow->thread->counters->returns++;
	redirect_leave(flow, ABI_WHY_READER);
	redirect_return(flow);
}

static void redirect_passed(void *context, uint32_t index)
{
	struct thread *thread = context;
	struct agent *agent = thread->agent;
	struct flow *flow =
		&agent->flows[agent->store.sockmap_flows[index / 2].flow];

	/* Late news may be of a flow that had this slot before. */
	if (flow->thread == thread)
		redirect_look(flow);
}

static void redirect_news(struct watch *watch, uint32_t events)
{
	struct thread *thread =
		(struct thread *)((char *)watch -
				  offsetof(struct thread, news));
	struct sockmap *sockmap = thread->agent->sockmap;
	uint64_t lost = sockmap_lost(sockmap);
	struct flow *flow, *next;

	(void)events;
	sockmap_news(sockmap, thread->index, redirect_passed, thread);
	if (lost == thread->news_lost)
		return;
	thread->news_lost = lost;
	for (flow = thread->deadlines.first[DEADLINE_IDLE]; flow; flow = next) {
		next = flow->next;
		redirect_look(flow);
	}
}

int redirect_thread(struct thread *thread)
{
	thread->news = (struct watch){redirect_news, -1};
	if (!thread->agent->sockmap)
		return 0;
	thread->news.fd = sockmap_ring(thread->agent->sockmap, thread->index);
	return thread_watch(thread, &thread->news, EPOLLIN, true);
}

void redirect_ready(struct flow *flow, enum flow_side side, uint32_t events)
{
	if (events & EPOLLERR)
		redirect_broken(flow, side);
	else if (flow->cold->phase == ABI_PHASE_RETURN)
		redirect_step(flow);
	else if (events & (EPOLLRDHUP | EPOLLHUP))
		redirect_return(flow);
}

/* ---- out ----------------------------------------------------------------- */

/* The kernel has something to finish. If it never does, it has lost bytes. */
static void redirect_wait(struct flow *flow)
{
	struct thread *thread = flow->thread;
	uint64_t most_ms = setting_get(&thread->agent->store,
				       ABI_SET_HALF_CLOSE_TIMEOUT_MS);

	if (thread->now_ns - flow->pair->stopped_ns >= most_ms * 1000000)
		flow_reset(flow, "bytes-lost");
	else
		deadline_set(&thread->deadlines, flow, DEADLINE_RETURN,
			     thread->now_ns);
}

/* What the kernel had taken is in the sink's send buffer: the rest is as with
 * any flow. */
static void redirect_end(struct flow *flow)
{
	enum flow_side side = (enum flow_side)flow->pair->broken;

	if (pair_is_written(flow->pair, side)) {
		flow_phase(flow, ABI_PHASE_RELAY);
		relay_broken(flow, side);
		return;
	}
	pair_widen(flow->pair, !side);
	redirect_wait(flow);
}

void redirect_step(struct flow *flow)
{
	struct thread *thread = flow->thread;
	const struct pair_turn turn = {thread->buffer, AGENT_BUFFER_BYTES,
				       thread->now_ns};
	int result;

	if (flow->broken) {
		redirect_end(flow);
		return;
	}
	result = pair_part(flow->pair, &turn);
	if (result == -EAGAIN) {
		redirect_wait(flow);
	} else if (result) {
		redirect_failed(flow, result);
	} else {
		redirect_forget(flow);
		redirect_watch(flow, EPOLLIN | EPOLLRDHUP);
		deadline_set(&thread->deadlines, flow, DEADLINE_IDLE,
			     thread->now_ns);
		flow_phase(flow, ABI_PHASE_RELAY);
		relay_pump(flow);
	}
}

/* ---- after a death ------------------------------------------------------- */

static bool redirect_is_broken(const struct flow *flow, unsigned side)
{
	enum stream_state state;
	uint64_t sent;

	return flow_is_broken(flow, side) ||
	       stream_sent(flow->end[side].fd, &sent, &state) ||
	       state == STREAM_CLOSED;
}

/* The kernel has gone on meanwhile; from here on the relay does. */
bool redirect_adopt(struct flow *flow)
{
	struct thread *thread = flow->thread;
	int result;

	if (!flow->cold->sockmap || !redirect_place(flow)->granted)
		return false;
	if (!thread->agent->sockmap || !redirect_pair(flow)) {
		flow_reset(flow, "worker-died");
		return true;
	}
	result = pair_bound(flow->pair, redirect_place(flow)->granted);
	if (!result)
		result = pair_recover(flow->pair);
	if (!result && !pair_is_joined(flow->pair)) {
		redirect_forget(flow);
		return false;
	}
	flow->datapath = ABI_DATAPATH_RELAY;
	flow_count_again(flow);
	flow->granted = redirect_place(flow)->granted;
	atomic_fetch_add(&thread->agent->sockmap_given,
			 2 * (uint64_t)flow->granted);
	for (unsigned side = 0; !result && side < 2; side++)
		result = thread_watch(thread, &flow->end[side],
				      EPOLLIN | EPOLLRDHUP | EPOLLET, true);
	if (redirect_is_broken(flow, FLOW_CLIENT))
		redirect_broken(flow, FLOW_CLIENT);
	else if (redirect_is_broken(flow, FLOW_BACKEND))
		redirect_broken(flow, FLOW_BACKEND);
	else if (result)
		flow_reset(flow, "bytes-lost");
	else
		redirect_return(flow);
	return true;
}
