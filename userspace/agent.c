// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "adopt.h"
#include "cleanup.h"
#include "flow.h"
#include "listen.h"

/* Events of one turn. */
#define AGENT_EVENTS_MAX 256
/* Descriptors that are neither a flow's nor a pipe's: maps, listeners, logs. */
#define AGENT_DESCRIPTORS 128

/* How soon lines are offered again that standard error did not take. */
#define AGENT_LOG_RETRY_NS 100000000ULL

/** struct task - something to be run in every thread. */
struct task {
	struct task *next;
	void (*run)(struct thread *thread, void *context);
	void *context;
	sem_t *done;
};

uint64_t agent_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

unsigned agent_flows_here(struct agent *agent)
{
	unsigned spliced = atomic_load(&agent->spliced_count);

	return atomic_load(&agent->flow_count) - spliced;
}

bool agent_has_room(const struct agent *agent)
{
	return atomic_load(&agent->flow_count) < agent->flow_limit;
}

void agent_wake_main(struct agent *agent)
{
	eventfd_write(agent->wake_main, 1);
}

int thread_watch(struct thread *thread, struct watch *watch, uint32_t events,
		 bool is_new)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	/* Of a connection that may be urgent data, see flow_look(). */
	if (events & EPOLLIN)
		event.events |= EPOLLPRI;
	return epoll_ctl(thread->epoll, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
			 watch->fd, &event)
		       ? -errno
		       : 0;
}

void thread_beat(struct thread *thread)
{
	thread->now_ns = agent_now_ns();
	heart_beat(thread->agent->heart, thread->index, thread->now_ns);
}

/* ---- tasks --------------------------------------------------------------- */

static void thread_run_tasks(struct watch *watch, uint32_t events)
{
	struct thread *thread =
		(struct thread *)((char *)watch -
				  offsetof(struct thread, wake));
	struct task *task;
	eventfd_t count;

	(void)events;
	eventfd_read(watch->fd, &count);
	pthread_mutex_lock(&thread->task_lock);
	task = thread->tasks;
	thread->tasks = NULL;
	pthread_mutex_unlock(&thread->task_lock);
	while (task) {
		struct task *next = task->next;
		sem_t *done = task->done;

		task->run(thread, task->context);
		sem_post(done);
		task = next;
	}
}

/* The main thread lives while it waits: a thread that hangs is found by the
 * beat that it does not give. */
static void agent_wait(struct agent *agent, sem_t *done)
{
	struct timespec until;

	do {
		heart_beat(agent->heart, agent->thread_count, agent_now_ns());
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
	} while (sem_clockwait(done, CLOCK_MONOTONIC, &until));
}

void agent_on_threads(struct agent *agent,
		      void (*run)(struct thread *thread, void *context),
		      void *context)
{
	struct task tasks[ABI_THREADS_MAX];
	sem_t done;

	sem_init(&done, 0, 0);
	for (unsigned i = 0; i < agent->thread_count; i++) {
		struct thread *thread = &agent->threads[i];

		tasks[i] = (struct task){NULL, run, context, &done};
		pthread_mutex_lock(&thread->task_lock);
		tasks[i].next = thread->tasks;
		thread->tasks = &tasks[i];
		pthread_mutex_unlock(&thread->task_lock);
		eventfd_write(thread->wake.fd, 1);
	}
	for (unsigned i = 0; i < agent->thread_count; i++)
		agent_wait(agent, &done);
	sem_destroy(&done);
}

static void thread_turn(struct thread *thread, void *context)
{
	(void)thread;
	(void)context;
}

void agent_look_again(struct agent *agent)
{
	agent_on_threads(agent, thread_turn, NULL);
}

struct agent_kill {
	bool (*matches)(const struct flow *flow, const void *context);
	const void *context;
	const char *how;
	atomic_uint count;
};

static void thread_kill(struct thread *thread, void *context)
{
	struct agent_kill *kill = context;

	/* Every flow waits in one of the queues. */
	for (unsigned i = DEADLINE_NONE + 1; i < DEADLINE_COUNT; i++) {
		struct flow *flow = thread->deadlines.first[i];

		while (flow) {
			struct flow *next = flow->next;

			if (kill->matches(flow, kill->context)) {
				flow_reset(flow, kill->how);
				atomic_fetch_add(&kill->count, 1);
			}
			flow = next;
		}
	}
}

unsigned agent_kill(struct agent *agent,
		    bool (*matches)(const struct flow *flow,
				    const void *context),
		    const void *context, const char *how)
{
	struct agent_kill kill = {
		.matches = matches, .context = context, .how = how};

	agent_on_threads(agent, thread_kill, &kill);
	return atomic_load(&kill.count);
}

/* ---- the loop ------------------------------------------------------------ */

static int thread_timeout_ms(const struct thread *thread)
{
	uint64_t due = thread->paused_until_ns;

	if (thread->again)
		return 0;
	for (unsigned i = DEADLINE_NONE + 1; i < DEADLINE_COUNT; i++) {
		const struct flow *first = thread->deadlines.first[i];

		if (first && (!due || flow_deadline_ns(first) < due))
			due = flow_deadline_ns(first);
	}
	if (thread->hear_ns && (!due || thread->hear_ns < due))
		due = thread->hear_ns;
	if (thread->tail_ns && (!due || thread->tail_ns < due))
		due = thread->tail_ns;
	/* Lines that standard error did not take. */
	if (thread->log.length &&
	    (!due || due > thread->now_ns + AGENT_LOG_RETRY_NS))
		due = thread->now_ns + AGENT_LOG_RETRY_NS;
	if (!due)
		return HEART_BEAT_MS;
	if (due <= thread->now_ns)
		return 0;
	due = (due - thread->now_ns) / 1000000 + 1;
	return due > HEART_BEAT_MS ? HEART_BEAT_MS : (int)due;
}

static void thread_expire(struct thread *thread)
{
	/* What begins to wait again here is not due again here. */
	const uint64_t now_ns = thread->now_ns;

	for (unsigned i = DEADLINE_NONE + 1; i < DEADLINE_COUNT; i++) {
		struct flow *flow;

		while ((flow = thread->deadlines.first[i]) &&
		       flow_deadline_ns(flow) <= now_ns) {
			flow_hold(flow);
			flow_expire(flow);
		}
	}
	if (thread->paused_until_ns &&
	    thread->paused_until_ns <= thread->now_ns)
		listen_resume(thread);
}

static void thread_go_on(struct thread *thread)
{
	struct flow *flow = thread->again;

	thread->again = NULL;
	while (flow) {
		struct flow *next = flow->next_again;

		flow->is_again = false;
		flow_hold(flow);
		if (flow->cold->phase == ABI_PHASE_RELAY) {
			relay_pump(flow);
		} else if (flow->cold->phase == ABI_PHASE_EXCHANGE) {
			http_pump(flow);
		} else if (flow->cold->phase == ABI_PHASE_FREE) {
			flow->next_again = thread->ended;
			thread->ended = flow;
		}
		flow = next;
	}
}

static void *thread_main(void *argument)
{
	struct thread *thread = argument;
	struct epoll_event events[AGENT_EVENTS_MAX];

	while (!thread->stopped) {
		int count;

		heart_hold(thread->agent->heart, thread->index, 0);
		count = epoll_wait(thread->epoll, events, AGENT_EVENTS_MAX,
				   thread_timeout_ms(thread));

		thread_beat(thread);
		for (int i = 0; i < count; i++) {
			struct watch *watch = events[i].data.ptr;

			watch->ready(watch, events[i].events);
		}
		thread_go_on(thread);
		thread_expire(thread);
		haste_look(&thread->haste, thread->now_ns);
		join_hear(thread);
		join_tail_send(thread);
		join_keep(thread);
		log_flush(&thread->log);
		accounts_flush(&thread->accounts, &thread->agent->store);
		flow_give_back(thread);
	}
	return NULL;
}

/* ---- start and stop ------------------------------------------------------ */

static int thread_init(struct agent *agent, struct thread *thread,
		       unsigned index)
{
	int result;

	thread->agent = agent;
	thread->index = index;
	thread->now_ns = agent_now_ns();
	thread->routes = ROUTE_TABLE_NONE;
	thread->counters = &agent->store.counters[index];
	thread->buffer = malloc(AGENT_BUFFER_BYTES);
	thread->message = malloc(HELLO_MAX_LIMIT);
	if (!thread->buffer || !thread->message)
		return -ENOMEM;
	pthread_mutex_init(&thread->task_lock, NULL);
	thread->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (thread->epoll < 0)
		return -errno;
	thread->wake.ready = thread_run_tasks;
	thread->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (thread->wake.fd < 0)
		return -errno;
	result = thread_watch(thread, &thread->wake, EPOLLIN, true);
	if (!result)
		result = redirect_thread(thread);
	return result ? result : join_thread(thread);
}

/* A flow needs two descriptors; an eighth of all is for pipes. */
static void agent_share_descriptors(struct agent *agent)
{
	struct rlimit limit = {0};
	rlim_t pipes, spare, flows;

	getrlimit(RLIMIT_NOFILE, &limit);
	pipes = limit.rlim_cur / 16 / agent->thread_count;
	if (pipes > PIPES_MAX)
		pipes = PIPES_MAX;
	for (unsigned i = 0; i < agent->thread_count; i++)
		agent->threads[i].pipes.most = (unsigned)pipes;
	spare = AGENT_DESCRIPTORS + pipes * agent->thread_count * 2;
	flows = limit.rlim_cur > spare ? (limit.rlim_cur - spare) / 2 : 1;
	if (flows > agent->store.meta->flow_capacity)
		flows = agent->store.meta->flow_capacity;
	agent->flow_limit = (unsigned)flows;
}

/* Places are taken by flows that go on. */
static int agent_make_places(struct agent *agent)
{
	uint32_t names = store_name_count(&agent->store);
	uint32_t sockmaps = store_sockmap_count(&agent->store);
	AUTO_FREE bool *named = calloc(names, sizeof(*named));
	AUTO_FREE bool *mapped = calloc(sockmaps, sizeof(*mapped));
	int result;

	if (!named || !mapped)
		return -ENOMEM;
	for (uint32_t i = 0; i < agent->store.flow_capacity; i++) {
		const struct abi_flow_cold *cold = &agent->store.cold[i];

		if (cold->phase == ABI_PHASE_FREE)
			continue;
		if (cold->long_name && cold->long_name <= names)
			named[cold->long_name - 1] = true;
		if (cold->sockmap && cold->sockmap <= sockmaps)
			mapped[cold->sockmap - 1] = true;
	}
	result = places_open(&agent->names, names, named);
	return result ? result
		      : places_open(&agent->sockmaps, sockmaps, mapped);
}

/* What the last agent left: where the sockets are gone, so are the flows; but
 * for those that had none any more. */
static int agent_make_flows(struct agent *agent)
{
	uint32_t capacity = agent->store.meta->flow_capacity;

	agent->flows = calloc(capacity, sizeof(*agent->flows));
	if (!agent->flows)
		return -ENOMEM;
	pthread_mutex_init(&agent->free_lock, NULL);
	for (uint32_t i = capacity; i-- > 0;) {
		struct flow *flow = &agent->flows[i];

		flow->cold = &agent->store.cold[i];
		flow->hot = &agent->store.hot[i];
		if (join_is_left(agent, i) || adopt_is_left(flow->cold))
			continue;
		if (flow->cold->phase != ABI_PHASE_FREE ||
		    flow->cold->sequence % 2) {
			flow->cold->sequence |= 1;
			flow->cold->phase = ABI_PHASE_FREE;
			flow_record_end(flow);
		}
		flow->next = agent->free_flows;
		agent->free_flows = flow;
	}
	return agent_make_places(agent);
}

int agent_start(struct agent *agent, struct error *error)
{
	int result = 0;

	limits_init(&agent->limits);
	agent->started_ns = agent_now_ns();
	agent->wake_main = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (agent->wake_main < 0)
		result = -errno;
	if (!result)
		result = agent_make_flows(agent);
	agent->threads = calloc(agent->thread_count, sizeof(*agent->threads));
	if (!agent->threads)
		result = -ENOMEM;
	if (!result)
		agent_share_descriptors(agent);
	for (unsigned i = 0; !result && i < agent->thread_count; i++)
		result = thread_init(agent, &agent->threads[i], i);
	if (!result)
		join_adopt(agent);
	for (unsigned i = 0; !result && i < agent->thread_count; i++)
		result = -pthread_create(&agent->threads[i].pthread, NULL,
					 thread_main, &agent->threads[i]);
	if (result)
		return error_set(error, EXIT_FAILED, result,
				 "cannot start the agent's threads: %s",
				 strerror(-result));
	return 0;
}

/* What is spliced goes on, and the next agent finds it. */
static bool agent_is_here(const struct flow *flow, const void *context)
{
	(void)context;
	return flow->cold->phase != ABI_PHASE_SPLICED;
}

static void thread_stop(struct thread *thread, void *context)
{
	(void)context;
	thread->stopped = true;
}

/* They end their turn: what they have to log or to count is. */
void agent_leave(struct agent *agent)
{
	agent_on_threads(agent, thread_stop, NULL);
	for (unsigned i = 0; i < agent->thread_count; i++)
		pthread_join(agent->threads[i].pthread, NULL);
}

void agent_stop(struct agent *agent)
{
	agent_kill(agent, agent_is_here, NULL, "killed");
	agent_leave(agent);
	for (unsigned i = 0; i < agent->thread_count; i++) {
		struct thread *thread = &agent->threads[i];

		pipes_done(&thread->pipes);
		route_table_close(&thread->routes);
		close(thread->epoll);
		close(thread->wake.fd);
		cleanup_fd(&thread->route_sockets[0]);
		cleanup_fd(&thread->route_sockets[1]);
		free(thread->buffer);
		free(thread->message);
		free(thread->tails);
	}
	free(agent->threads);
	free(agent->flows);
	places_close(&agent->names);
	places_close(&agent->sockmaps);
	close(agent->wake_main);
}
