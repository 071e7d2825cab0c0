/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The reading side of flows and counters, beside the agent that writes. */
#ifndef SNICTL_FLOW_READ_H
#define SNICTL_FLOW_READ_H

#include <stdint.h>
#include "name.h"
#include "store.h"

/**
 * flow_figures() - all that has passed, whoever moved it.
 * @cold: of this flow, or a copy. @hot: may be written to meanwhile.
 */
void flow_figures(const struct store *store, const struct abi_flow_cold *cold,
		  const struct abi_flow_hot *hot,
		  struct abi_flow_hot *ret_figures);

/** flow_after_ns() - a time that a record has as what is behind its accept. */
static inline uint64_t flow_after_ns(const struct abi_flow_cold *cold,
				     uint32_t after_us)
{
	return after_us ? cold->accepted_ns + after_us * 1000ULL : 0;
}

/**
 * struct flow_record - one flow at one moment.
 * @hot:  as by flow_figures().
 * @name: as by flow_name().
 */
struct flow_record {
	struct abi_flow_cold cold;
	struct abi_flow_hot hot;
	struct name name;
};

/**
 * flow_name() - the server name of a flow; empty: it has none.
 *
 * Of one that nobody has room for, "..." and its end: no host name reads so.
 */
void flow_name(const struct store *store, const struct abi_flow_cold *cold,
	       struct name *ret_name);

/**
 * flow_read() - copy the flow in a slot.
 * @index:      0..flow_capacity - 1.
 * @ret_record: written only on success; both halves are the same flow's.
 *
 * Return: 0, -ENOENT (the slot is free), -EBUSY (the record never stood
 * still: its writer is at work without end, or died at work).
 */
int flow_read(const struct store *store, uint32_t index,
	      struct flow_record *ret_record);

/**
 * flow_find() - copy the flow with an id.
 * Return: 0 or -ENOENT (it has ended, or never was).
 */
int flow_find(const struct store *store, uint64_t id,
	      struct flow_record *ret_record);

/**
 * flow_route_text() - the name of the route that a flow took, as written.
 * @name: as by flow_name().
 * @text: at least PATTERN_TEXT_SIZE bytes; "" where it took none.
 * Return: @text.
 */
const char *flow_route_text(const struct abi_flow_cold *cold,
			    const struct name *name, char *text);

/** counters_sum() - all threads' counters, added up. */
void counters_sum(const struct store *store, struct abi_counters *ret_sum);

#endif
