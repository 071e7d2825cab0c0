/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The edge's programs, loaded with the pinned maps, and pinned themselves. */
#ifndef SNICTL_EDGE_PROGRAM_H
#define SNICTL_EDGE_PROGRAM_H

#include "store.h"

enum edge_program {
	EDGE_PROGRAM_XDP,
	EDGE_PROGRAM_TC,
	EDGE_PROGRAM_TC_IP, /* of devices without a link layer */
	EDGE_PROGRAM_COUNT
};

/**
 * edge_programs_get() - those that are pinned; if there are none, load and
 * pin them. So the agent, which has given up the right to load such ones, can
 * hang them on an interface that comes later.
 * @program: descriptors, or -1; those that are there stay.
 *
 * Return: 0; -errno with a sentence.
 */
int edge_programs_get(const struct store *store,
		      int program[EDGE_PROGRAM_COUNT], struct error *error);

/**
 * edge_program_join() - edge_dispatcher_join() with another one: what a
 * dispatcher calls is loaded for it.
 */
int edge_program_join(const struct store *store, int interface,
		      int *ret_program);

#endif
