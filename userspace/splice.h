/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet-level data path: its programs on the interfaces, its maps, its
 * slots. A slot is a place in the map of splices and, with it, the port that
 * the agent connects from: so no two flows ever have the same tuple, and a
 * port rests for as long as its slot does.
 */
#ifndef SNICTL_SPLICE_H
#define SNICTL_SPLICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "conntrack.h"
#include "splice_program.h"
#include "store.h"

struct ring_buffer;
struct splice_bpf;

/** struct splice_rest - a slot in a queue, since when. */
struct splice_rest {
	uint32_t slot;
	uint64_t from_ns;
};

/** struct splice_queue - first in, first out; @size entries. */
struct splice_queue {
	struct splice_rest *row;
	uint32_t size;
	uint32_t first;
	uint32_t count;
};

/**
 * struct splice_heard - of a flow's two sides.
 * @packets: the last figure; modulo 2^32.
 * @at_ms:   when that was seen to be new; modulo 2^32; with @is_known.
 * @asked:   how often since then.
 */
struct splice_heard {
	uint32_t packets[2];
	uint32_t at_ms[2];
	uint8_t asked[2];
	bool is_known;
};

/**
 * struct splice - one loaded object; its maps and links are pinned.
 * @slots:   @count of them, memory-mapped; slot n has port @first_port + n.
 * @programs: by enum splice_program.
 * @comes:   memory-mapped; see splice_come().
 * @ports:   memory-mapped; a bit for each local port that tuples may have.
 * @buckets: memory-mapped, @bucket_count of them: whose tuples are whose, by a
 *           hash with @tuple_key; changed under @tuple_lock, by programs
 *           without it.
 * @guard:   0, or -errno: there is none, see splice_guard.h.
 * @heard:   beside @slots: when something came from their flows' sides.
 * @free:    slots that no program can see any more.
 * @resting: slots of flows that have ended, whose late packets still pass.
 * @resting_long: likewise, without timestamps.
 */
struct splice {
	struct splice_bpf *bpf;
	int programs[SPLICE_PROGRAMS];
	int rings_map;
	struct conntrack conntrack;
	int guard;
	struct abi_splice *slots;
	struct splice_heard *heard;
	uint64_t *ports;
	struct abi_bucket *buckets;
	uint32_t bucket_count;
	uint64_t tuple_key;
	pthread_mutex_t tuple_lock;
	uint32_t count;
	uint16_t first_port;
	unsigned threads;
	uint8_t *comes;
	int ring_fd[ABI_THREADS_MAX];
	struct ring_buffer *rings[ABI_THREADS_MAX];
	pthread_mutex_t lock;
	struct splice_queue free;
	struct splice_queue resting;
	struct splice_queue resting_long;
};

/**
 * splice_open() - load, or take over what an earlier agent has left; attach.
 * @store:      locked.
 * @threads:    rings, 1..ABI_THREADS_MAX.
 * @ret_splice: for splice_close(); written only on success.
 *
 * Slots whose flows an earlier agent has left are neither free nor resting:
 * their state says so.
 * Return: 0, or -errno with a sentence.
 */
int splice_open(const struct store *store, unsigned threads,
		struct splice **ret_splice, struct error *error);

/**
 * splice_open_apart() - the same programs with maps of their own, on no
 * interface: for a test.
 * @count: of slots.
 *
 * Return: 0 or -errno.
 */
int splice_open_apart(uint32_t count, struct splice **ret_splice);

/**
 * splice_lend() - hang one of its programs on an interface for as long as this
 * process lives, and the interface. @out: the one that sees what leaves.
 * Return: 0 or -errno.
 */
int splice_lend(const struct splice *splice, int index, bool out);

/** splice_way() - the addresses and ports of packets of one direction. */
void splice_way(struct abi_splice_way *way, const struct abi_endpoint *source,
		const struct abi_endpoint *destination);

/** splice_program_hash() - of the programs, before they are loaded. */
uint64_t splice_program_hash(void);

/** splice_close() - the programs stay on the interfaces, and go on. */
void splice_close(struct splice *splice);

/**
 * splice_sync() - attach where the programs do not hang: to interfaces that are
 * new, or where somebody has taken them away. @store: locked.
 * Return: how many were attached, or -errno with a sentence that names the
 * interface.
 */
int splice_sync(const struct splice *splice, const struct store *store,
		struct error *error);

/** splice_exists() - an earlier agent has had one. */
bool splice_exists(const struct store *store);

/** splice_is_left() - packets pass by a slot, or did until lately. */
bool splice_is_left(const struct splice *splice, uint32_t slot);

/**
 * splice_claim_rest() - what is left of flows that no record tells of.
 *
 * Those that were being closed rest; those that were being made end.
 */
void splice_claim_rest(struct splice *splice, const struct abi_flow_cold *cold,
		       uint32_t capacity);

/**
 * splice_take() - a slot that nobody has had for a while; it is FREE, and all
 * in it is zero.
 * Return: 0 or -ENOSPC.
 */
int splice_take(struct splice *splice, uint64_t now_ns, uint32_t *ret_slot);

/** splice_rest() - the flow has ended: what comes late passes for a while. */
void splice_rest(struct splice *splice, uint32_t slot, uint64_t now_ns);

/**
 * splice_arm() - packets of both tuples are looked at from here on.
 * Return: 0 or -errno; then it is to be disarmed.
 */
int splice_arm(struct splice *splice, uint32_t index);

/** splice_disarm() - they are not, any more. */
void splice_disarm(struct splice *splice, uint32_t index);

/**
 * splice_tuple_put() - packets from that side belong to this slot
 * (splice_tuples.c).
 *
 * Where they belonged to another one, they do no more: a client may have its
 * port in use again while its last flow still rests.
 * Return: false: there is no room.
 */
bool splice_tuple_put(struct splice *splice, uint32_t index,
		      enum abi_direction side);

/** splice_tuple_remove() - they do not, if they did. */
void splice_tuple_remove(struct splice *splice, uint32_t index,
			 enum abi_direction side);

/**
 * splice_abort() - the agent's own step from ARMED to ABORTED.
 * Return: the state that it is in, with no program in the middle of a step.
 */
enum abi_splice_state splice_abort(struct splice *splice, uint32_t index);

/** splice_state() - by enum abi_splice_state. */
static inline enum abi_splice_state splice_state(const struct splice *splice,
						 uint32_t slot)
{
	return (enum abi_splice_state)__atomic_load_n(
		&splice->slots[slot].state, __ATOMIC_ACQUIRE);
}

/**
 * splice_reset() - send both sides a RST of a connection that was spliced.
 *
 * It is disarmed, so the stack answers what still comes with RSTs too.
 */
void splice_reset(const struct splice *splice, uint32_t index);

/** splice_ask() - send a side a keep-alive, which it answers. */
void splice_ask(const struct splice *splice, uint32_t index,
		enum abi_direction side);

/**
 * splice_send_tail() - send a far client once more what has gone to him before;
 * he acknowledges it selectively, and so the backend learns what is lost.
 *
 * The splice is SPLICED. Nothing is sent where that fails, or the segment was
 * damaged before it came here.
 */
void splice_send_tail(const struct splice *splice, const struct abi_tail *tail);

/**
 * splice_keep() - listen to a flow's sides, and ask one that is silent.
 * @hot:          what has come from them.
 * @keepalive_ns: the silence after which it is asked.
 *
 * Like the kernel's own: nine times, each 75 s at most (tcp(7)).
 * Return: 1 + the side, enum abi_direction, that has answered none of it; 0.
 */
unsigned splice_keep(struct splice *splice, uint32_t index,
		     const struct abi_flow_hot *hot, uint64_t now_ns,
		     uint64_t keepalive_ns);

/** splice_ring() - a descriptor that is readable while a thread has news. */
int splice_ring(const struct splice *splice, unsigned thread);

/**
 * struct splice_ears - what is called for each of a thread's news.
 * @step: a splice has stepped on.
 * @tail: has gone to a far client; valid for the time of the call.
 */
struct splice_ears {
	void (*step)(void *context, uint32_t slot);
	void (*tail)(void *context, const struct abi_tail *tail);
	void *context;
};

/** splice_news() - take a thread's news. Return: there were some. */
bool splice_news(struct splice *splice, unsigned thread,
		 const struct splice_ears *ears);

/**
 * splice_come() - whether a thread takes its news by itself, soon: then only
 * those that are urgent make its ring readable.
 */
void splice_come(const struct splice *splice, unsigned thread, bool comes);

#endif
