/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much of a hurry a thread is in. Who moves bulk and is woken for each
 * packet, in front of whoever sends them, moves one packet at a time. So while
 * there is that much, a thread lets others go on until they wait or have had
 * their turn (sched(7), SCHED_BATCH), and finds more when it runs: that takes a
 * third less of its own processor time. Where a processor is free it is woken
 * as fast as ever; where none is, its other flows wait with it.
 */
#ifndef SNICTL_HASTE_H
#define SNICTL_HASTE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct haste - of one thread, which alone uses it; zeros to begin with.
 * @from_ns: since when @bytes were moved, CLOCK_MONOTONIC.
 * @bytes:   by splice(2).
 * @patient: we have made it SCHED_BATCH.
 */
struct haste {
	uint64_t from_ns;
	uint64_t bytes;
	bool patient;
};

/**
 * haste_look() - once a turn: be as patient as what was moved allows.
 * A thread that was given another policy than SCHED_OTHER keeps it.
 */
void haste_look(struct haste *haste, uint64_t now_ns);

#endif
