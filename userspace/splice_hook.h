/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The splice's programs on the interfaces: by pinned links, or, before Linux
 * 6.6, as clsact filters, so that packets are forwarded without an agent. */
#ifndef SNICTL_SPLICE_HOOK_H
#define SNICTL_SPLICE_HOOK_H

#include <stdbool.h>
#include "store.h"

/**
 * splice_hook_sync() - hang the programs on every Ethernet interface.
 * @store:   locked.
 * @in, @out: the programs; where others hang by a link of ours, these take
 *            their place, with no packet in between.
 *
 * Return: how many had to be attached, or -errno with a sentence that names the
 * interface. Interfaces that go meanwhile are no error.
 */
int splice_hook_sync(const struct store *store, int in, int out,
		     struct error *error);

/**
 * splice_hook_lend() - hang a program on an interface that ends before this
 * process does, or with it: nothing is pinned.
 * Return: 0 or -errno.
 */
int splice_hook_lend(int index, bool out, int program);

/** splice_hook_remove() - take filters off, which no pin holds. */
void splice_hook_remove(void);

/**
 * splice_hook_visit() - each interface, and whether both programs hang there.
 * Return: 0 or -errno.
 */
typedef void splice_hook_visitor(void *context, const char *interface,
				 bool is_hooked);
int splice_hook_visit(const struct store *store, splice_hook_visitor *visit,
		      void *context);

#endif
