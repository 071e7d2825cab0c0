// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "haste.h"

#include <sched.h>

/* How often it is thought over. */
#define HASTE_NS 10000000ULL
/* Bytes in that time from which on there is much: 3 Gbit/s. Below that there
 * are few enough wake-ups, and who waits for an answer comes first. */
#define HASTE_BYTES (4ULL << 20)

void haste_look(struct haste *haste, uint64_t now_ns)
{
	const struct sched_param none = {0};
	uint64_t past_ns = now_ns - haste->from_ns;
	bool patient;

	if (past_ns < HASTE_NS)
		return;
	patient = haste->bytes / HASTE_BYTES >= past_ns / HASTE_NS;
	haste->from_ns = now_ns;
	haste->bytes = 0;
	if (patient == haste->patient)
		return;
	if (patient && sched_getscheduler(0) == SCHED_OTHER) {
		haste->patient = !sched_setscheduler(0, SCHED_BATCH, &none);
	} else if (!patient) {
		if (sched_getscheduler(0) == SCHED_BATCH)
			sched_setscheduler(0, SCHED_OTHER, &none);
		haste->patient = false;
	}
}
