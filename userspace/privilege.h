/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The capabilities that the worker keeps. */
#ifndef SNICTL_PRIVILEGE_H
#define SNICTL_PRIVILEGE_H

#include "error.h"

/**
 * privilege_drop() - keep only what the agent uses, for good.
 *
 * Kept: CAP_NET_BIND_SERVICE (listeners that come later), CAP_BPF (the
 * routes are looked up and opened again after a replace) and CAP_NET_ADMIN
 * (what BPF asks for where CAP_BPF alone does not do). No new privileges, no
 * other capability, not even for root. To be called before the first thread.
 *
 * Return: 0 or -errno with a sentence.
 */
int privilege_drop(struct error *error);

#endif
