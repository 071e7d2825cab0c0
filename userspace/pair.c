// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pair.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include "cleanup.h"
#include "crash.h"
#include "stream.h"

/* Never less than what a connection begins with. */
#define PAIR_BUFFER_MIN (128 << 10)

static uint32_t pair_index(const struct pair *pair, unsigned side)
{
	return 2 * pair->slot + side;
}

static uint64_t pair_load(const __u64 *figure)
{
	return __atomic_load_n(figure, __ATOMIC_ACQUIRE);
}

/* Whoever reads the error of a socket takes it away: say it once and act. */
static int pair_broken(struct pair *pair, unsigned side)
{
	pair->broken = (int)side;
	return -ECONNRESET;
}

/* Bytes of the stream that have ever left TCP's own receive queue, to the
 * agent or to the verdict. */
static int pair_received(struct pair *pair, unsigned side,
			 uint64_t *ret_received)
{
	enum stream_state state;
	int result = stream_taken(pair->fd[side], ret_received, &state);

	if (result ||
	    (state != STREAM_ESTABLISHED && state != STREAM_CLOSE_WAIT))
		return pair_broken(pair, side);
	return 0;
}

static int pair_sent(const struct pair *pair, unsigned side, uint64_t *ret_sent)
{
	enum stream_state state;

	return stream_sent(pair->fd[side], ret_sent, &state);
}

static uint64_t pair_judged(const struct pair *pair, unsigned from)
{
	const struct abi_sockmap_direction *direction =
		&pair->record->direction[from];

	return pair_load(&direction->redirected) +
	       pair_load(&direction->passed);
}

/* ---- bounds -------------------------------------------------------------- */

static int pair_set(int fd, int option, uint32_t bytes)
{
	/* The kernel doubles what it is told, for its own needs. */
	int told = (int)(bytes < PAIR_BUFFER_MIN ? PAIR_BUFFER_MIN : bytes) / 2;

	return setsockopt(fd, SOL_SOCKET, option, &told, sizeof(told)) ? -errno
								       : 0;
}

int pair_bound(struct pair *pair, uint32_t limit)
{
	int result = 0;

	pair->bound = limit;
	for (unsigned side = 0; !result && side < 2; side++) {
		/* What has been received can be sent on at once, and come
		 * again: see pair_widen(). The last eighth is for what is
		 * between. */
		result = pair_set(pair->fd[side], SO_RCVBUFFORCE, limit / 4);
		if (!result)
			result = pair_set(pair->fd[side], SO_SNDBUFFORCE,
					  limit / 8 * 3);
	}
	return result;
}

void pair_widen(struct pair *pair, unsigned side)
{
	int most = INT_MAX;

	pair->wide = true;
	setsockopt(pair->fd[side], SOL_SOCKET, SO_SNDBUFFORCE, &most,
		   sizeof(most));
	setsockopt(pair->fd[side], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most,
		   sizeof(most));
}

static int pair_narrow(struct pair *pair)
{
	int none = 0;

	for (unsigned side = 0; side < 2; side++)
		setsockopt(pair->fd[side], IPPROTO_TCP, TCP_NOTSENT_LOWAT,
			   &none, sizeof(none));
	pair->wide = false;
	return pair_bound(pair, pair->bound);
}

/* ---- in ------------------------------------------------------------------ */

static int pair_look(struct pair *pair, unsigned side)
{
	char byte;
	ssize_t seen;

	do {
		seen = recv(pair->fd[side], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	} while (seen < 0 && errno == EINTR);
	if (seen < 0)
		return errno == EAGAIN ? 0 : pair_broken(pair, side);
	return -EAGAIN;
}

int pair_is_ready(struct pair *pair)
{
	int result = pair_look(pair, 0);

	return result ? result : pair_look(pair, 1);
}

static int pair_measure(struct pair *pair, unsigned side)
{
	uint64_t received, sent;
	int result = pair_received(pair, side, &received);

	if (!result)
		result = pair_sent(pair, side, &sent);
	if (result)
		return result;
	pair->taken[side] = received - pair_judged(pair, side);
	pair->written[side] = sent - pair->record->direction[!side].redirected;
	return 0;
}

static int pair_target(const struct pair *pair, unsigned side)
{
	uint32_t index = pair_index(pair, side);
	uint64_t fd = (uint64_t)pair->fd[side];

	if (bpf_map_update_elem(pair->sockmap->cookies, &pair->cookie[side],
				&index, BPF_ANY) ||
	    bpf_map_update_elem(pair->sockmap->targets, &index, &fd, BPF_ANY))
		return -errno;
	return 0;
}

static int pair_judge(struct pair *pair, unsigned side)
{
	uint32_t index = pair_index(pair, side);
	uint64_t fd = (uint64_t)pair->fd[side];

	if (bpf_map_update_elem(pair->sockmap->verdicts, &index, &fd, BPF_ANY))
		return -errno;
	pair->joined[side] = true;
	return 0;
}

static void pair_untarget(const struct pair *pair)
{
	for (unsigned side = 0; side < 2; side++) {
		uint32_t index = pair_index(pair, side);

		bpf_map_delete_elem(pair->sockmap->targets, &index);
		bpf_map_delete_elem(pair->sockmap->cookies,
				    &pair->cookie[side]);
	}
}

/* What came before the verdict was there is judged when somebody asks for
 * it: tcp_bpf_recvmsg_parser(), since 6.1.32. */
static int pair_kick(struct pair *pair, unsigned side)
{
	int result = pair_look(pair, side);

	return result == -EAGAIN ? 0 : result;
}

static void pair_allow(struct pair *pair, uint32_t limit, unsigned thread)
{
	for (unsigned from = 0; from < 2; from++) {
		struct abi_sockmap_direction *direction =
			&pair->record->direction[from];

		direction->known = 0;
		direction->damaged = 0;
		direction->thread = (__u8)thread;
		__atomic_store_n(&direction->limit, limit, __ATOMIC_RELEASE);
	}
}

static void pair_note(const struct pair *pair)
{
	struct abi_sockmap_direction *direction = pair->record->direction;

	for (unsigned side = 0; side < 2; side++) {
		direction[side].taken = pair->taken[side];
		direction[side].sent =
			pair->written[side] - direction[!side].drained;
	}
}

int pair_join(struct pair *pair, uint32_t limit, unsigned thread)
{
	int result = 0;

	for (unsigned side = 0; !result && side < 2; side++)
		result = pair_measure(pair, side);
	for (unsigned side = 0; !result && side < 2; side++)
		result = pair_target(pair, side);
	if (result) {
		pair_untarget(pair);
		return result;
	}
	pair_note(pair);
	pair_allow(pair, limit < 2 ? 1 : limit / 2, thread);
	crash_point("joining");
	for (unsigned side = 0; !result && side < 2; side++)
		result = pair_judge(pair, side);
	crash_point("joined");
	if (result && !pair_is_joined(pair))
		pair_forget(pair);
	for (unsigned side = 0; result != -ECONNRESET && side < 2; side++) {
		int kicked = pair->joined[side] ? pair_kick(pair, side) : 0;

		if (kicked)
			result = kicked;
	}
	return result;
}

/* ---- hold ---------------------------------------------------------------- */

/*
 * Taking the verdict off a socket has a gap in which the kernel drops what it
 * is just about to judge (sk_psock_verdict_recv() without a program). So let
 * nothing be judged: what comes from now on is thrown away before TCP sees it,
 * and sent again. Then neither end can put off the moment in which all is
 * drained, though it never pauses.
 */
static int pair_hold(struct pair *pair, unsigned side)
{
	if (setsockopt(pair->fd[side], SOL_SOCKET, SO_ATTACH_BPF,
		       &pair->sockmap->hold, sizeof(int)))
		return -errno;
	pair->held[side] = true;
	return stream_lock(pair->fd[side]);
}

static void pair_let_go(struct pair *pair, unsigned side)
{
	int none = 0, one = 1;

	setsockopt(pair->fd[side], SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	setsockopt(pair->fd[side], SOL_SOCKET, SO_DETACH_FILTER, &none,
		   sizeof(none));
	pair->held[side] = false;
}

/* ---- the way back -------------------------------------------------------- */

int pair_stop(struct pair *pair)
{
	int result = 0;

	for (unsigned from = 0; from < 2; from++) {
		__atomic_store_n(&pair->record->direction[from].limit, 0,
				 __ATOMIC_SEQ_CST);
		if (pair->held[from])
			pair_let_go(pair, from);
	}
	for (unsigned from = 0; !result && from < 2; from++)
		result = stream_lock(pair->fd[from]);
	crash_point("stopped");
	return result;
}

bool pair_is_written(const struct pair *pair, unsigned from)
{
	enum stream_state state;
	uint64_t sent;

	/* A socket that is broken takes nothing more, and says so when it is
	 * written to. */
	if (stream_sent(pair->fd[!from], &sent, &state) ||
	    state == STREAM_CLOSED)
		return true;
	sent -= pair_load(&pair->record->direction[from].redirected);
	return (int64_t)(sent - pair->written[!from]) >= 0;
}

bool pair_is_drained(const struct pair *pair, unsigned from)
{
	const struct abi_sockmap_direction *direction =
		&pair->record->direction[from];

	return pair_load(&direction->passed) == direction->drained;
}

/* Take from the source what the sink has got. Should that ever fail, a RST is
 * better than the same bytes twice. */
static bool pair_consume(const struct pair *pair, unsigned from, void *buffer,
			 size_t bytes)
{
	/* A socket in a sockmap has no MSG_TRUNC. */
	while (bytes) {
		ssize_t got = recv(pair->fd[from], buffer, bytes, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		bytes -= (size_t)got;
	}
	return true;
}

/* Send on some of what was passed; ALL_WRITTEN holds.
 * Return: bytes; 0: ALL_DRAINED; -EAGAIN: the kernel has not passed the rest
 * yet, or is short of memory; -ECONNRESET. */
static ssize_t pair_drain(struct pair *pair, unsigned from,
			  const struct pair_turn *turn)
{
	struct abi_sockmap_direction *direction =
		&pair->record->direction[from];
	uint64_t left = pair_load(&direction->passed) - direction->drained;
	ssize_t seen, sent;

	if (!left)
		return 0;
	if (direction->damaged)
		return pair_broken(pair, from);
	seen = recv(pair->fd[from], turn->buffer,
		    left < turn->size ? left : turn->size,
		    MSG_PEEK | MSG_DONTWAIT);
	if (seen < 0 && errno != EAGAIN && errno != EINTR)
		return pair_broken(pair, from);
	if (seen <= 0)
		return -EAGAIN;
	sent = send(pair->fd[!from], turn->buffer, (size_t)seen,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return pair_broken(pair, !from);
	if (sent < 0)
		return -EAGAIN;
	crash_point("passed-sent");
	if (!pair_consume(pair, from, turn->buffer, (size_t)sent))
		return pair_broken(pair, from);
	crash_point("passed-taken");
	pair->written[!from] += (uint64_t)sent;
	/* See the end of sockmap_verdict() for the order. */
	__atomic_store_n(&direction->drained,
			 direction->drained + (uint64_t)sent, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	direction->last_ns = turn->now_ns;
	return sent;
}

/* ---- out ----------------------------------------------------------------- */

/* ALL_DRAINED, of a side that is held. */
static int pair_empty(struct pair *pair, unsigned side,
		      const struct pair_turn *turn)
{
	ssize_t moved;

	if (!pair_is_drained(pair, side))
		pair_widen(pair, !side);
	do {
		moved = pair_drain(pair, side, turn);
	} while (moved > 0);
	return (int)moved;
}

/*
 * What was past the filter already, and is not passed yet, stays in TCP's own
 * queue: TCP takes the mark for half of the receive buffer.
 *
 * But NO_HOLE: the mark is up only while all is drained. Bytes in the queue
 * behind passed ones that nobody has read are a hole, at which the kernel stops
 * when it tidies up a queue that has grown too long (tcp_collapse()).
 */
static int pair_mark(const struct pair *pair, unsigned side)
{
	int most = INT_MAX;

	if (setsockopt(pair->fd[side], SOL_SOCKET, SO_RCVLOWAT, &most,
		       sizeof(most)))
		return -errno;
	return pair_is_drained(pair, side) ? 0 : -EAGAIN;
}

/* Take a side's verdict off. */
static int pair_remove(struct pair *pair, unsigned side,
		       const struct pair_turn *turn)
{
	uint32_t index = pair_index(pair, side);
	int result = pair_hold(pair, side);

	if (!result)
		result = pair_empty(pair, side, turn);
	/* Held until the kernel has passed the rest. */
	if (result == -EAGAIN)
		return result;
	if (!result)
		result = pair_mark(pair, side);
	crash_point("holding");
	if (!result) {
		bpf_map_delete_elem(pair->sockmap->verdicts, &index);
		pair->joined[side] = false;
	}
	pair_let_go(pair, side);
	return result;
}

/* ALL_JUDGED. */
static int pair_check(struct pair *pair, unsigned side)
{
	uint64_t received;
	int result = pair_received(pair, side, &received);

	if (result)
		return result;
	return received - pair_judged(pair, side) == pair->taken[side]
		       ? 0
		       : -EBADMSG;
}

int pair_part(struct pair *pair, const struct pair_turn *turn)
{
	int result = 0;

	/* True once, true for good: both are STOPPED. */
	for (unsigned from = 0; from < 2; from++) {
		if (!pair_is_written(pair, from)) {
			pair_widen(pair, !from);
			result = -EAGAIN;
		}
	}
	for (unsigned side = 0; !result && side < 2; side++) {
		if (pair->joined[side])
			result = pair_remove(pair, side, turn);
	}
	if (result)
		return result;
	crash_point("parted");
	pair_untarget(pair);
	for (unsigned side = 0; !result && side < 2; side++)
		result = pair_check(pair, side);
	return !result && pair->wide ? pair_narrow(pair) : result;
}

void pair_forget(struct pair *pair)
{
	for (unsigned side = 0; side < 2; side++) {
		pair->record->direction[side].limit = 0;
		pair->joined[side] = false;
	}
	pair_untarget(pair);
}

/* ---- after a death ------------------------------------------------------- */

/* What was passed is there at once, unless it waits for the kernel's worker. */
#define PAIR_LOOKS 50
#define PAIR_LOOK_NS 1000000

static bool pair_is_in(int map, uint32_t index, uint64_t cookie)
{
	uint64_t value;

	return !bpf_map_lookup_elem(map, &index, &value) && value == cookie;
}

/* Of what was passed and is not counted as sent on, bytes that are not in the
 * queue any more. */
static int pair_missing(const struct pair *pair, unsigned from,
			uint64_t *ret_missing)
{
	const struct abi_sockmap_direction *direction =
		&pair->record->direction[from];
	uint64_t passed = pair_load(&direction->passed);
	size_t left = passed - direction->drained;
	AUTO_FREE uint8_t *buffer = malloc(left + 1);
	ssize_t seen;
	int result = buffer ? stream_lock(pair->fd[from]) : -ENOMEM;

	if (result)
		return result;
	seen = recv(pair->fd[from], buffer, left, MSG_PEEK | MSG_DONTWAIT);
	if (seen < 0 && errno != EAGAIN)
		return -errno;
	*ret_missing = left - (seen < 0 ? 0 : (size_t)seen);
	return pair_load(&direction->passed) == passed ? 0 : -EAGAIN;
}

/* Some bytes were sent on and not counted: take what of them has not been
 * taken. */
static int pair_recover_sent(const struct pair *pair, unsigned from,
			     uint64_t sent)
{
	static const struct timespec pause = {.tv_nsec = PAIR_LOOK_NS};
	struct abi_sockmap_direction *direction =
		&pair->record->direction[from];
	uint64_t missing = 0;
	AUTO_FREE uint8_t *buffer = malloc(sent);
	int result = buffer ? -EAGAIN : -ENOMEM;

	for (unsigned i = 0; result == -EAGAIN && i < PAIR_LOOKS; i++) {
		result = pair_missing(pair, from, &missing);
		if (!result && missing > sent)
			result = -EAGAIN;
		if (result == -EAGAIN)
			nanosleep(&pause, NULL);
	}
	if (result)
		return result == -EAGAIN ? -EBADMSG : result;
	if (!pair_consume(pair, from, buffer, sent - missing))
		return -EBADMSG;
	direction->drained += sent;
	return 0;
}

/*
 * The agent sends on only what ALL_WRITTEN allows: so either the sink has taken
 * less than what was redirected and counted as sent on, and nothing was in
 * hand; or it has taken all, and what it has beyond that was.
 */
static int pair_recover_direction(struct pair *pair, unsigned from)
{
	const struct abi_sockmap_direction *direction =
		&pair->record->direction[from];
	uint64_t base = pair->record->direction[!from].sent, sent;
	int result = pair_sent(pair, !from, &sent);

	if (result)
		return result;
	sent -= base + pair_load(&direction->redirected) + direction->drained;
	if ((int64_t)sent > 0)
		result = pair_recover_sent(pair, from, sent);
	pair->taken[from] = direction->taken;
	pair->written[!from] = base + direction->drained;
	return result;
}

int pair_recover(struct pair *pair)
{
	int result = 0;

	for (unsigned side = 0; side < 2; side++) {
		pair->joined[side] =
			pair_is_in(pair->sockmap->verdicts,
				   pair_index(pair, side), pair->cookie[side]);
		pair_let_go(pair, side);
	}
	if (!pair_is_joined(pair)) {
		pair_untarget(pair);
		return 0;
	}
	result = pair_stop(pair);
	for (unsigned from = 0; !result && from < 2; from++)
		result = pair_recover_direction(pair, from);
	return result;
}
