/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two connected sockets that a sockmap joins, and how they come out again
 * with nothing lost, doubled or out of order.
 *
 * For each direction, with what struct abi_sockmap_direction counts:
 *
 * ALL_JUDGED  Of what the source's TCP took since the pair was joined, every
 *             byte was redirected or passed: none waits for a verdict, and
 *             none is gone.
 * ALL_DRAINED passed == drained: the agent has sent on all that was passed.
 *             Only then does the verdict redirect.
 * ALL_WRITTEN The sink's TCP has taken all that was redirected. Only then
 *             does the agent write to the sink, or end it.
 * STOPPED     limit == 0, and the source's lock has been had since: the
 *             verdict redirects no more, redirected stands still.
 * NO_HOLE     Nothing waits in TCP's own receive queue behind passed bytes that
 *             have not been read.
 *
 * A pair is taken apart when it is STOPPED and ALL_WRITTEN in both directions:
 * one side after the other, when nothing is being judged any more and what
 * came from there is ALL_DRAINED; then ALL_JUDGED is checked, and the sockets
 * are ordinary ones again. Only the kernel's own work is waited for: neither a
 * sender that never pauses nor a reader that has stopped can keep a pair. This
 * comes before anything that a socket does not survive in a sockmap: a socket
 * whose two directions have both ended loses what was passed and not yet read,
 * so an end is never passed on to a socket that is in the maps.
 */
#ifndef SNICTL_PAIR_H
#define SNICTL_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include "sockmap.h"

/**
 * struct pair - the two sockets of a flow; by enum flow_side, which is also
 * the direction that comes from there.
 * @slot:    of the record.
 * @fd:      borrowed.
 * @cookie:  SO_COOKIE.
 * @record:  what the verdict and we count; pair_recover() finds here what it
 *           needs.
 * @joined:  by side: the verdict judges what arrives.
 * @held:    by side: what arrives is thrown away, and comes again later.
 * @taken:   by side: bytes that TCP had delivered, less judged ones.
 * @broken:  the side whose connection failed, after -ECONNRESET.
 * @written: by side: bytes that TCP had taken, less those redirected there.
 * @bound:   what pair_bound() was given.
 * @wide:    a send buffer has no bound for the moment.
 * @stopped_ns: when whoever takes it apart began to.
 */
struct pair {
	struct sockmap *sockmap;
	uint32_t slot;
	int fd[2];
	uint64_t cookie[2];
	struct abi_sockmap_flow *record;
	bool joined[2];
	bool held[2];
	int broken;
	uint64_t taken[2];
	uint64_t written[2];
	uint32_t bound;
	bool wide;
	uint64_t stopped_ns;
};

/**
 * pair_bound() - fix the size of TCP's buffers, for good.
 * @limit: bytes of one direction that may be on this host until the receiver
 *         has acknowledged them.
 *
 * To be done before there are many: what a sender has been offered cannot be
 * taken back. TCP by itself finds the sizes that are best for the throughput.
 */
int pair_bound(struct pair *pair, uint32_t limit);

/**
 * pair_is_ready() - whether there is nothing to be read on either side.
 * Return: 0; -EAGAIN: bytes are waiting, or a side has ended; -ECONNRESET.
 */
int pair_is_ready(struct pair *pair);

/**
 * pair_join() - hand both sockets to the kernel.
 * @limit:  as for pair_bound(); half of it may be redirected and not
 *          acknowledged.
 * @thread: whose ring is told of passed bytes.
 *
 * Nothing may be in flight in user space. On failure, where one socket is
 * joined, the pair has to be parted like one that is.
 *
 * Return: 0; -EOPNOTSUPP: a side has ended, or is of a kind that cannot be
 * in a sockmap; -ECONNRESET: both are to be reset; or another -errno of the
 * kernel's refusal.
 */
int pair_join(struct pair *pair, uint32_t limit, unsigned thread);

/** pair_is_joined() - whether pair_part() is owed. */
static inline bool pair_is_joined(const struct pair *pair)
{
	return pair->joined[0] || pair->joined[1];
}

/**
 * pair_recover() - a pair that an agent had joined, or was about to take
 * apart, when it died: STOPPED, and owed pair_part() unless it is not joined.
 *
 * Sockmap, slot, descriptors, cookies and record are filled in.
 *
 * Return: 0; -EBADMSG: it cannot be told what was sent on; or -errno.
 */
int pair_recover(struct pair *pair);

/**
 * pair_stop() - make both directions STOPPED, and hold neither side.
 * Return: 0 or -errno.
 */
int pair_stop(struct pair *pair);

/**
 * pair_is_written() - ALL_WRITTEN, for a direction that is STOPPED.
 * @from: where the bytes come from.
 */
bool pair_is_written(const struct pair *pair, unsigned from);

/**
 * pair_widen() - let a side's TCP take what is left, however slow its reader
 * is: no more than the other side's receive buffer holds. Both are STOPPED.
 */
void pair_widen(struct pair *pair, unsigned side);

/** pair_is_drained() - ALL_DRAINED. */
bool pair_is_drained(const struct pair *pair, unsigned from);

/**
 * struct pair_turn - what pair_part() works with.
 * @buffer: scratch of @size bytes.
 * @now_ns: for the figures.
 */
struct pair_turn {
	void *buffer;
	size_t size;
	uint64_t now_ns;
};

/**
 * pair_part() - send on what was passed, and take both sockets out of the
 * maps; both are STOPPED.
 *
 * Return: 0; -EAGAIN: in a moment. After -EBADMSG (not ALL_JUDGED), -ECONNRESET
 * and others both connections are to be reset.
 */
int pair_part(struct pair *pair, const struct pair_turn *turn);

/** pair_forget() - the sockets have been closed. */
void pair_forget(struct pair *pair);

#endif
