// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 256
/* Connections taken or begun before those that are there have their turn. */
#define BURST 64
/* After SIGTERM, for what is still under way. */
#define LAST_NS (15 * NS_PER_S)

static volatile sig_atomic_t stop_wanted, release_wanted;

static void on_signal(int signal)
{
	if (signal == SIGUSR1)
		release_wanted = 1;
	else
		stop_wanted = 1;
}

sigset_t loop_catch_signals(void)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGUSR1};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked, before;

	sigemptyset(&blocked);
	/* Only processes.c waits for it. */
	sigaddset(&blocked, SIGCHLD);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		sigaddset(&blocked, caught[i]);
		sigaction(caught[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, &before);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigdelset(&before, caught[i]);
	return before;
}

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- flows -------------------------------------------------------------- */

struct flow *loop_add(struct loop *loop, int fd)
{
	struct flow *flow = calloc(1, sizeof(*flow));
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					      EPOLLET,
				    .data.ptr = flow};
	int one = 1;

	if (!flow)
		abort();
	flow->fd = fd;
	flow->started_ns = flow->progress_ns = clock_ns();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	flow->next = loop->flows;
	if (flow->next)
		flow->next->previous = flow;
	loop->flows = flow;
	loop->active++;
	loop->report.started++;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
	return flow;
}

static void loop_remove(struct loop *loop, struct flow *flow)
{
	if (flow->next)
		flow->next->previous = flow->previous;
	if (flow->previous)
		flow->previous->next = flow->next;
	else
		loop->flows = flow->next;
	loop->active--;
	loop->report.end_ns = clock_ns();
	close(flow->fd);
	free(flow->out);
	free(flow->in);
	free(flow);
}

void loop_queue(struct loop *loop, struct flow *flow)
{
	if (flow->queued)
		return;
	flow->queued = true;
	flow->next_to_run = NULL;
	*loop->run_last = flow;
	loop->run_last = &flow->next_to_run;
}

/* One turn of all that are queued now; they may queue themselves again. */
static void run_queued(struct loop *loop)
{
	struct flow *flow = loop->run_first, *next;

	loop->run_first = NULL;
	loop->run_last = &loop->run_first;
	for (; flow; flow = next) {
		next = flow->next_to_run;
		flow->queued = false;
		if (flow->state != FLOW_OVER)
			flow_step(loop, flow);
		if (flow->state == FLOW_OVER && !flow->queued)
			loop_remove(loop, flow);
	}
}

/* ---- waiting ------------------------------------------------------------ */

void loop_wake_at(struct loop *loop, int64_t ns)
{
	if (ns < loop->next_timer_ns)
		loop->next_timer_ns = ns;
}

void loop_park(struct loop *loop, struct flow *flow)
{
	if (loop->released) {
		flow->stall_over = true;
		return;
	}
	flow->parked = true;
	loop->parked++;
	if (loop->options->client && loop->parked == loop->options->connections)
		dprintf(loop->options->ready_fd, "parked\n");
}

static void release(struct loop *loop)
{
	loop->released = true;
	for (struct flow *flow = loop->flows; flow; flow = flow->next) {
		flow->parked = false;
		flow->stall_over = true;
		flow->progress_ns = clock_ns();
		loop_queue(loop, flow);
	}
}

static void wake(struct loop *loop, struct flow *flow, int64_t *at_ns,
		 int64_t now)
{
	if (!*at_ns)
		return;
	if (*at_ns <= now) {
		*at_ns = 0;
		loop_queue(loop, flow);
	} else {
		loop_wake_at(loop, *at_ns);
	}
}

/* Wake those whose time has come, and fail those that stand still. */
static void run_timers(struct loop *loop, int64_t now)
{
	int64_t timeout = loop->options->timeout_seconds * NS_PER_S;

	if (now < loop->next_timer_ns)
		return;
	loop->next_timer_ns = now + NS_PER_S;
	for (struct flow *flow = loop->flows; flow; flow = flow->next) {
		if (flow->stall_end_ns && flow->stall_end_ns <= now)
			flow->stall_over = true;
		wake(loop, flow, &flow->stall_end_ns, now);
		wake(loop, flow, &flow->send_at_ns, now);
		if (flow->state != FLOW_OVER && !flow->parked &&
		    !flow->stall_end_ns && timeout &&
		    now - flow->progress_ns > timeout) {
			flow_fail(loop, flow, FAIL_TIMEOUT,
				  "no progress for %" PRId64 " s",
				  loop->options->timeout_seconds);
			loop_queue(loop, flow);
		}
	}
}

static void cut_or_fail_all(struct loop *loop, bool fail)
{
	for (struct flow *flow = loop->flows; flow; flow = flow->next) {
		if (flow->state == FLOW_OVER)
			continue;
		if (flow->mine.end == END_CUT && flow->state == FLOW_STREAM)
			flow_cut(loop, flow);
		else if (fail)
			flow_fail(loop, flow, FAIL_TIMEOUT,
				  "unfinished at the end");
		loop_queue(loop, flow);
	}
}

/* ---- both ends ---------------------------------------------------------- */

void loop_listen(const struct options *options, int *listeners)
{
	int one = 1;

	for (unsigned i = 0; i < options->end_count; i++) {
		const struct sockaddr_storage *end = &options->ends[i];
		int fd = socket(end->ss_family,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (end->ss_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
				   sizeof(one));
		/* Any that the kernel has, where we may administrate it. */
		if (options->congestion &&
		    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION,
			       options->congestion,
			       (socklen_t)strlen(options->congestion)))
			die(options->congestion);
		listeners[i] = fd;
		if (fd < 0 ||
		    bind(fd, (const struct sockaddr *)end, sizeof(*end)) ||
		    listen(fd, 4096))
			die("listening");
	}
	dprintf(options->ready_fd, "ready\n");
}

/* Of those who share them one is woken. */
static void watch_listeners(struct loop *loop, int *listeners)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

	for (unsigned i = 0; i < loop->options->end_count; i++) {
		event.data.ptr = &listeners[i];
		if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, listeners[i], &event))
			die("epoll_ctl");
	}
}

static void accept_some(struct loop *loop, int listener)
{
	const struct options *options = loop->options;

	for (int i = 0; i < BURST; i++) {
		int fd = accept4(listener, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct flow *flow;

		if (fd < 0)
			return;
		flow = loop_add(loop, fd);
		flow->state = FLOW_PREFACE;
		if (!options->answer)
			flow_greet(flow, options);
	}
}

static void connect_one(struct loop *loop)
{
	const struct options *options = loop->options;
	uint64_t id = loop->report.started;
	const struct sockaddr_storage *to =
		&options->ends[id % options->end_count];
	int one = 1;
	int fd = socket(to->ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct flow *flow;

	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (options->bind_to.ss_family &&
	    bind(fd, (const struct sockaddr *)&options->bind_to,
		 sizeof(options->bind_to)))
		die("binding");
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) &&
	    errno != EINPROGRESS)
		die("connecting");
	flow = loop_add(loop, fd);
	flow->state = FLOW_CONNECT;
	flow->id = id;
	flow->random = pattern_mix(id, options->seed);
	flow->send_key = pattern_key(options->seed, id, TO_SERVER);
	flow->receive_key = pattern_key(options->seed, id, TO_CLIENT);
	flow->greeting_left = options->greeting;
}

static void take_events(struct loop *loop, const sigset_t *signals,
			int *listeners)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t wait = loop->next_timer_ns - clock_ns();
	struct timespec timeout = {0};
	int count;

	if (wait > 0 && !loop->run_first)
		timeout = (struct timespec){wait / NS_PER_S, wait % NS_PER_S};
	count = epoll_pwait2(loop->epoll, events, EVENTS_MAX, &timeout,
			     signals);
	for (int i = 0; i < count; i++) {
		struct flow *flow = events[i].data.ptr;
		int *listener = events[i].data.ptr;
		uint32_t what = events[i].events;

		if (listener >= listeners && listener < listeners + LIST_MAX) {
			accept_some(loop, *listener);
			continue;
		}
		if (what & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			flow->hung_up = true;
		if (flow->hung_up || what & EPOLLIN)
			flow->readable = true;
		if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			flow->writable = true;
		if (!flow->parked)
			loop_queue(loop, flow);
	}
}

/* Return: whether there is nothing left to do. */
static bool loop_done(struct loop *loop, int64_t stop_ns)
{
	const struct options *options = loop->options;
	const struct report *report = &loop->report;

	if (loop->active)
		return false;
	if (stop_ns)
		return true;
	if (options->client)
		return report->started == options->connections;
	return report->completed + report_failed(report) >=
	       options->connections;
}

/* When the rate lets the next connection begin. */
static int64_t rate_due_ns(const struct loop *loop)
{
	double share = (double)loop->report.started;

	if (!loop->options->rate)
		return 0;
	share /= (double)loop->options->rate;
	return loop->report.start_ns + (int64_t)(share * (double)NS_PER_S);
}

static void connect_some(struct loop *loop, int64_t now)
{
	const struct options *options = loop->options;

	for (int i = 0; i < BURST && loop->active < options->concurrency &&
			loop->report.started < options->connections;
	     i++) {
		int64_t due_ns = rate_due_ns(loop);

		if (due_ns > now) {
			loop_wake_at(loop, due_ns);
			return;
		}
		connect_one(loop);
	}
}

/* What happens at a time or at a signal. @stop_ns, @park_ns: 0: not yet. */
static void run_schedule(struct loop *loop, int64_t now, int64_t *stop_ns,
			 int64_t *park_ns)
{
	const struct options *options = loop->options;
	int64_t end_ns = loop->report.start_ns + options->duration_ns;

	if (!*stop_ns &&
	    (stop_wanted || (options->duration_ns && now >= end_ns))) {
		*stop_ns = now;
		loop->stopped = true;
		cut_or_fail_all(loop, false);
	}
	if (!*stop_ns && options->duration_ns)
		loop_wake_at(loop, end_ns);
	if (*stop_ns && stop_wanted && now > *stop_ns + LAST_NS)
		cut_or_fail_all(loop, true);
	if (options->park_seconds && !*park_ns &&
	    loop->parked == options->connections)
		*park_ns = now + options->park_seconds * NS_PER_S;
	if (*park_ns && !loop->released)
		loop_wake_at(loop, *park_ns);
	if (!loop->released &&
	    (release_wanted || (*park_ns && now >= *park_ns)))
		release(loop);
}

void loop_run(const struct options *options, const sigset_t *signals,
	      int *listeners, struct report *ret_report)
{
	static struct loop loop;
	int64_t stop_ns = 0, park_ns = 0;

	loop = (struct loop){.options = options, .run_last = &loop.run_first};
	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	loop.report.start_ns = loop.report.end_ns = clock_ns();
	if (!options->client)
		watch_listeners(&loop, listeners);
	for (;;) {
		int64_t now = clock_ns();

		run_timers(&loop, now);
		run_schedule(&loop, now, &stop_ns, &park_ns);
		if (loop_done(&loop, stop_ns))
			break;
		if (options->client && !stop_ns)
			connect_some(&loop, now);
		take_events(&loop, signals, listeners);
		run_queued(&loop);
	}
	*ret_report = loop.report;
}
