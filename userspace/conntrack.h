/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The firewall's memory of connections whose packets it sees no more. */
#ifndef SNICTL_CONNTRACK_H
#define SNICTL_CONNTRACK_H

#include <stdbool.h>
#include "../bpf/abi.h"

/**
 * struct conntrack - the kernel's, of this network namespace.
 * @netlink: to change it; or -errno.
 * @count:   to read how many connections it follows; -1: the kernel has not
 *           loaded it, and follows none.
 */
struct conntrack {
	int netlink;
	int count;
};

/** conntrack_open() - what can't be had stays closed: see the fields. */
void conntrack_open(struct conntrack *conntrack);

/** conntrack_close() */
void conntrack_close(struct conntrack *conntrack);

/** conntrack_look() - from time to time: whether it is loaded by now. */
void conntrack_look(struct conntrack *conntrack);

/** conntrack_is_empty() - it follows no connection: there is none to forget. */
bool conntrack_is_empty(const struct conntrack *conntrack);

/**
 * conntrack_forget() - let the kernel forget a TCP connection.
 * @from: who has made it; @to: both of one family.
 *
 * Without it, an entry stays for five days (nf_conntrack_tcp_timeout_
 * established). That there is none is no error: nobody tracks here.
 */
void conntrack_forget(const struct conntrack *conntrack,
		      const struct abi_endpoint *from,
		      const struct abi_endpoint *to);

#endif
