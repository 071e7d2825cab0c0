// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_program.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cleanup.h"

#define PIN_PREFIX "splice_program_"
#define PIN_SIZE sizeof(PIN_PREFIX "out_0123456789abcdef")

static void pin_name(enum splice_program program, uint64_t hash,
		     char name[PIN_SIZE])
{
	snprintf(name, PIN_SIZE, PIN_PREFIX "%s_%016" PRIx64,
		 program == SPLICE_PROGRAM_OUT ? "out" : "in", hash);
}

int splice_program_get(const struct store *store, uint64_t hash,
		       int ret_fds[SPLICE_PROGRAMS])
{
	AUTO_FD in = -1;
	AUTO_FD out = -1;
	char name[PIN_SIZE];
	int result;

	pin_name(SPLICE_PROGRAM_IN, hash, name);
	result = store_get(store, name, &in);
	pin_name(SPLICE_PROGRAM_OUT, hash, name);
	if (!result)
		result = store_get(store, name, &out);
	if (result)
		return result;
	ret_fds[SPLICE_PROGRAM_IN] = take_fd(&in);
	ret_fds[SPLICE_PROGRAM_OUT] = take_fd(&out);
	return 0;
}

static void forget(const struct store *store, const char *name, void *context)
{
	(void)context;
	if (!strncmp(name, PIN_PREFIX, strlen(PIN_PREFIX)))
		store_unpin(store, name);
}

int splice_program_keep(const struct store *store, uint64_t hash,
			const int fds[SPLICE_PROGRAMS])
{
	int result = 0;

	store_pins_visit(store, forget, NULL);
	for (unsigned i = 0; !result && i < SPLICE_PROGRAMS; i++) {
		char name[PIN_SIZE];

		pin_name(i, hash, name);
		result = store_pin(store, fds[i], name);
	}
	return result;
}
