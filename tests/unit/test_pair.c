// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pairs of sockets in a sockmap, with the kernel's TCP at both ends: a client
 * talks to near[0], a server to near[1], and the pair joins those two. The
 * names of the invariants are those of userspace/pair.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "../../userspace/pair.h"
#include "../../userspace/stream.h"

#define SLOTS 4
#define LIMIT (2U << 20)
#define BUFFER 65536
/* How long an event may take until a test that waits for it has failed. */
#define PATIENCE_MS 10000

static struct sockmap *sockmap;
static struct abi_sockmap_flow *records;
static uint8_t buffer[BUFFER];

/* SIOCSIFFLAGS or SIOCSIFMTU. */
static bool loopback_set(unsigned long what, int value)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), result;

	if (what == SIOCSIFFLAGS)
		request.ifr_flags = (short)value;
	else
		request.ifr_mtu = value;
	result = ioctl(fd, what, &request);
	close(fd);
	return !result;
}

/* ---- ends ---------------------------------------------------------------- */

/* One stream: what is sent at one end has to come out at the other. */
struct stream {
	uint64_t sent;
	uint64_t received;
};

/* Two connections; far[] are client and server, stream[] comes from there. */
struct rig {
	struct pair pair;
	int far[2];
	struct stream stream[2];
};

static uint8_t byte_at(unsigned side, uint64_t offset)
{
	return (uint8_t)(offset * 31 + offset / 251 + side * 101);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void wait_readable(int fd)
{
	struct pollfd poll_fd = {fd, POLLIN, 0};

	assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
}

static void connect_ends(int *ret_far, int *ret_near)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int on = 1, listening = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_false(bind(listening, (struct sockaddr *)&address, size));
	assert_false(listen(listening, 1));
	assert_false(
		getsockname(listening, (struct sockaddr *)&address, &size));
	*ret_far = socket(AF_INET, SOCK_STREAM, 0);
	assert_false(connect(*ret_far, (struct sockaddr *)&address, size));
	*ret_near = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	assert_true(*ret_near >= 0);
	close(listening);
	setsockopt(*ret_far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(*ret_near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct rig rig_open(uint32_t slot)
{
	struct rig rig = {.pair = {.sockmap = sockmap,
				   .slot = slot,
				   .record = &records[slot]}};

	records[slot] = (struct abi_sockmap_flow){0};
	for (unsigned side = 0; side < 2; side++) {
		socklen_t size = sizeof(uint64_t);

		connect_ends(&rig.far[side], &rig.pair.fd[side]);
		getsockopt(rig.pair.fd[side], SOL_SOCKET, SO_COOKIE,
			   &rig.pair.cookie[side], &size);
	}
	return rig;
}

static void rig_close(struct rig *rig)
{
	for (unsigned side = 0; side < 2; side++) {
		close(rig->pair.fd[side]);
		close(rig->far[side]);
	}
	if (pair_is_joined(&rig->pair))
		pair_forget(&rig->pair);
}

static void far_send(struct rig *rig, unsigned side, size_t bytes)
{
	struct stream *stream = &rig->stream[side];
	uint8_t data[BUFFER];

	assert_true(bytes <= sizeof(data));
	for (size_t i = 0; i < bytes; i++)
		data[i] = byte_at(side, stream->sent + i);
	assert_int_equal(send(rig->far[side], data, bytes, 0), bytes);
	stream->sent += bytes;
}

/* What comes at the end that @side's stream goes to, as much as there is. */
static size_t far_take(struct rig *rig, unsigned side, int flags)
{
	struct stream *stream = &rig->stream[side];
	ssize_t got = recv(rig->far[!side], buffer, sizeof(buffer), flags);

	if (got < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	for (ssize_t i = 0; i < got; i++)
		assert_int_equal(buffer[i], byte_at(side, stream->received++));
	return (size_t)got;
}

/* ---- the agent's part ---------------------------------------------------- */

/* As the agent does it. */
static void part(struct rig *rig)
{
	const struct pair_turn turn = {buffer, sizeof(buffer), 0};
	uint64_t end = now_ms() + PATIENCE_MS;
	int result = pair_stop(&rig->pair);

	assert_int_equal(result, 0);
	while ((result = pair_part(&rig->pair, &turn)) == -EAGAIN)
		assert_true(now_ms() < end);
	assert_int_equal(result, 0);
	assert_false(pair_is_joined(&rig->pair));
}

/* The relay of two ordinary sockets: what has come is sent on, as far as the
 * sink takes it. */
static void relay(struct rig *rig)
{
	for (unsigned from = 0; from < 2; from++) {
		ssize_t got, sent;

		do {
			got = recv(rig->pair.fd[from], buffer, sizeof(buffer),
				   MSG_PEEK);
			sent = got > 0 ? send(rig->pair.fd[!from], buffer,
					      (size_t)got, 0)
				       : 0;
			if (sent > 0)
				assert_int_equal(recv(rig->pair.fd[from],
						      buffer, (size_t)sent, 0),
						 sent);
		} while (sent > 0);
	}
}

/* All that was sent comes, through the pair or behind it, and then nothing. */
static void far_take_all(struct rig *rig, unsigned side)
{
	struct pollfd polled[] = {{rig->far[!side], POLLIN, 0},
				  {rig->pair.fd[side], POLLIN, 0}};

	while (rig->stream[side].received < rig->stream[side].sent) {
		bool joined = pair_is_joined(&rig->pair);

		assert_true(poll(polled, joined ? 1 : 2, PATIENCE_MS) > 0);
		if (!joined)
			relay(rig);
		far_take(rig, side, MSG_DONTWAIT);
	}
	assert_int_equal(rig->stream[side].received, rig->stream[side].sent);
	assert_int_equal(far_take(rig, side, MSG_DONTWAIT), 0);
}

static void join(struct rig *rig, uint32_t limit)
{
	assert_int_equal(pair_bound(&rig->pair, limit), 0);
	assert_int_equal(pair_join(&rig->pair, limit, 0), 0);
}

/* ---- tests --------------------------------------------------------------- */

static void test_bytes_pass_both_ways_without_the_agent(void **state)
{
	struct rig rig = rig_open(0);

	(void)state;
	join(&rig, LIMIT);
	for (unsigned i = 0; i < 100; i++) {
		far_send(&rig, 0, 1 + i * 37);
		far_send(&rig, 1, 1 + i * 91);
	}
	far_take_all(&rig, 0);
	far_take_all(&rig, 1);
	assert_int_equal(records[0].direction[0].redirected,
			 rig.stream[0].sent);
	assert_int_equal(records[0].direction[1].redirected,
			 rig.stream[1].sent);
	assert_int_equal(records[0].direction[0].passed, 0);
	part(&rig);
	rig_close(&rig);
}

static void test_bytes_that_wait_at_the_join_are_kicked(void **state)
{
	struct rig rig = rig_open(0);

	(void)state;
	far_send(&rig, 0, 1000);
	far_send(&rig, 1, 5000);
	wait_readable(rig.pair.fd[0]);
	wait_readable(rig.pair.fd[1]);
	assert_int_equal(pair_is_ready(&rig.pair), -EAGAIN);
	join(&rig, LIMIT);
	far_take_all(&rig, 0);
	far_take_all(&rig, 1);
	part(&rig);
	rig_close(&rig);
}

static void test_parted_sockets_are_ordinary_ones(void **state)
{
	struct rig rig = rig_open(0);
	struct stream *up = &rig.stream[0];

	(void)state;
	join(&rig, LIMIT);
	far_send(&rig, 0, 3000);
	far_take_all(&rig, 0);
	part(&rig);
	far_send(&rig, 0, 4000);
	wait_readable(rig.pair.fd[0]);
	assert_int_equal(records[0].direction[0].redirected, 3000);
	relay(&rig);
	far_take_all(&rig, 0);
	assert_int_equal(up->received, 7000);
	rig_close(&rig);
}

/* Thousands of ways in and out, with bytes under way all the time. */
static void test_all_judged_all_drained_all_written(void **state)
{
	struct rig rig = rig_open(0);
	uint64_t passed, redirected;

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 1000; round++) {
		uint32_t limit = 1U << (random() % 21);

		far_send(&rig, 0, (size_t)(random() % 3000) + 1);
		far_send(&rig, 1, (size_t)(random() % 3000) + 1);
		join(&rig, limit);
		for (unsigned i = (unsigned)random() % 4; i--;) {
			far_send(&rig, 0, (size_t)(random() % 5000) + 1);
			far_send(&rig, 1, (size_t)(random() % 5000) + 1);
			far_take(&rig, (unsigned)random() % 2, MSG_DONTWAIT);
		}
		part(&rig);
		/* Not to grow without bound: read what is there. */
		relay(&rig);
		while (far_take(&rig, 0, MSG_DONTWAIT) ||
		       far_take(&rig, 1, MSG_DONTWAIT))
			continue;
	}
	relay(&rig);
	far_take_all(&rig, 0);
	far_take_all(&rig, 1);
	passed =
		records[0].direction[0].passed + records[0].direction[1].passed;
	redirected = records[0].direction[0].redirected +
		     records[0].direction[1].redirected;
	/* Both kinds of verdict were many. */
	assert_true(passed > 100000 && redirected > 100000);
	rig_close(&rig);
}

static void test_an_end_is_not_passed_on_by_the_kernel(void **state)
{
	struct rig rig = rig_open(0);

	(void)state;
	join(&rig, LIMIT);
	far_send(&rig, 0, 50000);
	shutdown(rig.far[0], SHUT_WR);
	far_take_all(&rig, 0);
	/* The other direction does not suffer. */
	far_send(&rig, 1, 60000);
	far_take_all(&rig, 1);
	part(&rig);
	assert_int_equal(recv(rig.pair.fd[0], buffer, 1, 0), 0);
	shutdown(rig.pair.fd[1], SHUT_WR);
	assert_int_equal(recv(rig.far[1], buffer, 1, 0), 0);
	far_send(&rig, 1, 1000);
	wait_readable(rig.pair.fd[1]);
	relay(&rig);
	far_take_all(&rig, 1);
	rig_close(&rig);
}

/* What its peer's TCP has not acknowledged. */
static uint64_t queued(int fd)
{
	int bytes = 0;

	ioctl(fd, SIOCOUTQ, &bytes);
	return (uint64_t)bytes;
}

/* Send from the client until nobody takes any more. */
static void fill(struct rig *rig)
{
	uint8_t data[4096];
	int full = 0;

	/* Full is what stays full while the kernel has time to work. */
	while (full < 50) {
		ssize_t sent;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = byte_at(0, rig->stream[0].sent + i);
		sent = send(rig->far[0], data, sizeof(data), MSG_DONTWAIT);
		if (sent > 0) {
			rig->stream[0].sent += (uint64_t)sent;
			full = 0;
		} else {
			full++;
			poll(NULL, 0, 2);
		}
		/* Whatever goes wrong, the machine's memory is not ours. */
		assert_true(rig->stream[0].sent < 256U << 20);
		if (!pair_is_joined(&rig->pair))
			relay(rig);
	}
}

/* What the client got rid of and the server has not read is no more than
 * LIMIT. Return: bytes that the server's TCP has acknowledged. */
static uint64_t held_is_bounded(const struct rig *rig)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	getsockopt(rig->pair.fd[1], IPPROTO_TCP, TCP_INFO, &info, &size);
	assert_true(rig->stream[0].sent - info.tcpi_bytes_acked + 1 <=
		    LIMIT + queued(rig->far[0]));
	return info.tcpi_bytes_acked - 1;
}

/* Back from a reader that has stopped, in front of a sender that has not. */
static void part_full(struct rig *rig)
{
	uint64_t received = rig->stream[0].received;

	part(rig);
	fill(rig);
	held_is_bounded(rig);
	assert_int_equal(rig->stream[0].received, received);
	far_take_all(rig, 0);
	rig_close(rig);
}

/* While nobody but the kernel moves anything.
 * @room: of the send buffer towards the reader, 0: what TCP gives. */
static void stall(uint32_t limit, int room)
{
	struct rig rig = rig_open(0);
	const struct abi_sockmap_direction *up = &records[0].direction[0];
	uint64_t end;

	join(&rig, limit);
	if (room)
		setsockopt(rig.pair.fd[1], SOL_SOCKET, SO_SNDBUF, &room,
			   sizeof(room));
	fill(&rig);
	assert_true(up->passed > 0);
	assert_true(up->redirected - held_is_bounded(&rig) <= limit / 2);
	/* ALL_WRITTEN: nothing waits for the reader but in the send buffer. */
	end = now_ms() + PATIENCE_MS;
	pair_stop(&rig.pair);
	while (!pair_is_written(&rig.pair, 0))
		assert_true(now_ms() < end);
	part_full(&rig);
}

static void test_a_reader_that_stops_stops_the_sender(void **state)
{
	(void)state;
	stall(LIMIT, 0);
}

static void test_the_limit_holds_to_the_byte(void **state)
{
	(void)state;
	stall(1024, 0);
	stall(100000, 0);
}

/* Where the send buffer is the tighter bound. Without it the bytes would wait
 * in a list of the kernel's, and what is passed the other way behind them. */
static void test_nothing_waits_for_a_reader_but_in_the_send_buffer(void **state)
{
	(void)state;
	stall(LIMIT, 20000);
	stall(LIMIT, 200000);
}

static void set_notsent_lowat(const char *bytes)
{
	int fd = open("/proc/sys/net/ipv4/tcp_notsent_lowat", O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	close(fd);
}

/* Then even a send buffer with much room takes nothing. */
static void test_a_machine_that_queues_little_is_returned_from(void **state)
{
	struct rig rig;

	(void)state;
	set_notsent_lowat("4096");
	rig = rig_open(0);
	join(&rig, LIMIT);
	fill(&rig);
	part_full(&rig);
	set_notsent_lowat("4294967295");
}

/* Keep the kernel's worker, which is bound to this processor, from running. */
static void hog_processor(bool hog)
{
	const struct sched_param priority = {.sched_priority = hog};
	static cpu_set_t all;
	cpu_set_t here;

	if (hog) {
		CPU_ZERO(&here);
		CPU_SET((size_t)sched_getcpu(), &here);
		sched_getaffinity(0, sizeof(all), &all);
		sched_setaffinity(0, sizeof(here), &here);
	}
	sched_setscheduler(0, hog ? SCHED_FIFO : SCHED_OTHER, &priority);
	if (!hog)
		sched_setaffinity(0, sizeof(all), &all);
}

/* A segment of a byte costs the kernel as much as one of a thousand. */
static void test_no_more_than_256_segments_wait_for_the_kernel(void **state)
{
	const struct abi_sockmap_direction *up = &records[0].direction[0];
	uint64_t end = now_ms() + PATIENCE_MS, redirected, sent;
	enum stream_state tcp;

	(void)state;
	do {
		struct rig rig = rig_open(0);

		join(&rig, LIMIT);
		hog_processor(true);
		/* Fewer than net.core.netdev_max_backlog: what loopback drops
		 * comes again much later. */
		for (unsigned i = 0; i < 600; i++)
			far_send(&rig, 0, 1);
		redirected = up->redirected;
		assert_false(stream_sent(rig.pair.fd[1], &sent, &tcp));
		hog_processor(false);
		assert_true((int64_t)(redirected - sent) <= 256);
		part(&rig);
		far_take_all(&rig, 0);
		rig_close(&rig);
		/* A kernel that lets nobody hog it passes few: try again. */
		assert_true(now_ms() < end);
	} while (!up->passed);
}

static void test_one_socket_alone_is_parted_again(void **state)
{
	struct rig rig = rig_open(0), other = rig_open(1);
	struct pair mixed;

	(void)state;
	join(&rig, LIMIT);
	/* The second of these has a verdict already, by another slot. */
	mixed = other.pair;
	mixed.fd[1] = rig.pair.fd[1];
	mixed.cookie[1] = other.pair.cookie[1];
	assert_int_equal(pair_join(&mixed, LIMIT, 0), -EBUSY);
	assert_true(pair_is_joined(&mixed));
	assert_true(mixed.joined[0]);
	assert_false(mixed.joined[1]);
	mixed.fd[1] = other.pair.fd[1];
	other.pair.joined[0] = true;
	memcpy(other.pair.taken, mixed.taken, sizeof(mixed.taken));
	rig_close(&other);
	rig_close(&rig);
}

static void far_reset(struct rig *rig, unsigned side)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(rig->far[side], SOL_SOCKET, SO_LINGER, &linger,
		   sizeof(linger));
	close(rig->far[side]);
	rig->far[side] = -1;
}

static void test_a_reset_is_seen_as_one(void **state)
{
	struct rig rig = rig_open(0);
	struct pollfd broken = {rig.pair.fd[1], 0, 0};
	const struct pair_turn turn = {buffer, sizeof(buffer), 0};

	(void)state;
	join(&rig, LIMIT);
	far_send(&rig, 0, 100);
	far_take_all(&rig, 0);
	far_reset(&rig, 1);
	assert_int_equal(poll(&broken, 1, PATIENCE_MS), 1);
	assert_true(broken.revents & POLLERR);
	assert_int_equal(pair_stop(&rig.pair), 0);
	assert_int_equal(pair_part(&rig.pair, &turn), -ECONNRESET);
	assert_int_equal(rig.pair.broken, 1);
	rig_close(&rig);
}

/* It never will be: neither end is there any more to make an event of it. */
static void test_a_sink_that_was_reset_is_not_waited_for(void **state)
{
	uint64_t end = now_ms() + PATIENCE_MS, sent, redirected;
	enum stream_state tcp;

	(void)state;
	do {
		struct rig rig = rig_open(0);
		struct pollfd broken = {rig.pair.fd[1], 0, 0};

		join(&rig, LIMIT);
		hog_processor(true);
		for (unsigned i = 0; i < 10; i++)
			far_send(&rig, 0, 1);
		redirected = records[0].direction[0].redirected;
		far_reset(&rig, 1);
		assert_false(stream_sent(rig.pair.fd[1], &sent, &tcp));
		hog_processor(false);
		assert_int_equal(poll(&broken, 1, PATIENCE_MS), 1);
		assert_int_equal(pair_stop(&rig.pair), 0);
		assert_true(pair_is_written(&rig.pair, 0));
		rig_close(&rig);
		/* A kernel that delivers the RST later lets the worker be
		 * first: try again. */
		assert_true(now_ms() < end);
	} while (tcp != STREAM_CLOSED || sent >= redirected);
}

/* Its ACKs would be thrown away with the rest. */
static void test_a_side_that_is_held_is_let_go_where_it_all_stops(void **state)
{
	const struct pair_turn turn = {buffer, sizeof(buffer), 0};
	struct rig rig = rig_open(0);
	uint64_t end = now_ms() + PATIENCE_MS;

	(void)state;
	join(&rig, LIMIT);
	assert_int_equal(pair_stop(&rig.pair), 0);
	/* The kernel would pass one more. */
	records[0].direction[0].passed++;
	assert_int_equal(pair_part(&rig.pair, &turn), -EAGAIN);
	assert_true(rig.pair.held[0]);
	assert_int_equal(send(rig.pair.fd[0], "all", 3, 0), 3);
	assert_int_equal(pair_stop(&rig.pair), 0);
	while (queued(rig.pair.fd[0]))
		assert_true(now_ms() < end);
	rig_close(&rig);
}

/* ---- retransmissions ----------------------------------------------------- */

static uint32_t repair_sequence(int fd, int queue, uint32_t *set)
{
	uint32_t sequence = 0;
	socklen_t size = sizeof(sequence);

	assert_false(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue,
				sizeof(queue)));
	if (set)
		assert_false(setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, set,
					sizeof(*set)));
	assert_false(
		getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &sequence, &size));
	return sequence;
}

/* Put another socket into the client's place, which has forgotten the last
 * @back bytes that it sent: it will send them again, and new ones behind
 * them in the same segment, as retransmissions of small segments are. */
static void far_forget(struct rig *rig, unsigned side, uint32_t back)
{
	struct sockaddr_in local, remote;
	socklen_t size = sizeof(local);
	int on = 1, off = -1 /* TCP_REPAIR_OFF_NO_WP */, fd;
	uint32_t sent, received;
	struct tcp_repair_window window;
	/* TCPOPT_MAXSEG: all in one segment. */
	const struct tcp_repair_opt segment = {2, 60000};

	assert_false(
		getsockname(rig->far[side], (struct sockaddr *)&local, &size));
	assert_false(
		getpeername(rig->far[side], (struct sockaddr *)&remote, &size));
	assert_false(setsockopt(rig->far[side], IPPROTO_TCP, TCP_REPAIR, &on,
				sizeof(on)));
	sent = repair_sequence(rig->far[side], TCP_SEND_QUEUE, NULL) - back;
	received = repair_sequence(rig->far[side], TCP_RECV_QUEUE, NULL);
	close(rig->far[side]);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_false(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_false(bind(fd, (struct sockaddr *)&local, size));
	repair_sequence(fd, TCP_SEND_QUEUE, &sent);
	repair_sequence(fd, TCP_RECV_QUEUE, &received);
	assert_false(connect(fd, (struct sockaddr *)&remote, size));
	assert_false(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, &segment,
				sizeof(segment)));
	/* A socket looks at its segments' size again when the route's does. */
	loopback_set(SIOCSIFMTU, 60000 + (int)(sent % 1000));
	/* It will not believe an acknowledgement of what it has not sent, nor
	 * the window beside it. */
	size = sizeof(window);
	assert_false(
		getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &size));
	window.snd_wnd = window.max_window = 65535;
	window.snd_wl1 = received;
	assert_false(
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, size));
	assert_false(
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	rig->far[side] = fd;
	rig->stream[side].sent -= back;
}

static void overlap(uint32_t limit, uint32_t back)
{
	struct rig rig = rig_open(0);

	far_send(&rig, 0, 20000);
	wait_readable(rig.pair.fd[0]);
	join(&rig, limit);
	far_take(&rig, 0, MSG_DONTWAIT);
	while (records[0].direction[0].redirected +
		       records[0].direction[0].passed <
	       20000)
		poll(NULL, 0, 1);
	far_forget(&rig, 0, back);
	far_send(&rig, 0, back + 1000);
	while (records[0].direction[0].redirected +
		       records[0].direction[0].passed <
	       21000)
		poll(NULL, 0, 1);
	assert_int_equal(records[0].direction[0].redirected +
				 records[0].direction[0].passed,
			 21000);
	part(&rig);
	far_take_all(&rig, 0);
	rig_close(&rig);
}

static void test_what_is_sent_again_is_not_redirected_again(void **state)
{
	(void)state;
	overlap(LIMIT, 1);
	overlap(LIMIT, 500);
	overlap(LIMIT, 15000);
}

static void test_what_is_sent_again_is_not_passed_again(void **state)
{
	(void)state;
	overlap(1, 1);
	overlap(1, 500);
	overlap(1, 15000);
}

/* Bytes that the agent has read before the join, sent again behind it. */
static void test_what_was_read_before_the_join_is_not_judged(void **state)
{
	struct rig rig = rig_open(0);

	(void)state;
	far_send(&rig, 0, 3000);
	wait_readable(rig.pair.fd[0]);
	relay(&rig);
	far_take_all(&rig, 0);
	far_forget(&rig, 0, 1200);
	join(&rig, LIMIT);
	far_send(&rig, 0, 2000);
	far_take_all(&rig, 0);
	assert_int_equal(records[0].direction[0].redirected, 800);
	part(&rig);
	rig_close(&rig);
}

/* ---- the frame ----------------------------------------------------------- */

static int open_sockmap(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct error error = {0};
	int map;

	(void)state;
	if (geteuid() || unshare(CLONE_NEWNET) ||
	    !loopback_set(SIOCSIFFLAGS, IFF_UP))
		return 0;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sockmap_flows", sizeof(__u32),
			     sizeof(*records), SLOTS, &options);
	records = mmap(NULL, SLOTS * sizeof(*records), PROT_READ | PROT_WRITE,
		       MAP_SHARED, map, 0);
	if (records == MAP_FAILED ||
	    sockmap_open(NULL, map, SLOTS, 1, true, &sockmap, &error))
		fail_msg("%s", error.text);
	close(map);
	return 0;
}

static int close_sockmap(void **state)
{
	(void)state;
	sockmap_close(sockmap);
	return 0;
}

static int need_sockmap(void **state)
{
	(void)state;
	if (!sockmap)
		skip();
	return 0;
}

#define pair_test(name) cmocka_unit_test_setup(name, need_sockmap)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pair_test(test_bytes_pass_both_ways_without_the_agent),
		pair_test(test_bytes_that_wait_at_the_join_are_kicked),
		pair_test(test_parted_sockets_are_ordinary_ones),
		pair_test(test_all_judged_all_drained_all_written),
		pair_test(test_an_end_is_not_passed_on_by_the_kernel),
		pair_test(test_a_reader_that_stops_stops_the_sender),
		pair_test(test_the_limit_holds_to_the_byte),
		pair_test(
			test_nothing_waits_for_a_reader_but_in_the_send_buffer),
		pair_test(test_a_machine_that_queues_little_is_returned_from),
		pair_test(test_no_more_than_256_segments_wait_for_the_kernel),
		pair_test(test_one_socket_alone_is_parted_again),
		pair_test(test_a_reset_is_seen_as_one),
		pair_test(test_a_sink_that_was_reset_is_not_waited_for),
		pair_test(
			test_a_side_that_is_held_is_let_go_where_it_all_stops),
		pair_test(test_what_is_sent_again_is_not_redirected_again),
		pair_test(test_what_is_sent_again_is_not_passed_again),
		pair_test(test_what_was_read_before_the_join_is_not_judged),
	};

	return cmocka_run_group_tests(tests, open_sockmap, close_sockmap);
}
