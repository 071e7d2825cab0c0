/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The addresses of this host (in this network namespace). */
#ifndef SNICTL_LOCAL_H
#define SNICTL_LOCAL_H

#include "config.h"

/**
 * local_addresses() - of all interfaces, IPv4 and IPv6; ports are 0.
 * @ret_locals: for local_free(); written only on success.
 * Return: 0 or -errno.
 */
int local_addresses(struct config_locals *ret_locals);

/** local_free() - free what local_addresses() made. */
void local_free(struct config_locals *locals);

#endif
