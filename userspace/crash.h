/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a death is worst: between two steps of which only the first is done.
 *
 * A test build (CRASH_POINTS) dies there by SIGKILL, once, if a file of the
 * point's name is in the folder of the environment's SNICTL_CRASH; with
 * ".always" behind the name, by SIGSEGV and each time. Elsewhere this is
 * nothing at all.
 */
#ifndef SNICTL_CRASH_H
#define SNICTL_CRASH_H

#ifdef CRASH_POINTS
void crash_point(const char *name);
#else
static inline void crash_point(const char *name)
{
	(void)name;
}
#endif

#endif
