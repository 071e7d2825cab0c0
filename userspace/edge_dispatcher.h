/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The edge's XDP program beside those of others: where libxdp's dispatcher
 * stands on an interface, it becomes one of the programs that this calls.
 *
 * libxdp asks the kernel for programs by their numbers, for which that wants
 * CAP_SYS_ADMIN: the command line has it, the agent has not.
 */
#ifndef SNICTL_EDGE_DISPATCHER_H
#define SNICTL_EDGE_DISPATCHER_H

#include <bpf/libbpf.h>
#include <stdbool.h>

/**
 * edge_dispatcher_join() - be called first on an interface.
 * @object:      opened, with its maps, not loaded; loaded if this returns 0.
 * @name:        of the XDP program in it, the only one that is loaded.
 * @ret_program: its descriptor, for the other two functions.
 *
 * Return: 0; -EBUSY where there is no dispatcher, or not in the driver;
 * another -errno.
 */
int edge_dispatcher_join(int interface, struct bpf_object *object,
			 const char *name, int *ret_program);

/**
 * edge_dispatcher_has() - whether a program is still called there; true also
 * where the kernel does not let us know, but there is some XDP program.
 */
bool edge_dispatcher_has(int interface, int program);

/**
 * edge_dispatcher_leave() - be called no more.
 * Return: 0, also where it was not called; -EPERM; another -errno.
 */
int edge_dispatcher_leave(int interface, int program);

#endif
