/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * traffic: two ends that know of every byte what it has to be.
 *
 * `traffic connect` opens connections, sends a ClientHello on each and says
 * in it what both ends are going to do (struct pact). `traffic serve` reads
 * that and does its part. What either end sends is a function of seed,
 * connection, direction and offset, so a byte that is lost, doubled, out of
 * place or of another connection is found by whoever receives it. How a
 * stream ends is part of the pact: a reset that arrives as a clean end is
 * a failure, and so is the reverse.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NS_PER_US 1000LL
#define NS_PER_MS (1000 * NS_PER_US)
#define NS_PER_S (1000 * NS_PER_MS)

/* ---- pattern.c: the bytes ---------------------------------------------- */

/* The longest run that pattern_at() gives; streams change their place in the
 * table of random bytes at each multiple of it. */
#define PATTERN_BLOCK 65536

enum direction {
	TO_SERVER,
	TO_CLIENT,
	GREETING
};

void pattern_init(void);
/** pattern_mix() - one well-mixed number from two. */
uint64_t pattern_mix(uint64_t a, uint64_t b);
/** pattern_key() - names one stream. */
uint64_t pattern_key(uint64_t seed, uint64_t id, enum direction direction);
/**
 * pattern_at() - a stream's bytes from an offset on.
 * @ret_run: how many there are in one piece, 1..PATTERN_BLOCK.
 */
const uint8_t *pattern_at(uint64_t key, uint64_t offset, size_t *ret_run);

/* ---- shape.c: what the two ends do ------------------------------------- */

#define UNLIMITED UINT64_MAX
#define UNTIL_RELEASE UINT32_MAX

enum start {
	START_AT_ONCE,
	START_AFTER_END, /* once the other side has ended its stream */
	START_ASK,	 /* a message each time the last one was answered */
	START_ANSWER	 /* as many bytes as have come */
};

enum end {
	END_FIN,      /* behind the last byte */
	END_FIN_LAST, /* after the other side's end */
	END_FIN_DONE, /* after all of the other side's bytes */
	END_RESET,    /* behind the last byte, and after one has come */
	END_CUT	      /* any time, any way: for unlimited streams */
};

/**
 * struct plan - what one end does.
 * @bytes:    to send; UNLIMITED with END_CUT.
 * @stall_at: stop reading after so many bytes...
 * @stall_ms: ...for so long; 0: never; UNTIL_RELEASE: until SIGUSR1.
 * @chunk:    bytes a segment; 0: as many as the socket takes.
 * @pace_us:  wait up to so long before each segment.
 * @message:  bytes of a message for START_ASK.
 */
struct plan {
	uint64_t bytes;
	uint64_t stall_at;
	uint32_t stall_ms;
	uint32_t chunk;
	uint32_t pace_us;
	uint32_t message;
	uint8_t start;
	uint8_t end;
};

/** struct place - an IPv6 or IPv4-mapped address and a port. */
struct place {
	struct in6_addr address;
	uint16_t port;
};

/**
 * struct pact - what the ClientHello says to the server.
 * @source, @destination: as the client sees them.
 */
struct pact {
	uint64_t seed;
	uint64_t id;
	struct plan client;
	struct plan server;
	struct place source;
	struct place destination;
};

struct options;

/**
 * shape_choose() - the plans of a connection, from seed and id alone.
 * @ret_immediate: the first bytes go out together with the hello.
 * @ret_hold:      wait for the release after the first message.
 */
void shape_choose(const struct options *options, uint64_t id,
		  struct pact *ret_pact, bool *ret_immediate, bool *ret_hold);
/** shape_parse() - a list of names. Return: bits, 0: an unknown name. */
uint32_t shape_parse(const char *list);
extern const char *const shape_names[];

/* ---- hello.c, proxy.c: what stands before the stream ------------------- */

/* A hello of 65,536 bytes in records of one byte, and a PROXY header. */
#define PREFACE_MAX (6 * 65536 + 8192)

/** preface_build() - [PROXY header and] ClientHello. Return: bytes. */
size_t preface_build(const struct options *options, const struct pact *pact,
		     const char *name, uint8_t *buffer);

/**
 * hello_check() - read a ClientHello that preface_build() has made.
 * @ret_name: up to 255 characters and NUL.
 * Return: its bytes on the wire, 0: not all has come, -1: *@ret_fault says
 * what is wrong.
 */
ptrdiff_t hello_check(const uint8_t *data, size_t length, struct pact *ret_pact,
		      char *ret_name, const char **ret_fault);

/**
 * struct proxy_claim - what a PROXY header says.
 * @authority: TLV PP2_TYPE_AUTHORITY, inside the input; NULL: none.
 */
struct proxy_claim {
	struct place source;
	struct place destination;
	const uint8_t *authority;
	size_t authority_length;
};

/** proxy_check() - read a PROXY header; returns as hello_check(). */
ptrdiff_t proxy_check(int version, const uint8_t *data, size_t length,
		      struct proxy_claim *ret_claim, const char **ret_fault);
/** proxy_write() - make one. Return: bytes. */
size_t proxy_write(int version, const struct place *source,
		   const struct place *destination, uint8_t *buffer);

void place_from_sockaddr(const struct sockaddr_storage *from,
			 struct place *ret_place);
bool place_equal(const struct place *a, const struct place *b);

/* ---- report.c ---------------------------------------------------------- */

/* Latencies by size: 64 steps an octave, so at most 1.6 % off. */
#define HISTOGRAM_STEPS 64
#define HISTOGRAM_OCTAVES 40

struct histogram {
	uint64_t count;
	int64_t max_ns;
	uint64_t bins[HISTOGRAM_OCTAVES * HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *histogram, int64_t ns);

enum failure {
	FAIL_CONNECT,	/* refused, unreachable */
	FAIL_CORRUPT,	/* a byte is not what it has to be */
	FAIL_SHORT,	/* a clean end before the last byte */
	FAIL_LONG,	/* bytes behind the last one */
	FAIL_RESET,	/* a reset instead of a clean end */
	FAIL_CLEAN_END, /* a clean end instead of a reset */
	FAIL_PROXY,	/* the PROXY header is missing or wrong */
	FAIL_HELLO,	/* the ClientHello is not what was sent */
	FAIL_NAME,	/* a connection that is somebody else's */
	FAIL_TIMEOUT,	/* no progress */
	FAIL_SYSTEM,	/* another error of a system call */
	FAILURE_COUNT
};

struct report {
	uint64_t started;
	uint64_t completed;
	uint64_t empty; /* ended before their first byte */
	uint64_t failures[FAILURE_COUNT];
	uint64_t bytes_sent;
	uint64_t bytes_received;
	int64_t start_ns;
	int64_t end_ns;
	struct histogram echo;
	struct histogram first_byte;
};

uint64_t report_failed(const struct report *report);
/** report_add() - what another process has to report. */
void report_add(struct report *report, const struct report *other);
void report_print(const struct report *report, bool client);

/* ---- main.c ------------------------------------------------------------ */

#define LIST_MAX 64

/** struct options - of both commands; see usage() in main.c. */
struct options {
	bool client;
	struct sockaddr_storage ends[LIST_MAX];
	unsigned end_count;
	struct sockaddr_storage bind_to;
	uint64_t connections;
	uint64_t concurrency;
	uint64_t processes;
	uint64_t rate; /* connections begun a second; 0: any number */
	int64_t duration_ns;
	int64_t park_seconds;
	int64_t timeout_seconds;
	uint64_t seed;
	uint64_t size_min;
	uint64_t size_max;
	uint64_t reset_at;
	uint32_t shapes;
	uint32_t message;
	uint32_t stall_ms;
	uint32_t greeting;
	bool answer; /* the greeting comes after the hello */
	uint32_t chunk;
	uint32_t pace_us;
	char *names[LIST_MAX];
	unsigned name_count;
	char *alpn[LIST_MAX];
	unsigned alpn_count;
	size_t hello_bytes;
	size_t records;
	uint32_t segment;
	uint32_t segment_pace_us;
	bool name_last;
	int proxy_version; /* expected, or to be sent; 0: none */
	bool any_source;
	const char *congestion; /* NULL: the network namespace's */
	struct place proxy_source;
	struct place proxy_destination;
	int ready_fd;
};

/* ---- flow.c: one connection's end -------------------------------------- */

enum flow_state {
	FLOW_CONNECT, /* client */
	FLOW_PREFACE, /* server: the hello has not come whole */
	FLOW_STREAM,
	FLOW_OVER
};

/**
 * struct flow - one end of a connection.
 * @readable, @writable: since the last edge; @hung_up: an end is waiting.
 * @out:           preface (hello or greeting) still to go.
 * @in:            bytes of a hello that came in pieces.
 * @hold:          wait for the release after the first message.
 * @parked:        waiting for the release now.
 * @paced:         the wait before the next segment is over.
 * @greeting_left: of the server's greeting, before its stream.
 * @send_at_ns:    no segment before that; 0: any time.
 * @stall_end_ns:  no reading before that; 0: not stalled.
 */
struct flow {
	struct flow *next;
	struct flow *previous;
	struct flow *next_to_run;
	bool queued;
	enum flow_state state;
	int fd;
	bool readable;
	bool writable;
	bool hung_up;
	bool immediate;
	bool hold;
	bool parked;
	bool stall_over;
	bool paced;
	bool fin_sent;
	bool end_seen;
	uint64_t id;
	uint64_t random;
	struct plan mine;
	struct plan theirs;
	uint64_t send_key;
	uint64_t receive_key;
	uint64_t sent;
	uint64_t received;
	uint8_t *out;
	size_t out_length;
	size_t out_done;
	uint8_t *in;
	size_t in_length;
	uint32_t greeting_left;
	int64_t send_at_ns;
	int64_t stall_end_ns;
	int64_t started_ns;
	int64_t progress_ns;
	int64_t asked_ns;
};

/** struct loop - all that one process does. */
struct loop {
	const struct options *options;
	struct report report;
	int epoll;
	struct flow *flows;
	struct flow *run_first;
	struct flow **run_last;
	uint64_t active;
	uint64_t parked;
	int64_t next_timer_ns;
	bool released;
	bool stopped; /* unlimited streams are cut, also new ones */
};

int64_t clock_ns(void);
/** flow_step() - receive and send what can be; the flow may be over then. */
void flow_step(struct loop *loop, struct flow *flow);
/** flow_fail() - count, say why (the first few), reset the connection. */
void flow_fail(struct loop *loop, struct flow *flow, enum failure failure,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));
/** flow_greet() - the server's greeting is what goes first. */
void flow_greet(struct flow *flow, const struct options *options);
/** flow_cut() - end a flow that has END_CUT. */
void flow_cut(struct loop *loop, struct flow *flow);
/** flow_take_end() - the other side has ended its stream in order. */
void flow_take_end(struct loop *loop, struct flow *flow);
/** flow_take_reset() - the other side has reset the connection. */
void flow_take_reset(struct loop *loop, struct flow *flow);

/* ---- receive.c, send.c ------------------------------------------------- */

/* Bytes a flow moves each way before others have their turn. */
#define TURN_BYTES (1u << 20)

/** flow_receive() - Return: whether there is more to do in the next turn. */
bool flow_receive(struct loop *loop, struct flow *flow);
/** flow_send() - Return: whether there is more to do in the next turn. */
bool flow_send(struct loop *loop, struct flow *flow);

/* ---- loop.c ------------------------------------------------------------ */

struct flow *loop_add(struct loop *loop, int fd);
/** loop_queue() - let a flow run in this turn or the next. */
void loop_queue(struct loop *loop, struct flow *flow);
/** loop_wake_at() - the flow's timers have to be looked at then. */
void loop_wake_at(struct loop *loop, int64_t ns);
/** loop_park() - a flow waits for the release now. */
void loop_park(struct loop *loop, struct flow *flow);
/** loop_catch_signals() - Return: those that are let in while it waits only. */
sigset_t loop_catch_signals(void);
/** loop_listen() - open all ends, say "ready"; or exit. */
void loop_listen(const struct options *options, int *listeners);
/** loop_run() - until there is nothing left to do, or a signal. */
void loop_run(const struct options *options, const sigset_t *signals,
	      int *listeners, struct report *ret_report);

/* ---- processes.c -------------------------------------------------------- */

#define PROCESSES_MAX 16

/** processes_run() - Return: whether every byte was right. */
bool processes_run(const struct options *options);

#endif
