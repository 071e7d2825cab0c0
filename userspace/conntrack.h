/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The firewall's memory of connections whose packets it sees no more. */
#ifndef SNICTL_CONNTRACK_H
#define SNICTL_CONNTRACK_H

#include "../bpf/abi.h"

/** conntrack_open() - Return: a descriptor, or -errno. */
int conntrack_open(void);

/**
 * conntrack_forget() - let the kernel forget a TCP connection.
 * @fd:   of conntrack_open(); a negative one: nothing is done.
 * @from: who has made it; @to: both of one family.
 *
 * Without it, an entry stays for five days (nf_conntrack_tcp_timeout_
 * established). That there is none is no error: nobody tracks here.
 */
void conntrack_forget(int fd, const struct abi_endpoint *from,
		      const struct abi_endpoint *to);

#endif
