/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two network namespaces that nobody else sees, and a wire between them. They
 * go with the process that has made them, however it ends. */
#ifndef SNICTL_SPLICE_WIRE_H
#define SNICTL_SPLICE_WIRE_H

#include "../bpf/abi.h"

enum wire_end {
	WIRE_NEAR,
	WIRE_FAR
};

/**
 * struct splice_wire - descriptors of the namespaces, and the index that the
 * wire has in each; by enum wire_end.
 */
struct splice_wire {
	int space[2];
	int interface[2];
};

/**
 * splice_wire_open() - lay it; the calling process stays in one of them.
 *
 * For a process of its own, without threads: it does not come back. Without
 * CAP_SYS_ADMIN it gets a user namespace too, and with that all rights in
 * there, and none outside.
 *
 * Return: 0 or -errno; what was made meanwhile goes with the process.
 */
int splice_wire_open(struct splice_wire *ret_wire);

/** splice_wire_enter() - sockets are made there now. Return: 0 or -errno. */
int splice_wire_enter(const struct splice_wire *wire, enum wire_end end);

/**
 * splice_wire_address() - give an end an address, of a /24 or a /64.
 * Return: 0 or -errno; the process is at that end then.
 */
int splice_wire_address(const struct splice_wire *wire, enum wire_end end,
			const struct abi_endpoint *address);

#endif
