/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network interfaces that packets come in by. */
#ifndef SNICTL_INTERFACE_H
#define SNICTL_INTERFACE_H

#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * struct interface - one that packets come in by.
 * @hardware: and not virtio.
 */
struct interface {
	int index;
	char name[IFNAMSIZ];
	bool ethernet;
	bool hardware;
};

struct interfaces {
	struct interface *row;
	size_t count;
};

/**
 * interfaces_read() - all but the loopback, and those whose packets are seen
 * on another one.
 * @ret_list: for interfaces_done(); empty if this fails.
 * Return: 0 or -errno.
 */
int interfaces_read(struct interfaces *ret_list);

/** interfaces_done() - free the list. */
void interfaces_done(struct interfaces *list);

/** AUTO_INTERFACES - a list that is freed at the end of its scope. */
#define AUTO_INTERFACES                                                        \
	__attribute__((cleanup(interfaces_done))) struct interfaces

/**
 * interface_forbid_lro() - turn large receive offload off: of packets that a
 * card has merged so, nobody knows the sizes any more, and they cannot be
 * forwarded. Where it forwards by itself the kernel does the same.
 *
 * Return: false: it stays on.
 */
bool interface_forbid_lro(const char *name);

#endif
