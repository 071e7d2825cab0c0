/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A flow: one connection from a client and the one to its backend.
 *
 *   HELLO ──► CONNECT ──► PREFACE ──► RELAY ──► free
 *     │          │           │        │   ▲
 *     └──────────┴─► REFUSE  │   KERNEL ─► RETURN
 *                      │     │
 *                     free ◄─┘
 *
 * HELLO reads until the ClientHello is whole (behind a PROXY header where
 * the listener wants one); CONNECT tries the route's targets in turn;
 * PREFACE sends our PROXY header and what was read; RELAY moves the bytes.
 * From PREFACE a flow may go to ARMED, where the programs of the splice decide
 * whether they take it: then it is SPLICED till its end, else it goes to RELAY.
 * In KERNEL a sockmap moves them, until something comes up that it cannot do
 * (an end, a reader that does not keep up); RETURN takes the flow out of it,
 * for good. REFUSE has sent an alert, or nothing, and reads on for a while, so
 * that unread bytes do not turn our close into a RST that destroys the alert.
 *
 * On an HTTP listener REQUEST stands for HELLO, and EXCHANGE for RELAY: one
 * request a connection, so that none is ever sent where another was routed.
 *
 *   REQUEST ──► CONNECT ──► PREFACE ──► EXCHANGE ──► REFUSE ──► free
 *      └───────────┴───────────┴──────────► REFUSE      └─ 101 ─► RELAY
 */
#ifndef SNICTL_FLOW_H
#define SNICTL_FLOW_H

#include <sys/types.h>
#include "agent.h"
#include "hello.h"
#include "http_head.h"
#include "pair.h"
#include "proxy.h"

enum flow_side {
	FLOW_CLIENT,
	FLOW_BACKEND
};

/**
 * struct opening - what a flow needs only until the backend has the hello.
 * @targets_tried: of route.target.
 * @name:          that the client asks for; empty: none.
 * @wire:          all that the client sent so far, @length bytes; the first
 *                 @skip of them are its PROXY header, the first @taken have
 *                 left its socket.
 * @kept:          where the taken ones outlive us, or NULL.
 * @owed:          bytes to be taken from there once the backend has all.
 * @header:        our own PROXY header, @header_length bytes.
 * @sent:          of header and hello together.
 */
struct opening {
	struct hello_reader reader;
	bool is_tls;
	unsigned targets_tried;
	struct preface *kept;
	struct abi_route route;
	struct name name;
	size_t header_length;
	size_t skip;
	size_t sent;
	size_t taken;
	size_t owed;
	size_t length;
	size_t size;
	uint8_t header[PROXY_BUILD_MAX];
	uint8_t wire[];
};

/* What has happened to the bytes of one direction. */
enum flow_direction_flags {
	FLOW_ENDED = 1, /* the source's FIN has been read */
	FLOW_SHUT = 2,	/* and passed on */
	FLOW_BULK = 4,	/* moved by splice(2) */
	FLOW_BROKEN =
		8 /* the source has sent a RST: it follows the last byte */
};

/**
 * struct http - a request that goes to a backend, and its response.
 * @request, @response: the bodies, from where they stand.
 * @scan:      of the response's head.
 * @old:       the client speaks HTTP/1.0.
 * @cut_off:   the backend takes no more of the request.
 * @begun:     the response's head is on its way to the client.
 * @upgraded:  to WebSocket, once @out is sent.
 * @asked:     it outlives us.
 * @out:       of a head, what the client has not taken; @out_length bytes, of
 *             which @out_sent are gone. NULL: nothing.
 */
struct http {
	struct http_body request;
	struct http_body response;
	struct http_scan scan;
	bool is_head;
	bool old;
	bool websocket;
	bool cut_off;
	bool begun;
	bool upgraded;
	bool asked;
	uint8_t *out;
	size_t out_length;
	size_t out_sent;
};

/**
 * struct flow - the agent's side of a flow; its figures are in the maps.
 * @end:          the two sockets, by enum flow_side; fd -1: none.
 * @pipe:         by enum abi_direction; NULL while no bytes are in flight.
 * @direction:    enum flow_direction_flags, by enum abi_direction.
 * @watches_out:  by side: EPOLLOUT is asked for.
 * @readable:     by side: there may be something to read; an edge said so,
 *                and no read has come up short since.
 * @blocked:      by enum abi_direction: the sink took no more, and has not
 *                announced space since.
 * @hung:         by side: the peer's FIN has been announced.
 * @urgent:       by side: urgent data has come (RFC 6093).
 * @look:         by side: bytes that the next flow_look() begins with.
 * @pair:         the two sockets as the sockmap knows them, or NULL.
 * @granted:      bytes of each direction that they may hold there.
 * @datapath:     enum abi_datapath, the one wanted.
 * @broken:       one connection is: pair->broken; the kernel still sends.
 * @deadline:     the queue that the flow waits in.
 * @error:        of the last target that could not be reached.
 * @limit:        enum abi_limit, where the outcome is "limited".
 * @refused_bytes: read and thrown away behind a refusal.
 * @skipped_bytes: taken ahead of a request.
 * @proxy_expected: the client's own PROXY header is still to come.
 * @pending:      counts as a pending hello at its source.
 * @is_http:      it came by an HTTP listener.
 * @scan:         of its request's head.
 * @splice:       one more than its index in the map of splices; 0: none.
 * @why:          enum abi_why, for the record.
 * @http:         while its request goes to a backend.
 */
struct flow {
	struct watch end[2];
	struct thread *thread;
	struct listening *listening;
	struct abi_flow_cold *cold;
	struct abi_flow_hot *hot;
	struct opening *opening;
	struct http *http;
	struct source *source;
	struct pipe *pipe[2];
	struct pair *pair;
	uint32_t look[2];
	uint32_t granted;
	uint32_t splice;
	uint8_t why;
	struct flow *previous;
	struct flow *next;
	struct flow *next_again;
	uint64_t deadline_from_ns;
	int error;
	uint32_t refused_bytes;
	uint32_t skipped_bytes;
	uint8_t deadline;
	uint8_t limit;
	uint8_t direction[2];
	uint8_t datapath;
	bool broken;
	bool watches_out[2];
	bool readable[2];
	bool blocked[2];
	bool hung[2];
	bool urgent[2];
	bool proxy_expected;
	bool pending;
	bool is_again;
	bool is_http;
	struct http_scan scan;
};

/**
 * flow_begin() - take over an accepted connection.
 * @fd:   owned by the flow from here, whatever becomes of it.
 * @peer: its other end.
 */
void flow_begin(struct thread *thread, struct listening *listening, int fd,
		const struct abi_endpoint *peer);

/**
 * flow_init() - a flow in a slot, of which all else is in its record.
 * @client, @backend: owned by the flow from here; -1: none.
 */
void flow_init(struct flow *flow, struct thread *thread,
	       struct listening *listening, int client, int backend);

/**
 * flow_begin_again() - from its hello.
 * @kept:  of which this has been taken from the client's socket, or NULL.
 * @taken: bytes.
 *
 * Return: false, with nothing done, where memory is short.
 */
bool flow_begin_again(struct flow *flow, struct preface *kept, size_t taken);

/** flow_hold() - the thread lives, and is at work on it, should it die. */
void flow_hold(const struct flow *flow);

/**
 * flow_end() - close both sockets, write the log line, free the record.
 * @how: a static word: "closed", "reset-by-client", "idle", ...
 *
 * The slot is given back at the end of the turn.
 */
void flow_end(struct flow *flow, const char *how);

/** flow_reset() - as flow_end(), with a RST to both sides. */
void flow_reset(struct flow *flow, const char *how);

/** flow_expire() - the flow's deadline has come. */
void flow_expire(struct flow *flow);

/** flow_deadline_ns() - when the flow's deadline is due; it has one. */
uint64_t flow_deadline_ns(const struct flow *flow);

/** flow_give_back() - return the slots of the flows that ended this turn. */
void flow_give_back(struct thread *thread);

/** flow_phase() - enter a phase, in the record too. */
void flow_phase(struct flow *flow, enum abi_phase phase);

/** flow_outcome() - note how the connection ends or was refused. */
void flow_outcome(struct flow *flow, enum abi_outcome outcome);

/** flow_is_broken() - that side has sent a RST, which follows its last byte. */
static inline bool flow_is_broken(const struct flow *flow, unsigned side)
{
	return flow->cold->broken & 1U << side;
}

/** flow_record_begin() - the record is about to change: readers wait. */
static inline struct abi_flow_cold *flow_record_begin(struct flow *flow)
{
	struct abi_flow_cold *cold = flow->cold;

	__atomic_store_n(&cold->sequence, cold->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return cold;
}

/** flow_record_end() - the record is whole again. */
static inline void flow_record_end(struct flow *flow)
{
	__atomic_store_n(&flow->cold->sequence, flow->cold->sequence + 1,
			 __ATOMIC_RELEASE);
}

/** flow_age_us() - since its accept, as records have it: from 1 to an hour. */
uint32_t flow_age_us(const struct flow *flow);

/**
 * flow_admit() - hold the flow's client, once its address is known, against
 * bans and limits, and count it at its source.
 * Return: false where it may not be; the flow has ended then.
 */
bool flow_admit(struct flow *flow);

/**
 * flow_count_again() - at its source, where it may be whatever the limits are:
 * its hello was answered long ago.
 */
void flow_count_again(struct flow *flow);

/** flow_keep_name() - in the record, or where it has more room (flow_name.c).
 */
void flow_keep_name(struct flow *flow, const struct name *name);

/** flow_forget_name() - another flow may have the room. */
void flow_forget_name(struct flow *flow);

/** flow_settle() - the hello is whole: it is no longer pending. */
void flow_settle(struct flow *flow);

/**
 * flow_take_header() - the client's PROXY header has come.
 * Return: false where the flow has ended by it.
 */
bool flow_take_header(struct flow *flow, const struct proxy_header *header);

/* What a first flow_look() shows. A usual hello is less: with a post-quantum
 * key share, 1,900 bytes. */
#define FLOW_LOOK_BYTES 3072

/**
 * flow_look() - peek at what a side has sent, into the thread's buffer.
 * @ret_all: there is no more.
 *
 * Return: bytes, 0 at the end of the stream, or -1 with errno.
 */
ssize_t flow_look(struct flow *flow, enum flow_side side, bool *ret_all);

/** flow_consume() - take bytes from a socket that were peeked at. */
bool flow_consume(struct flow *flow, enum flow_side side, size_t bytes);

/** flow_lost_backend() - it broke before the client got anything of it. */
void flow_lost_backend(struct flow *flow);

/** flow_close_backend() - the client is still there, the backend not. */
void flow_close_backend(struct flow *flow);

/** flow_forget_opening() - the hello has been answered for: free its memory. */
void flow_forget_opening(struct flow *flow);

/* ---- the stages, each in the file of its name -------------------------- */

/** steer_read() - read the hello, find the route (steer.c). */
void steer_read(struct flow *flow);

/** steer_keep() - behind what has been taken. Return: false: no memory. */
bool steer_keep(struct flow *flow, const uint8_t *bytes, size_t length);

/**
 * steer_find() - look the route up, into the opening, and record it.
 * @hello: NULL where there is none.
 * Return: 0, -ENOENT or another -errno.
 */
int steer_find(struct flow *flow, struct route_query *query,
	       const struct hello *hello);

/** steer_make_header() - our own PROXY header, where the route wants one. */
void steer_make_header(struct flow *flow, const struct hello *hello);

/**
 * steer_hurry() - more of a hello or a request is to come: a client that waits
 * for an ACK before it sends a small segment (RFC 9293 section 3.7.4) gets one
 * at once.
 */
void steer_hurry(const struct flow *flow);

/** http_read() - read a request's head, find what it gets (http_steer.c). */
void http_read(struct flow *flow);

/**
 * http_answer() - end a connection with an answer of our own.
 * @status:  as in struct http_answer.
 * @request: NULL where there is none.
 */
void http_answer(struct flow *flow, enum abi_outcome outcome, unsigned status,
		 const struct http_request *request);

/** http_refuse() - refuse(), on an HTTP listener. */
void http_refuse(struct flow *flow, enum abi_outcome outcome);

/** http_keep() - a request is on its way (http_keep.c). Return: false: no
 * memory. */
bool http_keep(struct flow *flow, const struct http_request *request);

/** http_asked() - behind the request's head nothing is to be sent any more. */
void http_asked(struct flow *flow);

/**
 * http_told() - the client is about to get a head, of @length bytes; 0: none.
 * @status: of the response.
 */
void http_told(struct flow *flow, unsigned status, size_t length);

/**
 * http_adopt() - the backend has a request, and no more than 1xx was answered.
 * Return: false, with nothing done, where memory is short.
 */
bool http_adopt(struct flow *flow);

/** http_begin() - the backend has the request's head (http_exchange.c). */
void http_begin(struct flow *flow);

/** http_ready() - one side has news. */
void http_ready(struct flow *flow, enum flow_side side, uint32_t events);

/** http_pump() - move what can be moved, both ways. */
void http_pump(struct flow *flow);

/** http_expired() - nothing was moved for too long. */
void http_expired(struct flow *flow);

/** http_forget() - free what is kept of the exchange. */
void http_forget(struct flow *flow);

/** connect_next() - try the next target (connect.c). */
void connect_next(struct flow *flow);

/** connect_expired() - the target took too long: try the next. */
void connect_expired(struct flow *flow);

/** connect_ready() - the backend's socket has news while connecting. */
void connect_ready(struct flow *flow, uint32_t events);

/** connect_send() - send PROXY header and hello; then the relay. */
void connect_send(struct flow *flow);

/**
 * refuse() - end a flow that takes no route (refuse.c).
 * @outcome: enum abi_outcome.
 * @alert:   sent to a TLS client; 0: none.
 */
void refuse(struct flow *flow, enum abi_outcome outcome,
	    enum hello_alert alert);

/**
 * refuse_with() - send these last bytes, and read on for a while.
 * @length: 0: nothing is sent. They must fit into an empty socket buffer.
 */
void refuse_with(struct flow *flow, enum abi_outcome outcome,
		 const uint8_t *bytes, size_t length);

/** refuse_silently() - no answer at all until a RST at last ("drop"). */
void refuse_silently(struct flow *flow);

/** refuse_read() - throw away what a refused client still sends. */
void refuse_read(struct flow *flow);

/** relay_choose() - which data path is wanted, while the route is at hand. */
void relay_choose(struct flow *flow);

/** refuse_word() - how a connection ends that is only read on. */
const char *refuse_word(const struct flow *flow);

/** relay_start() - both sides are connected: move bytes (relay.c). */
void relay_start(struct flow *flow);

/** relay_ready() - one side has news. */
void relay_ready(struct flow *flow, enum flow_side side, uint32_t events);

/** relay_flush() - send a RST on when all bytes before it have arrived. */
void relay_flush(struct flow *flow);

/** relay_broken() - one side was reset: the other will be. */
void relay_broken(struct flow *flow, enum flow_side side);

/** relay_pump() - move what can be moved, both ways. */
void relay_pump(struct flow *flow);

/** flow_again() - the turn is over, the bytes are not: go on in the next. */
void flow_again(struct flow *flow);

/** join_open() - load the splice, or note why not (join.c). */
void join_open(struct agent *agent);

/** join_close() - the agent ends; what is spliced goes on. */
void join_close(struct agent *agent);

/** join_thread() - let a thread hear of its flows. Return: 0 or -errno. */
int join_thread(struct thread *thread);

/**
 * join_arm() - before a connect: if this flow may be spliced, let it be.
 * @fd: the backend's socket; it gets a port. flow.why says why not.
 */
void join_arm(struct flow *flow, int fd, const struct abi_endpoint *target);

/** join_disarm() - it will not be. */
void join_disarm(struct flow *flow);

/** join_wait() - all is sent: the backend's acknowledgement decides. */
void join_wait(struct flow *flow);

/** join_ready() - a socket has news before the verdict. */
void join_ready(struct flow *flow, enum flow_side side, uint32_t events);

/** join_expired() - there was no verdict in time. */
void join_expired(struct flow *flow);

/** join_is_left() - a flow of the last agent's goes on. @index: its slot. */
bool join_is_left(const struct agent *agent, uint32_t index);

/** join_adopt() - watch over those, before the threads run. */
void join_adopt(struct agent *agent);

/** join_recheck() - news may have been lost: look what has become of it. */
void join_recheck(struct flow *flow);

/** join_hear() - in each turn: what the programs have done. */
void join_hear(struct thread *thread);

/** join_keep() - ask silent sides of spliced flows (join_keep.c). */
void join_keep(struct thread *thread);

/** join_tail_thread() - room for what follows. Return: 0 or -ENOMEM
 * (join_tail.c). */
int join_tail_thread(struct thread *thread);

/**
 * join_tail_keep() - a segment that is sent once more if nobody answers.
 *
 * It is copied, in the place of the flow's last one; where there is no room for
 * more flows' it is forgotten.
 */
void join_tail_keep(struct flow *flow, const struct abi_tail *segment);

/** join_tail_send() - in each turn: those that are due. */
void join_tail_send(struct thread *thread);

/** join_leave() - the flow ends; if it was spliced, with a RST both ways. */
void join_leave(struct flow *flow);

/** redirect_open() - load the sockmap, or note why not (redirect.c). */
void redirect_open(struct agent *agent);

/** redirect_close() - unload it; no flow is left. */
void redirect_close(struct agent *agent);

/** redirect_thread() - let a thread hear of its flows. Return: 0 or -errno. */
int redirect_thread(struct thread *thread);

/** redirect_prepare() - before the first byte, where the kernel is wanted. */
void redirect_prepare(struct flow *flow);

/** redirect_try() - nothing is in flight: hand over, if that is wanted. */
void redirect_try(struct flow *flow);

/** redirect_ready() - one side of a flow in the kernel has news. */
void redirect_ready(struct flow *flow, enum flow_side side, uint32_t events);

/** redirect_forget() - its sockets have left the maps, or been closed: others
 * may have its memory. */
void redirect_forget(struct flow *flow);

/**
 * redirect_adopt() - take over a flow whose sockets are in the maps.
 * Return: false where they are not.
 */
bool redirect_adopt(struct flow *flow);

/** redirect_step() - go on with taking a flow back. */
void redirect_step(struct flow *flow);

#endif
