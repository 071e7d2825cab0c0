// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From route to backend: the targets in turn, then PROXY header and hello. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include "addr.h"
#include "cleanup.h"
#include "crash.h"
#include "flow.h"
#include "listen.h"
#include "setting.h"

static const struct abi_endpoint *connect_target(const struct flow *flow)
{
	return &flow->opening->route.target[flow->opening->targets_tried - 1];
}

static void connect_options(const struct flow *flow, int fd)
{
	const struct store *store = &flow->thread->agent->store;
	uint64_t keepalive_ms = setting_get(store, ABI_SET_KEEPALIVE_MS);
	int seconds = (int)((keepalive_ms + 999) / 1000), on = 1, off = 0;

	/* What the client sent in one segment is passed on at once. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* The hello acknowledges the SYN-ACK; after that the kernel goes back
	 * to quick ACKs by itself. */
	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
	if (!seconds)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
}

static void connect_record(struct flow *flow, int fd)
{
	const struct opening *opening = flow->opening;
	struct abi_flow_cold *cold;
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
	cold = flow_record_begin(flow);
	cold->backend_cookie = cookie;
	cold->backend = *connect_target(flow);
	cold->source = (struct abi_endpoint){0};
	cold->before_sent[ABI_FROM_CLIENT] = (__u32)opening->header_length;
	cold->before_taken[ABI_FROM_CLIENT] = (__u32)opening->skip;
	if (flow->is_http) {
		cold->before_sent[ABI_FROM_CLIENT] += (__u32)opening->length;
		cold->before_taken[ABI_FROM_CLIENT] +=
			flow->skipped_bytes + (__u32)opening->owed;
	}
	cold->phase = ABI_PHASE_CONNECT;
	flow_record_end(flow);
}

/* Socket, record, then connect: at no moment is there a connection to a
 * backend that no record knows of. */
static int connect_begin(struct flow *flow)
{
	const struct abi_endpoint *target = connect_target(flow);
	struct sockaddr_storage address;
	socklen_t size = addr_to_sockaddr(target, &address);
	AUTO_FD fd = socket(address.ss_family,
			    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0) {
		error = errno;
		if (listen_is_short(error))
			listen_pause(flow->thread);
		return -error;
	}
	connect_options(flow, fd);
	crash_point("socket");
	connect_record(flow, fd);
	crash_point("socket-recorded");
	join_arm(flow, fd, target);
	if (connect(fd, (struct sockaddr *)&address, size) &&
	    errno != EINPROGRESS)
		return -errno;
	crash_point("connecting");
	flow->end[FLOW_BACKEND].fd = fd;
	error = thread_watch(flow->thread, &flow->end[FLOW_BACKEND],
			     EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, true);
	if (error) {
		flow->end[FLOW_BACKEND].fd = -1;
		return error;
	}
	flow->watches_out[FLOW_BACKEND] = true;
	fd = -1;
	return 0;
}

static void connect_failed(struct flow *flow, int error)
{
	struct thread *thread = flow->thread;

	join_disarm(flow);
	if (flow->end[FLOW_BACKEND].fd >= 0)
		close(take_fd(&flow->end[FLOW_BACKEND].fd));
	/* Said of this socket, not of the next target's. */
	flow->readable[FLOW_BACKEND] = false;
	flow->hung[FLOW_BACKEND] = false;
	flow->error = error;
	thread->counters->connect_failures++;
	route_account_failure(&thread->agent->store, &flow->cold->route,
			      connect_target(flow), error);
}

void connect_next(struct flow *flow)
{
	struct opening *opening = flow->opening;
	struct thread *thread = flow->thread;

	relay_choose(flow);
	while (opening->targets_tried < opening->route.target_count) {
		int error;

		opening->targets_tried++;
		error = connect_begin(flow);
		if (!error) {
			deadline_set(&thread->deadlines, flow, DEADLINE_CONNECT,
				     thread->now_ns);
			return;
		}
		connect_failed(flow, -error);
	}
	refuse(flow, ABI_OUTCOME_CONNECT_FAILED,
	       opening->is_tls ? HELLO_ALERT_INTERNAL_ERROR : 0);
}

void connect_expired(struct flow *flow)
{
	connect_failed(flow, ETIMEDOUT);
	connect_next(flow);
}

static void connect_established(struct flow *flow)
{
	struct abi_flow_cold *cold;
	struct sockaddr_storage source = {0};
	socklen_t size = sizeof(source);
	/* Where it has a slot, join_arm() has recorded it. */
	struct abi_endpoint ours = flow->cold->source;

	if (!flow->splice && !getsockname(flow->end[FLOW_BACKEND].fd,
					  (struct sockaddr *)&source, &size))
		addr_from_sockaddr(&source, &ours);
	cold = flow_record_begin(flow);
	cold->source = ours;
	cold->connected_us = flow_age_us(flow);
	cold->phase = ABI_PHASE_PREFACE;
	flow_record_end(flow);
	/* It is connected: how slowly it reads is its own affair, and no other
	 * target may get the rest of what it has begun to read. */
	deadline_set(&flow->thread->deadlines, flow,
		     flow->is_http ? DEADLINE_EXCHANGE : DEADLINE_IDLE,
		     flow->thread->now_ns);
	crash_point("connected");
	connect_send(flow);
}

void connect_ready(struct flow *flow, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP)) {
		int error = 0;
		socklen_t size = sizeof(error);

		getsockopt(flow->end[FLOW_BACKEND].fd, SOL_SOCKET, SO_ERROR,
			   &error, &size);
		connect_failed(flow, error ? error : ECONNREFUSED);
		connect_next(flow);
	} else if (events & EPOLLOUT) {
		connect_established(flow);
	}
}

/* The backend has it, or the heart: it leaves the client's socket. */
static bool connect_take(struct flow *flow)
{
	size_t owed = flow->opening->owed;

	flow->opening->owed = 0;
	return !owed || flow_consume(flow, FLOW_CLIENT, owed);
}

/* Once the programs of the splice see that the backend has it all they take the
 * flow, and what is still in the client's socket would be lost. So it is taken
 * before it is sent, and is nowhere but here meanwhile. */
static bool connect_take_first(struct flow *flow)
{
	struct opening *opening = flow->opening;
	struct heart *heart = flow->thread->agent->heart;
	struct preface *kept =
		heart_keep(heart, flow->thread->index, flow->cold->id);

	if (kept &&
	    heart_add(heart, kept, opening->header, opening->header_length) &&
	    heart_add(heart, kept, opening->wire + opening->skip,
		      opening->length - opening->skip)) {
		kept->outbound = true;
		if (opening->kept)
			heart_forget(opening->kept);
		opening->kept = kept;
	} else if (kept) {
		heart_forget(kept);
	}
	crash_point("preface-kept");
	return connect_take(flow);
}

/* Return: the bytes taken; 0: none now; or -errno. */
static ssize_t connect_send_rest(struct flow *flow)
{
	struct opening *opening = flow->opening;
	size_t sent = opening->sent, header = opening->header_length;
	size_t into = sent > header ? sent - header : 0;
	uint8_t *hello = opening->wire + opening->skip + into;
	struct iovec parts[2] = {
		{opening->header + sent, sent < header ? header - sent : 0},
		{hello, opening->length - opening->skip - into},
	};
	struct msghdr message = {
		.msg_iov = parts[0].iov_len ? parts : parts + 1,
		.msg_iovlen = parts[0].iov_len ? 2 : 1,
	};
	ssize_t done;

	do {
		done = sendmsg(flow->end[FLOW_BACKEND].fd, &message,
			       MSG_NOSIGNAL);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return errno == EAGAIN ? 0 : -errno;
	return done;
}

void connect_send(struct flow *flow)
{
	struct opening *opening = flow->opening;
	size_t hello = opening->length - opening->skip;
	struct thread *thread = flow->thread;
	bool taken = !flow->splice || opening->sent || connect_take_first(flow);

	crash_point("preface");
	while (taken && opening->sent < opening->header_length + hello) {
		ssize_t done = connect_send_rest(flow);

		if (!done)
			return;
		if (done < 0) {
			flow_lost_backend(flow);
			return;
		}
		opening->sent += (size_t)done;
	}
	crash_point("preface-sent");
	if (!taken || !connect_take(flow)) {
		flow_reset(flow, "reset-by-client");
		return;
	}
	crash_point("preface-over");
	/* The programs of the splice may have begun to count. */
	__atomic_fetch_add(&flow->hot->direction[ABI_FROM_CLIENT].bytes, hello,
			   __ATOMIC_RELAXED);
	flow->hot->last_ns = thread->now_ns;
	if (flow->is_http)
		http_begin(flow);
	else if (flow->splice)
		join_wait(flow);
	else
		relay_start(flow);
}
