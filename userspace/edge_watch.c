// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edge_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "ban.h"
#include "cleanup.h"
#include "conntrack.h"
#include "edge.h"
#include "edge_hook.h"
#include "splice.h"
#include "splice_route.h"

#define MS_NS 1000000ULL
/* How long to leave the writers' lock to others. */
#define AGAIN_MS 200
/* How often the log says what was dropped, if anything was. */
#define SAY_MS 60000
/* How long an interface may be without our programs: what the splice misses
 * is sent again. */
#define LOOK_MS 1000
/* All that may lead packets elsewhere; rules of IPv6 have no mask by name. */
#define ROUTE_NEWS                                                             \
	(RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |                 \
	 RTMGRP_IPV4_RULE | 1U << (RTNLGRP_IPV6_RULE - 1))

/* Becomes readable when something of these groups comes, goes or changes. */
static int open_news(__u32 groups)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
				      .nl_groups = groups};
	AUTO_FD news =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       NETLINK_ROUTE);

	if (news < 0 ||
	    bind(news, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return take_fd(&news);
}

/* Linux tells of a clock that is set by ending a timer that waits for it. */
static int open_clock(void)
{
	const struct itimerspec never = {.it_value.tv_sec = INT64_MAX / 4};
	int clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (clock >= 0)
		timerfd_settime(clock,
				TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
				&never, NULL);
	return clock;
}

void edge_watch_open(struct edge_watch *watch)
{
	*watch = (struct edge_watch){.links = open_news(RTMGRP_LINK),
				     .routes = -1,
				     .clock = open_clock()};
	if (watch->links < 0)
		log_say(LOG_LEVEL_WARNING,
			"interfaces that come later will have no bans: %s",
			strerror(-watch->links));
}

static bool is_due(const struct store *store)
{
	uint64_t next_ns =
		__atomic_load_n(&store->edge->next_expiry_ns, __ATOMIC_RELAXED);

	return next_ns && next_ns <= edge_now_ns();
}

int edge_watch_timeout_ms(const struct edge_watch *watch,
			  const struct store *store)
{
	uint64_t next_ns =
		__atomic_load_n(&store->edge->next_expiry_ns, __ATOMIC_RELAXED);
	uint64_t now_ns = edge_now_ns(), wait_ms = SAY_MS;

	if (watch->again)
		return AGAIN_MS;
	if (!edge_hook_wanted(store))
		return -1;
	if (next_ns && next_ns < now_ns + SAY_MS * MS_NS)
		wait_ms = next_ns > now_ns ? (next_ns - now_ns) / MS_NS + 1 : 0;
	return (int)wait_ms;
}

static bool has_news(int netlink)
{
	char buffer[8192];
	bool any = false;

	/* ENOBUFS: some were lost, which is news too. */
	while (netlink >= 0 &&
	       (recv(netlink, buffer, sizeof(buffer), MSG_TRUNC) >= 0 ||
		errno == ENOBUFS || errno == EINTR))
		any = true;
	return any;
}

/* Of such a timer one read fails for each time that the clock is set. */
static bool clock_was_set(struct edge_watch *watch)
{
	uint64_t count;

	if (watch->clock < 0 ||
	    read(watch->clock, &count, sizeof(count)) >= 0 ||
	    errno != ECANCELED)
		return false;
	return true;
}

static void say_drops(struct edge_watch *watch, const struct store *store)
{
	uint64_t now_ns = edge_now_ns();
	struct abi_edge_counts now;

	if (!edge_hook_wanted(store) ||
	    now_ns - watch->said_ns < SAY_MS * MS_NS)
		return;
	now = edge_counts_read(store);
	if (watch->said_ns && (now.banned != watch->said.banned ||
			       now.limited != watch->said.limited))
		log_say(LOG_LEVEL_NOTICE,
			"dropped at the edge in the last %llu s: banned=%llu "
			"limited-rate=%llu",
			(now_ns - watch->said_ns) / 1000 / MS_NS,
			now.banned - watch->said.banned,
			now.limited - watch->said.limited);
	watch->said = now;
	watch->said_ns = now_ns;
}

static void sync_splice(struct edge_watch *watch, struct agent *agent)
{
	struct error error = {0};
	int count;

	if (!agent->splice)
		return;
	conntrack_look(&agent->splice->conntrack);
	count = splice_sync(agent->splice, &agent->store, &error);
	if (count > 0)
		log_say(LOG_LEVEL_NOTICE,
			"splice: %d programs were missing on interfaces and "
			"have been attached",
			count);
	if (count < 0 && !watch->splice_off)
		log_say(LOG_LEVEL_ERROR, "%s", error.text);
	watch->splice_off = count < 0;
}

/* What cannot be had is said once. */
static void sync_hooks(struct edge_watch *watch, struct agent *agent)
{
	struct error error = {0};
	int status = edge_hook_sync(&agent->store, &error);

	if (status && !watch->hooks_off)
		log_say(LOG_LEVEL_ERROR, "%s", error.text);
	watch->hooks_off = status != 0;
	sync_splice(watch, agent);
	watch->looked_ns = edge_now_ns();
}

static void expire(struct agent *agent)
{
	struct error error = {0};
	int count = ban_expire(&agent->paths, &agent->store, &error);

	if (count > 0)
		log_say(LOG_LEVEL_NOTICE, "%d bans are over", count);
	if (count >= 0)
		return;
	log_say(LOG_LEVEL_ERROR, "%s", error.text);
	/* Not at once again, and for ever. */
	agent->store.edge->next_expiry_ns = 0;
}

/* Under the lock, which a writer may have just now: then again soon. What
 * fails of it keeps nothing else from being done. */
static void update(struct edge_watch *watch, struct agent *agent)
{
	watch->again = store_trylock(&agent->store) != 0;
	if (watch->again)
		return;
	if (watch->stepped || is_due(&agent->store))
		expire(agent);
	sync_hooks(watch, agent);
	store_unlock(&agent->store);
	watch->stepped = false;
}

/* However many routes have changed, they are asked for once a second; and at
 * the start, for what has changed without an agent. */
static void look_for_routes(struct edge_watch *watch, struct agent *agent)
{
	bool changed = watch->routes < 0;

	if (!agent->splice ||
	    edge_now_ns() - watch->routes_ns < LOOK_MS * MS_NS)
		return;
	watch->routes_ns = edge_now_ns();
	if (changed)
		watch->routes = open_news(ROUTE_NEWS);
	else
		changed = has_news(watch->routes);
	if (changed)
		splice_reroute(agent->splice);
}

/* Nothing tells of programs that are taken away: they are looked for. */
static void look_for_hooks(struct edge_watch *watch, struct agent *agent)
{
	if ((!agent->splice && !edge_hook_wanted(&agent->store)) ||
	    edge_now_ns() - watch->looked_ns < LOOK_MS * MS_NS ||
	    store_trylock(&agent->store))
		return;
	sync_hooks(watch, agent);
	store_unlock(&agent->store);
}

void edge_watch_turn(struct edge_watch *watch, struct agent *agent)
{
	bool news = has_news(watch->links);

	watch->stepped |= clock_was_set(watch);
	if (news || watch->stepped || watch->again || is_due(&agent->store))
		update(watch, agent);
	else
		look_for_hooks(watch, agent);
	look_for_routes(watch, agent);
	say_drops(watch, &agent->store);
}
