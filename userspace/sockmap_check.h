/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether this kernel's sockmap does what we rely on. */
#ifndef SNICTL_SOCKMAP_CHECK_H
#define SNICTL_SOCKMAP_CHECK_H

#include "error.h"
#include "store.h"

/**
 * sockmap_check_release() - whether a kernel's sockmap is known to be bad.
 * @release: of uname(2).
 *
 * Return: 0, or -EOPNOTSUPP with a sentence.
 */
int sockmap_check_release(const char *release, struct error *error);

/**
 * sockmap_check() - try it, on connections of our own over loopback.
 * @store: what has passed since the machine was started is written there and
 *         not tried again, as long as the programs are the same.
 *
 * Bytes that wait at the hand-over, an end behind a burst, a way back with
 * every byte accounted for, a reader that stops, and a send buffer that is
 * full while the kernel sends. Takes some ten milliseconds.
 *
 * Return: 0, or -errno with a sentence.
 */
int sockmap_check(const struct store *store, struct error *error);

#endif
