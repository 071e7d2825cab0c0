/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent: one process, a thread a CPU, each with an event loop of its own.
 * A flow lives and dies in the thread that accepted it. */
#ifndef SNICTL_AGENT_H
#define SNICTL_AGENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "account.h"
#include "deadline.h"
#include "haste.h"
#include "heart.h"
#include "limit.h"
#include "log.h"
#include "pipes.h"
#include "places.h"
#include "route.h"
#include "store.h"

struct listening;
struct sockmap;
struct splice;
struct task;

/* One read of the copying relay; also the scratch of every other read. */
#define AGENT_BUFFER_BYTES 65536

/**
 * struct watch - a descriptor in a thread's epoll set.
 * @ready: called with the epoll events; may release what holds the watch,
 *         flows are safe since their slots are given back after the batch.
 */
struct watch {
	void (*ready)(struct watch *watch, uint32_t events);
	int fd;
};

/**
 * struct thread - an event loop and all that only it touches.
 * @now_ns:   CLOCK_MONOTONIC, read once a turn.
 * @news:     the sockmap's ring for this thread, fd -1: none.
 * @news_lost: sockmap_lost() when last looked at.
 * @splice_news: likewise the ring of the splices.
 * @hear_ns:  when to look there again without being woken; 0: not.
 * @tails:    segments that a far client may have to be sent once more,
 *            @tail_count of them.
 * @tail_ns:  when the next of them is due, or before; 0: there is none.
 * @keep_ns:  when to ask spliced flows' sides whether they are there.
 * @route_sockets: for IPv4 and IPv6, to learn by which address of this host a
 *            target is reached; -1: there is none.
 * @route_target, @route_source, @route_ns: the last one so learnt, and when.
 * @haste:    whether it lets others go first.
 * @again:    flows whose bytes did not fit into one turn.
 * @ended:    flows whose slots are given back when the turn is over.
 * @paused_until_ns: no accepting before; 0: accepting.
 */
struct thread {
	struct agent *agent;
	unsigned index;
	pthread_t pthread;
	int epoll;
	struct watch wake;
	struct watch news;
	uint64_t news_lost;
	struct watch splice_news;
	uint64_t hear_ns;
	int route_sockets[2];
	struct abi_endpoint route_target;
	struct abi_endpoint route_source;
	uint64_t route_ns;
	struct tail *tails;
	unsigned tail_count;
	uint64_t tail_ns;
	uint64_t keep_ns;
	uint64_t now_ns;
	struct deadlines deadlines;
	struct flow *again;
	struct flow *ended;
	struct acceptor *acceptors;
	uint64_t paused_until_ns;
	bool stopped;
	struct route_table routes;
	struct pipes pipes;
	struct haste haste;
	struct log log;
	struct accounts accounts;
	struct abi_counters *counters;
	uint8_t *buffer;
	uint8_t *message;
	pthread_mutex_t task_lock;
	struct task *tasks;
};

/**
 * struct agent - the worker process.
 * @heart:         where each thread shows that it does not hang.
 * @flows:         array of store.meta->flow_capacity; beside hot and cold.
 * @free_flows:    a stack of free ones, under @free_lock.
 * @names:         places for long names.
 * @sockmaps:      places for flows in the sockmap.
 * @flow_count:    flows in being, over all threads.
 * @spliced_count: of them, those that go on without an agent.
 * @flow_limit:    as many as the descriptors allow, two each.
 * @sockmap:       NULL: that data path is off; @sockmap_off says why.
 * @sockmap_memory: bytes that its flows may hold, where nothing is set.
 * @sockmap_given: bytes that they have been promised.
 * @splice, @splice_off: likewise; the latter also of what is not proved.
 * @splice_claim:  as by claim_namespace(); -1: none.
 * @splices: IPv4 and IPv6 flows are spliced.
 * @exchange_count: of requests with a backend, those that would end with us.
 * @wake_main:     eventfd, written when the last flow of a drain has ended, or
 *                 the last exchange before we leave.
 * @listenings:    every listener opened since the start; flows point there.
 * @leaving:       all is left to another worker soon: no request is begun.
 */
struct agent {
	struct paths paths;
	struct heart *heart;
	struct store store;
	enum abi_datapath datapath;
	struct sockmap *sockmap;
	struct error sockmap_off;
	uint64_t sockmap_memory;
	atomic_uint_fast64_t sockmap_given;
	struct splice *splice;
	struct error splice_off;
	int splice_claim;
	bool splices[2];
	unsigned thread_count;
	struct thread *threads;
	struct flow *flows;
	struct flow *free_flows;
	struct places names;
	struct places sockmaps;
	pthread_mutex_t free_lock;
	atomic_uint flow_count;
	atomic_uint spliced_count;
	atomic_uint exchange_count;
	unsigned flow_limit;
	struct limits limits;
	struct listening *listenings;
	uint64_t started_ns;
	int wake_main;
	atomic_bool draining;
	atomic_bool leaving;
};

/** agent_now_ns() - CLOCK_MONOTONIC. */
uint64_t agent_now_ns(void);

/** agent_flows_here() - flows that would end with the agent. */
unsigned agent_flows_here(struct agent *agent);

/** agent_has_room() - for one more flow, which needs two descriptors. */
bool agent_has_room(const struct agent *agent);

/** agent_wake_main() - the last one has ended that it waits for. */
void agent_wake_main(struct agent *agent);

/** thread_beat() - look at the clock, and show that the thread lives. */
void thread_beat(struct thread *thread);

/** thread_watch() - add a descriptor, or change its events. Return: 0/-errno.
 */
int thread_watch(struct thread *thread, struct watch *watch, uint32_t events,
		 bool is_new);

/**
 * agent_on_threads() - run something in every thread, and wait for it.
 * @run: called once in each thread, in any order, at the same time.
 */
void agent_on_threads(struct agent *agent,
		      void (*run)(struct thread *thread, void *context),
		      void *context);

/** agent_look_again() - settings have changed: deadlines may be due sooner. */
void agent_look_again(struct agent *agent);

/**
 * agent_kill() - reset every flow that @matches; returns when it is done.
 * @matches: called in the flow's own thread.
 * @how:     the word in the log; static.
 *
 * Return: how many there were.
 */
unsigned agent_kill(struct agent *agent,
		    bool (*matches)(const struct flow *flow,
				    const void *context),
		    const void *context, const char *how);

/**
 * agent_start() - make the threads; they run until agent_stop().
 * @agent: paths, heart, store, datapath and thread_count are filled in.
 *
 * Return: 0, or -errno with a sentence.
 */
int agent_start(struct agent *agent, struct error *error);

/** agent_leave() - end the threads; flows and sockets stay as they are. */
void agent_leave(struct agent *agent);

/** agent_stop() - end the threads and all flows with them. */
void agent_stop(struct agent *agent);

#endif
