/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether this kernel splices as we rely on. */
#ifndef SNICTL_SPLICE_CHECK_H
#define SNICTL_SPLICE_CHECK_H

#include "store.h"

enum splice_known {
	SPLICE_UNTRIED,
	SPLICE_PROVED,
	SPLICE_FAILED
};

/** struct splice_finding - of one family; @why: a sentence, if not PROVED. */
struct splice_finding {
	enum splice_known known;
	char why[160];
};

/**
 * splice_check() - try it, in network namespaces that nobody else sees.
 * @store: locked; what has been proved since the machine was started, by
 *         this very program, is written there and not tried again.
 * @ret_findings: of IPv4 and of IPv6.
 *
 * Our programs join connections of a client and a backend of our own: bytes
 * both ways, with timestamps and without, a half-close, a reset, bytes right
 * behind the hello, a packet of this host's own. All of that is in a process
 * of its own, and goes with it, which goes with the caller.
 */
void splice_check(const struct store *store,
		  struct splice_finding ret_findings[2]);

#endif
