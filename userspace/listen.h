/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The listening sockets: one a thread and family, kept equal to the map. */
#ifndef SNICTL_LISTEN_H
#define SNICTL_LISTEN_H

#include "addr.h"
#include "agent.h"

/* Two families, at most. */
#define LISTEN_FAMILIES 2
/* Cut by the kernel to net.core.somaxconn. */
#define LISTEN_BACKLOG 4096

/**
 * struct acceptor - a listening socket in a thread's loop.
 * @next: in the thread's list.
 */
struct acceptor {
	struct watch watch;
	struct listening *listening;
	struct thread *thread;
	struct acceptor *next;
};

/**
 * struct listening - a row of the listeners map that is, or was, served.
 * @error:     0: open; positive errno of the last attempt to open it.
 * @closed:    no longer in the map; only kept for the flows that came by it.
 * @acceptors: thread_count * LISTEN_FAMILIES, fd -1 where there is none.
 */
struct listening {
	struct listening *next;
	struct abi_endpoint endpoint;
	struct abi_listener row;
	char text[ADDR_TEXT_SIZE];
	int error;
	bool closed;
	struct acceptor *acceptors;
};

/**
 * listen_sync() - open what is in the map and not open, close the others.
 * @agent: called from the main thread, with the threads running.
 *
 * Rows that cannot be opened keep their error and are tried again with the
 * next call; news of them are logged once.
 *
 * Return: 0 if every row is open, -EAGAIN if some are not, or another
 * -errno where the map cannot be read.
 */
int listen_sync(struct agent *agent);

/**
 * listen_by_id() - where a flow came by.
 * Return: one with the text "-" where that is no more.
 */
struct listening *listen_by_id(const struct agent *agent, uint32_t id);

/** listen_at() - who accepts at this address of ours; NULL: nobody. */
struct listening *listen_at(const struct agent *agent,
			    const struct abi_endpoint *local);

/** listen_hold_requests() - the agent is leaving: accept none any more. */
void listen_hold_requests(struct agent *agent);

/** listen_tell() - the supervisor is to have kept what listens now. */
void listen_tell(void);

/** listen_stop() - accept what is queued, then close every listener. */
void listen_stop(struct agent *agent);

/**
 * listen_is_short() - does this errno say that descriptors or memory are short?
 */
bool listen_is_short(int error);

/** listen_pause() - accept nothing for a moment: descriptors are short. */
void listen_pause(struct thread *thread);

/** listen_resume() - accept again. */
void listen_resume(struct thread *thread);

#endif
