/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef SNICTL_SPLICE_ROUTE_H
#define SNICTL_SPLICE_ROUTE_H

#include "splice.h"

/**
 * splice_reroute() - let spliced packets leave by where the routes lead now.
 *
 * Where there is no route, or not by Ethernet, they go on as they did.
 * Return: how many ways of flows have changed, or -errno.
 */
int splice_reroute(struct splice *splice);

#endif
