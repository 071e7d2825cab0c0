// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "cleanup.h"
#include "flow.h"
#include "inherit.h"
#include "listener.h"
#include "setting.h"

/* Connections taken in one turn, so that flows get theirs too. */
#define LISTEN_ACCEPTS_MAX 64
/* How long to accept nothing when descriptors are short. */
#define LISTEN_PAUSE_NS 100000000ULL

/* What is not accepted waits in the queue. */
static uint32_t listen_events(const struct acceptor *one)
{
	const struct thread *thread = one->thread;

	if (thread->paused_until_ns ||
	    (one->listening->row.http && atomic_load(&thread->agent->leaving)))
		return 0;
	return EPOLLIN;
}

static void listen_watch_again(struct thread *thread, void *context)
{
	(void)context;
	for (struct acceptor *one = thread->acceptors; one; one = one->next)
		thread_watch(thread, &one->watch, listen_events(one), false);
}

void listen_hold_requests(struct agent *agent)
{
	agent_on_threads(agent, listen_watch_again, NULL);
}

void listen_pause(struct thread *thread)
{
	bool paused = thread->paused_until_ns;

	thread->paused_until_ns = thread->now_ns + LISTEN_PAUSE_NS;
	if (paused)
		return;
	thread->counters->accept_pauses++;
	listen_watch_again(thread, NULL);
}

void listen_resume(struct thread *thread)
{
	thread->paused_until_ns = 0;
	for (struct acceptor *one = thread->acceptors; one; one = one->next) {
		/* One that could not be added before is added now. */
		if (thread_watch(thread, &one->watch, listen_events(one),
				 false) &&
		    thread_watch(thread, &one->watch, listen_events(one), true))
			thread->paused_until_ns =
				thread->now_ns + LISTEN_PAUSE_NS;
	}
}

/* The kernel reports a connection that died in the queue as an error of
 * accept(); it says nothing about the listener. */
bool listen_is_short(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM;
}

/* Return: false when there is nothing more to accept now. */
static bool listen_accept(struct acceptor *acceptor)
{
	struct thread *thread = acceptor->thread;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	struct abi_endpoint peer;
	int fd;

	/* A flow needs two descriptors: none is accepted that could not
	 * reach its backend. */
	if (!agent_has_room(thread->agent)) {
		listen_pause(thread);
		return false;
	}
	fd = accept4(acceptor->watch.fd, (struct sockaddr *)&address, &size,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (listen_is_short(errno))
			listen_pause(thread);
		return errno == EINTR || errno == ECONNABORTED;
	}
	addr_from_sockaddr(&address, &peer);
	flow_begin(thread, acceptor->listening, fd, &peer);
	return true;
}

static void listen_ready(struct watch *watch, uint32_t events)
{
	struct acceptor *acceptor = (struct acceptor *)watch;

	(void)events;
	for (int i = 0; i < LISTEN_ACCEPTS_MAX; i++) {
		if (!listen_accept(acceptor))
			return;
	}
}

/* Accepted sockets inherit these. */
static void listen_options(const struct agent *agent, int fd)
{
	uint64_t keepalive_ms =
		setting_get(&agent->store, ABI_SET_KEEPALIVE_MS);
	int seconds = (int)((keepalive_ms + 999) / 1000), on = 1;
	int keepalive = seconds != 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, sizeof(keepalive));
	if (!seconds)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
}

static int listen_socket(const struct agent *agent,
			 const struct abi_endpoint *endpoint, int *ret_fd)
{
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(endpoint, &address);
	int on = 1, off = 0;
	AUTO_FD fd = inherit_listener(endpoint);

	if (fd >= 0) {
		listen_options(agent, fd);
		*ret_fd = take_fd(&fd);
		return 0;
	}
	fd = socket(address.ss_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	listen_options(agent, fd);
	if (endpoint->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, size) ||
	    listen(fd, LISTEN_BACKLOG))
		return -errno;
	/* The answer acknowledges the hello, one packet less a connection;
	 * listen() would forget it. A hello in pieces: steer_hurry(). */
	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
	*ret_fd = take_fd(&fd);
	return 0;
}

static void listen_close(struct agent *agent, struct listening *listening)
{
	for (unsigned i = 0; i < agent->thread_count * LISTEN_FAMILIES; i++) {
		struct watch *watch = &listening->acceptors[i].watch;

		if (watch->fd >= 0)
			close(take_fd(&watch->fd));
	}
}

/* One socket a thread for one family. */
static int listen_open_family(struct agent *agent, struct listening *listening,
			      const struct abi_endpoint *endpoint,
			      unsigned family)
{
	for (unsigned i = 0; i < agent->thread_count; i++) {
		struct acceptor *acceptor =
			&listening->acceptors[i * LISTEN_FAMILIES + family];
		int error = listen_socket(agent, endpoint, &acceptor->watch.fd);

		if (error)
			return error;
	}
	return 0;
}

static int listen_open(struct agent *agent, struct listening *listening)
{
	struct abi_endpoint endpoint = listening->endpoint;
	int error;

	if (endpoint.family) {
		error = listen_open_family(agent, listening, &endpoint, 0);
	} else {
		endpoint.family = AF_INET;
		error = listen_open_family(agent, listening, &endpoint, 0);
		endpoint.family = AF_INET6;
		if (!error)
			error = listen_open_family(agent, listening, &endpoint,
						   1);
		/* A kernel without IPv6 serves IPv4 all the same. */
		if (error == -EAFNOSUPPORT)
			error = 0;
	}
	if (error)
		listen_close(agent, listening);
	return error;
}

static void listen_attach(struct thread *thread, void *context)
{
	struct listening *listening = context;

	for (unsigned i = 0; i < LISTEN_FAMILIES; i++) {
		struct acceptor *one =
			&listening->acceptors[thread->index * LISTEN_FAMILIES +
					      i];

		if (one->watch.fd < 0)
			continue;
		one->thread = thread;
		one->next = thread->acceptors;
		thread->acceptors = one;
		if (thread_watch(thread, &one->watch, listen_events(one), true))
			listen_pause(thread);
	}
}

/* Closing a listening socket resets what waits in its queue, so that is
 * accepted first. The service manager may keep it open: it ends all the same.
 */
static void listen_detach(struct thread *thread, void *context)
{
	struct listening *listening = context;
	struct acceptor **link = &thread->acceptors;

	while (*link) {
		struct acceptor *one = *link;

		if (one->listening != listening) {
			link = &one->next;
			continue;
		}
		for (int i = 0; i < LISTEN_BACKLOG && listen_accept(one); i++)
			continue;
		*link = one->next;
		shutdown(one->watch.fd, SHUT_RD);
		close(take_fd(&one->watch.fd));
	}
}

void listen_tell(void)
{
	kill(getppid(), SIGUSR1);
}

static void listen_begin(struct agent *agent, struct listening *listening)
{
	int error = listen_open(agent, listening);

	if (error && listening->error != -error)
		log_say(LOG_LEVEL_ERROR,
			"cannot listen on %s: %s; trying again",
			listening->text, strerror(-error));
	if (!error && listening->error)
		log_say(LOG_LEVEL_NOTICE, "listening on %s", listening->text);
	listening->error = -error;
	if (error)
		return;
	agent_on_threads(agent, listen_attach, listening);
	listen_tell();
}

static void listen_end(struct agent *agent, struct listening *listening)
{
	listening->closed = true;
	if (listening->error)
		return;
	agent_on_threads(agent, listen_detach, listening);
	listen_tell();
}

static struct listening *listen_find(const struct agent *agent,
				     const struct abi_endpoint *endpoint,
				     const struct abi_listener *row)
{
	struct listening *one = agent->listenings;

	while (one && (one->closed ||
		       memcmp(&one->endpoint, endpoint, sizeof(*endpoint)) ||
		       memcmp(&one->row, row, sizeof(*row))))
		one = one->next;
	return one;
}

static struct listening *listen_new(struct agent *agent,
				    const struct abi_endpoint *endpoint,
				    const struct abi_listener *row)
{
	unsigned count = agent->thread_count * LISTEN_FAMILIES;
	AUTO_FREE struct listening *one = calloc(1, sizeof(*one));

	if (!one)
		return NULL;
	one->acceptors = calloc(count, sizeof(*one->acceptors));
	if (!one->acceptors)
		return NULL;
	for (unsigned i = 0; i < count; i++) {
		one->acceptors[i].watch = (struct watch){listen_ready, -1};
		one->acceptors[i].listening = one;
	}
	one->endpoint = *endpoint;
	one->row = *row;
	addr_format_listener(endpoint, one->text);
	one->next = agent->listenings;
	agent->listenings = one;
	return take_pointer(one);
}

static bool listen_is_wanted(const struct listening *listening,
			     const struct listener_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct listener *row = &list->row[i];

		if (!memcmp(&listening->endpoint, &row->endpoint,
			    sizeof(row->endpoint)) &&
		    !memcmp(&listening->row, &row->value, sizeof(row->value)))
			return true;
	}
	return false;
}

int listen_sync(struct agent *agent)
{
	AUTO_FREE struct listener_list *list = malloc(sizeof(*list));
	int error =
		list ? listener_list_read(&agent->store, list, NULL) : -ENOMEM;
	int result = 0;

	if (error)
		return error;
	/* New sockets first: SO_REUSEPORT lets them stand beside those that
	 * go, so a row that only changed is never closed to clients. */
	for (size_t i = 0; i < list->count; i++) {
		const struct listener *row = &list->row[i];
		struct listening *one =
			listen_find(agent, &row->endpoint, &row->value);

		if (one && !one->error)
			continue;
		if (!one)
			one = listen_new(agent, &row->endpoint, &row->value);
		if (!one)
			return -ENOMEM;
		listen_begin(agent, one);
		if (one->error)
			result = -EAGAIN;
	}
	for (struct listening *one = agent->listenings; one; one = one->next) {
		if (!one->closed && !listen_is_wanted(one, list))
			listen_end(agent, one);
	}
	return result;
}

struct listening *listen_by_id(const struct agent *agent, uint32_t id)
{
	static struct listening unknown = {.text = "-"};
	struct listening *one = agent->listenings;

	while (one && (one->closed || one->row.id != id))
		one = one->next;
	return one ? one : &unknown;
}

struct listening *listen_at(const struct agent *agent,
			    const struct abi_endpoint *local)
{
	struct listening *any = NULL;

	for (struct listening *one = agent->listenings; one; one = one->next) {
		if (one->closed || one->endpoint.port_be != local->port_be)
			continue;
		if (!one->endpoint.family ||
		    (one->endpoint.family == local->family &&
		     addr_is_any(&one->endpoint)))
			any = one;
		else if (addr_equal(&one->endpoint, local))
			return one;
	}
	return any;
}

void listen_stop(struct agent *agent)
{
	for (struct listening *one = agent->listenings; one; one = one->next) {
		if (!one->closed)
			listen_end(agent, one);
	}
}
