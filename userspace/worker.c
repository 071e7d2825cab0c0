// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "worker.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "adopt.h"
#include "agent.h"
#include "claim.h"
#include "cleanup.h"
#include "control.h"
#include "edge_hook.h"
#include "edge_watch.h"
#include "flow.h"
#include "inherit.h"
#include "listen.h"
#include "privilege.h"
#include "serve.h"
#include "setting.h"
#include "state.h"

enum worker_poll {
	WORKER_SIGNAL,
	WORKER_CONTROL,
	WORKER_DRAINED,
	WORKER_LINKS,
	WORKER_CLOCK,
	WORKER_POLLS
};

/* So long requests on port 80 may take that an upgrade has come upon. */
#define WORKER_LEAVE_NS 15000000000ULL

/**
 * struct worker - the main thread of the worker process.
 * @leaving: all that is open is left to the worker of the next version.
 * @until_ns: when to end, draining or leaving, at the latest; 0: neither.
 */
struct worker {
	struct agent agent;
	struct pollfd polls[WORKER_POLLS];
	int claim;
	bool stopping;
	bool leaving;
	bool retry;
	uint64_t until_ns;
	struct edge_watch edge;
};

static int worker_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR2);
	/* The threads inherit the mask: signals come to the main one only. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static uint64_t worker_drain_ns(const struct worker *worker)
{
	return setting_get(&worker->agent.store, ABI_SET_DRAIN_TIMEOUT_MS) *
	       1000000;
}

static void worker_drain(struct worker *worker)
{
	struct agent *agent = &worker->agent;

	log_say(LOG_LEVEL_NOTICE, "no new connections; %u flows may end",
		agent_flows_here(agent));
	atomic_store(&agent->draining, true);
	listen_stop(agent);
	worker->until_ns = agent_now_ns() + worker_drain_ns(worker);
}

/* Of all that is open only a request that is with its backend needs us to the
 * end: the next one waits. */
static void worker_leave(struct worker *worker)
{
	unsigned count = atomic_load(&worker->agent.exchange_count);
	uint64_t most_ns = worker_drain_ns(worker);

	if (count)
		log_say(LOG_LEVEL_NOTICE,
			"no new requests; %u that are sent may end", count);
	if (most_ns > WORKER_LEAVE_NS)
		most_ns = WORKER_LEAVE_NS;
	worker->until_ns = agent_now_ns() + most_ns;
	worker->leaving = true;
	atomic_store(&worker->agent.leaving, true);
	listen_hold_requests(&worker->agent);
}

static void worker_on_signal(struct worker *worker)
{
	struct signalfd_siginfo signal;

	while (read(worker->polls[WORKER_SIGNAL].fd, &signal, sizeof(signal)) ==
	       sizeof(signal)) {
		if (signal.ssi_signo == SIGUSR2)
			worker_leave(worker);
		else if (signal.ssi_signo == SIGINT || worker->until_ns)
			worker->stopping = true;
		else
			worker_drain(worker);
	}
}

static int worker_timeout_ms(const struct worker *worker)
{
	uint64_t now_ns = agent_now_ns();
	int most_ms = HEART_BEAT_MS;

	if (worker->until_ns)
		most_ms =
			worker->until_ns <= now_ns
				? 0
				: (int)((worker->until_ns - now_ns) / 1000000) +
					  1;
	else if (!worker->retry)
		most_ms = edge_watch_timeout_ms(&worker->edge,
						&worker->agent.store);
	return most_ms < 0 || most_ms > HEART_BEAT_MS ? HEART_BEAT_MS : most_ms;
}

/* Draining or leaving: until there is nothing more to wait for. */
static bool worker_is_over(struct worker *worker)
{
	struct agent *agent = &worker->agent;
	unsigned left = worker->leaving ? atomic_load(&agent->exchange_count)
					: agent_flows_here(agent);

	return !left || agent_now_ns() >= worker->until_ns;
}

static void worker_beat(struct worker *worker)
{
	heart_beat(worker->agent.heart, worker->agent.thread_count,
		   agent_now_ns());
}

static void worker_turn(struct worker *worker)
{
	int count =
		poll(worker->polls, WORKER_POLLS, worker_timeout_ms(worker));
	eventfd_t ended;

	worker_beat(worker);
	if (worker->polls[WORKER_SIGNAL].revents)
		worker_on_signal(worker);
	if (count > 0 && worker->polls[WORKER_CONTROL].revents)
		serve_request(&worker->agent, worker->polls[WORKER_CONTROL].fd);
	if (worker->polls[WORKER_DRAINED].revents)
		eventfd_read(worker->polls[WORKER_DRAINED].fd, &ended);
	if (worker->until_ns)
		worker->stopping |= worker_is_over(worker);
	else if (!worker->stopping)
		worker->retry = listen_sync(&worker->agent) != 0;
	edge_watch_turn(&worker->edge, &worker->agent);
}

static int worker_open(struct worker *worker,
		       const struct worker_options *options,
		       struct error *error)
{
	struct agent *agent = &worker->agent;
	int control = inherit_control(), result;

	agent->paths = options->paths;
	agent->thread_count = options->threads;
	agent->datapath = options->datapath;
	/* Who asks while there is no worker waits for this one. */
	result = control < 0 ? control_listen(&agent->paths, &control, error)
			     : 0;
	if (result)
		return result;
	worker->polls[WORKER_CONTROL] = (struct pollfd){control, POLLIN, 0};
	result = state_open(&agent->paths, &agent->store, error);
	if (!result)
		result = claim_take(&agent->paths, agent->store.pins,
				    &worker->claim, error);
	if (result)
		return result;
	/* Bans hold before the first connection does. */
	if (edge_hook_sync(&agent->store, error))
		log_say(LOG_LEVEL_ERROR, "%s", error->text);
	join_open(agent);
	state_unlock(&agent->store);
	redirect_open(agent);
	edge_watch_open(&worker->edge);
	worker->polls[WORKER_LINKS] =
		(struct pollfd){worker->edge.links, POLLIN, 0};
	worker->polls[WORKER_CLOCK] =
		(struct pollfd){worker->edge.clock, POLLIN, 0};
	result = privilege_drop(error);
	if (result)
		return result;
	result = agent_start(agent, error);
	/* Who banned somebody while there was no agent has not waited for it:
	 * from here on requests do, as the control socket is open. */
	if (!result)
		serve_bans(agent);
	return result;
}

/* Shows every thread alive before the supervisor looks. */
static void worker_serves(struct worker *worker)
{
	agent_look_again(&worker->agent);
	worker_beat(worker);
	atomic_store(&worker->agent.heart->serves, true);
	kill(getppid(), SIGUSR1);
}

int worker_run(const struct worker_options *options, struct heart *heart)
{
	static struct worker worker;
	struct error error = {0};
	const int kept[] = {heart->memory, atomic_load(&heart->asker),
			    heart->old};
	int result = inherit_open(kept, sizeof(kept) / sizeof(kept[0]));

	worker.agent.heart = heart;
	if (result) {
		log_say(LOG_LEVEL_ERROR, "cannot read /proc/self/fd: %s",
			strerror(-result));
		return EXIT_FAILED;
	}
	worker.polls[WORKER_SIGNAL] =
		(struct pollfd){worker_signals(), POLLIN, 0};
	if (worker_open(&worker, options, &error)) {
		log_say(LOG_LEVEL_ERROR, "%s", error.text);
		return (int)error.status;
	}
	worker.polls[WORKER_DRAINED] =
		(struct pollfd){worker.agent.wake_main, POLLIN, 0};
	worker.retry = listen_sync(&worker.agent) != 0;
	worker_serves(&worker);
	adopt_flows(&worker.agent);
	if (inherit_close())
		listen_tell();
	while (!worker.stopping)
		worker_turn(&worker);
	if (worker.leaving) {
		agent_leave(&worker.agent);
		return EXIT_DONE;
	}
	listen_stop(&worker.agent);
	agent_stop(&worker.agent);
	redirect_close(&worker.agent);
	join_close(&worker.agent);
	store_close(&worker.agent.store);
	return EXIT_DONE;
}
