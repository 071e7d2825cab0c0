// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A flow on the packet-level data path, from the agent's side: armed before it
 * connects; once the backend has all that the agent sends, the programs decide
 * (bpf/splice.bpf.c). SPLICED: the sockets are closed without a word, and the
 * agent only hears of the end. ABORTED: both sockets are as they were, and go
 * on by the relay. Until the verdict nobody reads from either.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/param.h>
#include <sys/socket.h>
#include "addr.h"
#include "claim.h"
#include "cleanup.h"
#include "conntrack.h"
#include "crash.h"
#include "flow.h"
#include "inherit.h"
#include "listen.h"
#include "setting.h"
#include "splice.h"
#include "splice_check.h"
#include "stream.h"
#include "words.h"

/* RFC 7323 appendix D: what timestamps take of each segment. */
#define JOIN_TIMESTAMPS_BYTES 12
/* Slots whose ports turn out to be in use, before it is given up. */
#define JOIN_TRIES 8
/* SO_ORIGINAL_DST, and IP6T_SO_ORIGINAL_DST; their headers and netinet/in.h do
 * not go together. */
#define JOIN_ORIGINAL_DST 80
/* How long news of a splice may wait while there are many. */
#define JOIN_HEAR_NS 10000000ULL
/* How long an address of this host is taken for the way to a target. */
#define JOIN_SOURCE_NS 1000000ULL

/* ---- open -----------------------------------------------------------------
 */

/* Which families may be spliced; of the others, and of those of which nothing
 * can be known, the sentence says why. The latter only where it was asked for:
 * "auto" splices what is proved. */
static void join_prove(struct agent *agent, enum abi_datapath wanted)
{
	struct splice_finding findings[2];
	const char *why[2] = {findings[0].why, findings[1].why};

	splice_check(&agent->store, findings);
	for (unsigned i = 0; i < 2; i++)
		agent->splices[i] = findings[i].known == SPLICE_PROVED ||
				    (findings[i].known == SPLICE_UNTRIED &&
				     wanted != ABI_DATAPATH_AUTO);
	if (!strcmp(why[0], why[1]))
		snprintf(agent->splice_off.text, sizeof(agent->splice_off.text),
			 "%s", why[0]);
	else
		snprintf(agent->splice_off.text, sizeof(agent->splice_off.text),
			 "%s%s%s%s%s", *why[0] ? "IPv4: " : "", why[0],
			 *why[0] && *why[1] ? "; " : "",
			 *why[1] ? "IPv6: " : "", why[1]);
}

static bool join_may_splice(enum abi_datapath wanted)
{
	return wanted == ABI_DATAPATH_SPLICE || wanted == ABI_DATAPATH_AUTO;
}

static void join_say_off(const struct error *error)
{
	log_say(LOG_LEVEL_WARNING, "the data path splice is off: %s",
		error->text);
}

void join_open(struct agent *agent)
{
	struct error *error = &agent->splice_off;
	enum abi_datapath wanted = agent->datapath;
	int result;

	agent->splice_claim = -1;
	if (wanted == ABI_DATAPATH_AUTO)
		wanted = (enum abi_datapath)setting_get(&agent->store,
							ABI_SET_DATAPATH);
	/* What an earlier agent has spliced has to be watched over. */
	if (!join_may_splice(wanted) && !splice_exists(&agent->store)) {
		error_set(error, EXIT_FAILED, EPERM,
			  "snictld's --datapath, or the setting datapath, was "
			  "\"%s\" when it started",
			  words_datapath[wanted]);
		return;
	}
	join_prove(agent, wanted);
	/* Without it nothing more is spliced. */
	if ((agent->splices[0] || agent->splices[1]) &&
	    claim_namespace(&agent->splice_claim, error))
		agent->splices[0] = agent->splices[1] = false;
	if (!agent->splices[0] && !agent->splices[1] &&
	    !splice_exists(&agent->store)) {
		join_say_off(error);
		return;
	}
	result = splice_open(&agent->store, agent->thread_count, &agent->splice,
			     error);
	if (result) {
		cleanup_fd(&agent->splice_claim);
		agent->splice_claim = -1;
		join_say_off(error);
	} else if (*error->text)
		log_say(LOG_LEVEL_WARNING, "the data path splice: %s",
			error->text);
	if (!result && agent->splice->guard)
		log_say(LOG_LEVEL_NOTICE,
			"this kernel resets spliced flows where the programs "
			"are taken away from an interface: %s",
			strerror(-agent->splice->guard));
}

void join_close(struct agent *agent)
{
	splice_close(take_pointer(agent->splice));
	cleanup_fd(&agent->splice_claim);
}

/* ---- arm ------------------------------------------------------------------
 */

/* The thread keeps the socket that is asked: to make one each time took 10 us.
 */
static int join_ask_source(struct thread *thread,
			   const struct abi_endpoint *target,
			   struct abi_endpoint *ret_source)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	int fd = thread->route_sockets[target->family == AF_INET6];
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(target, &address);

	/* Else it keeps the address that it has got for the last target. */
	if (connect(fd, &nowhere, sizeof(nowhere)) ||
	    connect(fd, (struct sockaddr *)&address, size))
		return -errno;
	size = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &size))
		return -errno;
	addr_from_sockaddr(&address, ret_source);
	return 0;
}

/* Where connections to a target come from. */
static int join_source(struct thread *thread, const struct abi_endpoint *target,
		       struct abi_endpoint *ret_source)
{
	int result;

	if (thread->now_ns - thread->route_ns < JOIN_SOURCE_NS &&
	    !memcmp(target, &thread->route_target, sizeof(*target))) {
		*ret_source = thread->route_source;
		return 0;
	}
	result = join_ask_source(thread, target, ret_source);
	if (result)
		return result;
	thread->route_target = *target;
	thread->route_source = *ret_source;
	thread->route_ns = thread->now_ns;
	return 0;
}

/* What the client has dialled, if netfilter has made another address of it:
 * the interface sees packets for that one, the programs would not know them. */
static bool join_is_translated(int fd, const struct abi_endpoint *local)
{
	int level = local->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	struct abi_endpoint dialled;

	if (getsockopt(fd, level, JOIN_ORIGINAL_DST, &address, &size))
		return false;
	addr_from_sockaddr(&address, &dialled);
	return memcmp(&dialled, local, sizeof(dialled)) != 0;
}

/* The backend is to send no larger segments than the client takes, and to
 * agree to what the client has agreed to. */
static int join_options(const struct flow *flow, int fd,
			struct abi_splice *slot)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	int mss;

	if (getsockopt(flow->end[FLOW_CLIENT].fd, IPPROTO_TCP, TCP_INFO, &info,
		       &size))
		return -errno;
	mss = (int)info.tcpi_snd_mss;
	if (info.tcpi_options & TCPI_OPT_TIMESTAMPS) {
		slot->offered |= ABI_SPLICE_TIMESTAMPS;
		mss += JOIN_TIMESTAMPS_BYTES;
	}
	if (info.tcpi_options & TCPI_OPT_SACK)
		slot->offered |= ABI_SPLICE_SACK;
	if (info.tcpi_options & TCPI_OPT_ECN)
		slot->offered |= ABI_SPLICE_ECN;
	slot->handshake.received = (__u32)info.tcpi_bytes_received;
	if (info.tcpi_rtt > ABI_SPLICE_NEAR_US)
		slot->far_ms = (__u16)MIN(info.tcpi_rtt / 1000 + 1, UINT16_MAX);
	return setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss))
		       ? -errno
		       : 0;
}

/* A slot whose port can be had. */
static int join_bind(struct flow *flow, int fd, struct abi_endpoint *source,
		     uint32_t *ret_slot)
{
	struct splice *splice = flow->thread->agent->splice;
	struct sockaddr_storage address;
	socklen_t size;
	uint32_t slot;

	for (int i = 0; i < JOIN_TRIES; i++) {
		if (splice_take(splice, flow->thread->now_ns, &slot))
			return -ENOSPC;
		source->port_be =
			htobe16((uint16_t)(splice->first_port + slot));
		size = addr_to_sockaddr(source, &address);
		if (!bind(fd, (struct sockaddr *)&address, size)) {
			*ret_slot = slot;
			return 0;
		}
		splice_rest(splice, slot, flow->thread->now_ns);
	}
	return -ENOSPC;
}

static void join_record(struct flow *flow, uint32_t slot,
			const struct abi_endpoint *source)
{
	struct abi_flow_cold *cold = flow_record_begin(flow);

	cold->splice = (__u16)(slot + 1);
	cold->source = *source;
	flow_record_end(flow);
}

static void join_slot(struct flow *flow, struct abi_splice *slot,
		      const struct abi_endpoint *local,
		      const struct abi_endpoint *source,
		      const struct abi_endpoint *target)
{
	const struct opening *opening = flow->opening;

	slot->flow = (__u32)(flow - flow->thread->agent->flows);
	slot->thread = (__u8)flow->thread->index;
	slot->handshake.sent = (__u32)(opening->header_length +
				       opening->length - opening->skip);
	slot->family = target->family;
	splice_way(&slot->way[ABI_FROM_CLIENT], source, target);
	splice_way(&slot->way[ABI_FROM_BACKEND], local, &flow->cold->peer);
}

static enum abi_why join_try(struct flow *flow, int fd,
			     const struct abi_endpoint *target)
{
	struct splice *splice = flow->thread->agent->splice;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	struct abi_endpoint local, source;
	uint32_t slot;

	if (target->family != flow->cold->peer.family)
		return ABI_WHY_FAMILY;
	if (!flow->thread->agent->splices[target->family == AF_INET6])
		return ABI_WHY_OFF;
	if (join_source(flow->thread, target, &source) ||
	    getsockname(flow->end[FLOW_CLIENT].fd, (struct sockaddr *)&address,
			&size))
		return ABI_WHY_ROUTE;
	addr_from_sockaddr(&address, &local);
	/* To itself: no packet of it is ever seen on an interface. */
	if (!memcmp(source.addr, target->addr, sizeof(source.addr)) ||
	    join_is_translated(flow->end[FLOW_CLIENT].fd, &local))
		return ABI_WHY_ROUTE;
	if (join_bind(flow, fd, &source, &slot)) {
		/* It may be none of this host's any more. */
		flow->thread->route_ns = 0;
		return ABI_WHY_SLOTS;
	}
	flow->splice = slot + 1;
	join_slot(flow, &splice->slots[slot], &local, &source, target);
	join_record(flow, slot, &source);
	if (join_options(flow, fd, &splice->slots[slot]))
		return ABI_WHY_OPTIONS;
	return splice_arm(splice, slot) ? ABI_WHY_SLOTS : ABI_WHY_NONE;
}

void join_arm(struct flow *flow, int fd, const struct abi_endpoint *target)
{
	if (flow->is_http ||
	    !join_may_splice((enum abi_datapath)flow->datapath) ||
	    !flow->thread->agent->splice)
		return;
	flow->why = (uint8_t)join_try(flow, fd, target);
	if (flow->why)
		join_disarm(flow);
}

void join_disarm(struct flow *flow)
{
	struct splice *splice = flow->thread->agent->splice;
	uint32_t slot = flow->splice - 1;

	if (!flow->splice)
		return;
	flow->splice = 0;
	splice_disarm(splice, slot);
	splice_rest(splice, slot, flow->thread->now_ns);
}

/* ---- the verdict -----------------------------------------------------------
 */

static void join_relay(struct flow *flow, enum abi_why why)
{
	flow->why = (uint8_t)why;
	join_disarm(flow);
	relay_start(flow);
}

static struct abi_endpoint join_endpoint(const struct abi_splice *slot,
					 const __u8 *address, __be16 port_be)
{
	struct abi_endpoint at = {.port_be = port_be, .family = slot->family};

	memcpy(at.addr, address, sizeof(at.addr));
	return at;
}

/* A firewall has followed both connections up to here, and would wait for
 * their next packets for days. */
static void join_untrack(const struct splice *splice, uint32_t index)
{
	const struct abi_splice *slot = &splice->slots[index];

	if (conntrack_is_empty(&splice->conntrack))
		return;
	for (unsigned i = 0; i < 2; i++) {
		const struct abi_splice_way *way = &slot->way[i];
		struct abi_endpoint ours =
			join_endpoint(slot, way->source, way->source_port_be);
		struct abi_endpoint theirs = join_endpoint(
			slot, way->destination, way->destination_port_be);

		/* The client's was made by the client. */
		if (i == ABI_FROM_CLIENT)
			conntrack_forget(&splice->conntrack, &ours, &theirs);
		else
			conntrack_forget(&splice->conntrack, &theirs, &ours);
	}
}

/* A RST that was past the programs when they flipped: nobody sends it again. */
static bool join_is_reset(int fd)
{
	__u8 state; /* the first of struct tcp_info */
	socklen_t size = sizeof(state);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) &&
	       state == STREAM_CLOSED;
}

/* Without FIN or RST: tcp(7) does not tell, but TCP_REPAIR's close is silent,
 * so that a process that was checkpointed can be ended.
 * Return: how the flow has ended meanwhile, or NULL. */
static const char *join_close_silently(struct flow *flow)
{
	static const char *const ends[] = {"reset-by-client",
					   "reset-by-backend"};
	const char *end = NULL;

	for (unsigned i = 0; i < 2; i++) {
		int fd = take_fd(&flow->end[i].fd), on = TCP_REPAIR_ON;

		if (join_is_reset(fd))
			end = ends[i];
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
		close(fd);
	}
	return end;
}

static const char *join_spliced(struct flow *flow)
{
	struct thread *thread = flow->thread;
	struct abi_flow_cold *cold;
	const char *end;

	crash_point("spliced");
	flow_forget_opening(flow);
	end = join_close_silently(flow);
	crash_point("silenced");
	join_untrack(thread->agent->splice, flow->splice - 1);
	cold = flow_record_begin(flow);
	cold->phase = ABI_PHASE_SPLICED;
	cold->datapath = ABI_DATAPATH_SPLICE;
	cold->why = ABI_WHY_NONE;
	flow_record_end(flow);
	thread->counters->datapath[ABI_DATAPATH_SPLICE]++;
	atomic_fetch_add(&thread->agent->spliced_count, 1);
	if (thread->agent->draining && !agent_flows_here(thread->agent))
		agent_wake_main(thread->agent);
	deadline_set(&thread->deadlines, flow, DEADLINE_IDLE, thread->now_ns);
	return end;
}

static const char *join_end_word(const struct abi_splice *slot)
{
	switch ((enum abi_splice_end)slot->end) {
	case ABI_SPLICE_END_RESET_BY_CLIENT:
		return "reset-by-client";
	case ABI_SPLICE_END_RESET_BY_BACKEND:
		return "reset-by-backend";
	case ABI_SPLICE_END_NONE:
	case ABI_SPLICE_END_CLOSED:
		break;
	}
	return "closed";
}

static void join_look(struct flow *flow)
{
	struct thread *thread = flow->thread;
	const struct splice *splice = thread->agent->splice;
	const struct abi_splice *slot = &splice->slots[flow->splice - 1];
	enum abi_splice_state state = splice_state(splice, flow->splice - 1);
	const char *end = NULL;

	if (state == ABI_SPLICE_ABORTED) {
		join_relay(flow, (enum abi_why)slot->why);
		return;
	}
	if (state != ABI_SPLICE_SPLICED && state != ABI_SPLICE_CLOSED)
		return;
	if (flow->cold->phase == ABI_PHASE_ARMED)
		end = join_spliced(flow);
	if (state == ABI_SPLICE_CLOSED)
		flow_end(flow, join_end_word(slot));
	else if (end)
		flow_reset(flow, end);
	else if (flow->deadline == DEADLINE_IDLE &&
		 slot->passage.fins & ABI_SPLICE_FINS_SEEN)
		deadline_set(&thread->deadlines, flow, DEADLINE_HALF_CLOSE,
			     thread->now_ns);
}

static bool join_is_joined(const struct flow *flow)
{
	return flow->splice && (flow->cold->phase == ABI_PHASE_ARMED ||
				flow->cold->phase == ABI_PHASE_SPLICED);
}

/* Both sockets are as they were: unless the programs are faster. */
static void join_give_up(struct flow *flow, enum abi_why why)
{
	struct splice *splice = flow->thread->agent->splice;

	if (splice_abort(splice, flow->splice - 1) == ABI_SPLICE_ABORTED)
		splice->slots[flow->splice - 1].why = (__u8)why;
	join_look(flow);
}

void join_wait(struct flow *flow)
{
	flow_phase(flow, ABI_PHASE_ARMED);
	crash_point("armed");
	deadline_set(&flow->thread->deadlines, flow, DEADLINE_JOIN,
		     flow->thread->now_ns);
	/* Where the SYN has not been seen, what answers it is not: translated
	 * by netfilter, or sent by an interface without the programs. */
	if (flow->thread->agent->splice->slots[flow->splice - 1].has_iss)
		join_look(flow);
	else
		join_give_up(flow, ABI_WHY_ROUTE);
}

void join_ready(struct flow *flow, enum flow_side side, uint32_t events)
{
	(void)side;
	if (events & (EPOLLERR | EPOLLRDHUP | EPOLLHUP))
		join_give_up(flow, ABI_WHY_STATE);
	else
		join_look(flow);
}

void join_expired(struct flow *flow)
{
	join_give_up(flow, ABI_WHY_LATE);
}

void join_recheck(struct flow *flow)
{
	if (join_is_joined(flow))
		join_look(flow);
}

/* Late news may be of a flow that had this slot before: NULL. */
static struct flow *join_flow(const struct thread *thread, uint32_t slot)
{
	const struct agent *agent = thread->agent;
	struct flow *flow = &agent->flows[agent->splice->slots[slot].flow];

	return flow->thread == thread && flow->splice == slot + 1 &&
			       join_is_joined(flow)
		       ? flow
		       : NULL;
}

static void join_heard(void *context, uint32_t slot)
{
	struct flow *flow = join_flow(context, slot);

	if (flow)
		join_look(flow);
}

static void join_heard_tail(void *context, const struct abi_tail *tail)
{
	struct flow *flow = join_flow(context, tail->splice);

	if (flow)
		join_tail_keep(flow, tail);
}

/* The turn that it begins does, by join_hear(). */
static void join_news(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
}

void join_hear(struct thread *thread)
{
	struct splice *splice = thread->agent->splice;
	const struct splice_ears ears = {join_heard, join_heard_tail, thread};

	if (!splice)
		return;
	if (thread->hear_ns && thread->hear_ns <= thread->now_ns) {
		thread->hear_ns = 0;
		splice_come(splice, thread->index, false);
	}
	if (!splice_news(splice, thread->index, &ears))
		return;
	if (!thread->hear_ns)
		splice_come(splice, thread->index, true);
	thread->hear_ns = thread->now_ns + JOIN_HEAR_NS;
}

int join_thread(struct thread *thread)
{
	int result;

	thread->splice_news = (struct watch){join_news, -1};
	thread->route_sockets[0] = -1;
	thread->route_sockets[1] = -1;
	if (!thread->agent->splice)
		return 0;
	/* Where there is no IPv6, no target is reached by it. */
	for (unsigned i = 0; i < 2; i++)
		thread->route_sockets[i] = socket(i ? AF_INET6 : AF_INET,
						  SOCK_DGRAM | SOCK_CLOEXEC, 0);
	thread->splice_news.fd =
		splice_ring(thread->agent->splice, thread->index);
	result = thread_watch(thread, &thread->splice_news, EPOLLIN, true);
	return result ? result : join_tail_thread(thread);
}

/* ---- after a death ---------------------------------------------------------
 */

bool join_is_left(const struct agent *agent, uint32_t index)
{
	const struct abi_flow_cold *cold = &agent->store.cold[index];
	const struct splice *splice = agent->splice;
	uint32_t slot = cold->splice - 1;

	/* The agent may have died before it took note of that. */
	return splice && cold->phase != ABI_PHASE_FREE &&
	       slot < splice->count && splice->slots[slot].flow == index &&
	       splice_is_left(splice, slot);
}

static void join_adopt_one(struct agent *agent, uint32_t index)
{
	struct flow *flow = &agent->flows[index];
	uint32_t slot = agent->store.cold[index].splice - 1;
	struct thread *thread = &agent->threads[index % agent->thread_count];
	struct abi_flow_cold *cold;
	const char *end;

	cold = flow->cold;
	if (cold->sequence % 2)
		flow_record_end(flow);
	/* It may have died before it closed them. */
	flow_init(flow, thread, listen_by_id(agent, 0),
		  inherit_connection(cold->client_cookie),
		  inherit_connection(cold->backend_cookie));
	end = join_close_silently(flow);
	flow->splice = slot + 1;
	flow->datapath = ABI_DATAPATH_SPLICE;
	agent->splice->slots[slot].thread = (__u8)thread->index;
	cold = flow_record_begin(flow);
	cold->phase = ABI_PHASE_SPLICED;
	cold->datapath = ABI_DATAPATH_SPLICE;
	flow_record_end(flow);
	atomic_fetch_add(&agent->flow_count, 1);
	atomic_fetch_add(&agent->spliced_count, 1);
	deadline_set(&thread->deadlines, flow, DEADLINE_IDLE, thread->now_ns);
	join_untrack(agent->splice, slot);
	/* What it had to say meanwhile nobody has heard. */
	if (end)
		flow_reset(flow, end);
	else
		join_look(flow);
}

void join_adopt(struct agent *agent)
{
	if (!agent->splice)
		return;
	for (uint32_t i = 0; i < agent->store.meta->flow_capacity; i++) {
		if (join_is_left(agent, i))
			join_adopt_one(agent, i);
	}
	splice_claim_rest(agent->splice, agent->store.cold,
			  agent->store.meta->flow_capacity);
}

/* ---- the end ---------------------------------------------------------------
 */

void join_leave(struct flow *flow)
{
	struct splice *splice = flow->thread->agent->splice;
	uint32_t slot = flow->splice - 1;

	if (!flow->splice)
		return;
	if (flow->cold->phase == ABI_PHASE_SPLICED)
		atomic_fetch_sub(&flow->thread->agent->spliced_count, 1);
	switch (splice_abort(splice, slot)) {
	case ABI_SPLICE_CLOSED:
		flow->splice = 0;
		splice_rest(splice, slot, flow->thread->now_ns);
		return;
	case ABI_SPLICE_SPLICED:
		/* Sockets that are still there speak for themselves. */
		splice_disarm(splice, slot);
		if (flow->end[FLOW_CLIENT].fd < 0)
			splice_reset(splice, slot);
		break;
	case ABI_SPLICE_FREE:
	case ABI_SPLICE_ARMED:
	case ABI_SPLICE_FLIPPING:
	case ABI_SPLICE_ABORTED:
		break;
	}
	join_disarm(flow);
}
