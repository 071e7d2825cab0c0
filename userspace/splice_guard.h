/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What keeps the stack silent where the splice's programs are gone from an
 * interface; see bpf/splice_guard.bpf.c. */
#ifndef SNICTL_SPLICE_GUARD_H
#define SNICTL_SPLICE_GUARD_H

#include "store.h"

/**
 * splice_guard_attach() - hang it on this network namespace, in the place of
 * an earlier one.
 * @store: locked; the splice's maps are pinned.
 *
 * Return: 0 or -errno: the kernel has no programs at netfilter (Linux 6.4).
 */
int splice_guard_attach(const struct store *store);

/** splice_guard_exists() - there is one. */
bool splice_guard_exists(const struct store *store);

#endif
