/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The open descriptors of this process. */
#ifndef SNICTL_DESCRIPTORS_H
#define SNICTL_DESCRIPTORS_H

/**
 * descriptors_visit() - call @visit for each but the standard streams.
 *
 * One that somebody who shares the table opens or closes meanwhile may be
 * among them or not.
 *
 * Return: 0 or -errno.
 */
int descriptors_visit(void (*visit)(int fd, void *context), void *context);

/** descriptors_option() - of SOL_SOCKET, an int; -1: @fd has none. */
int descriptors_option(int fd, int option);

/** descriptors_close_on_exec() - have an exec close all of them. */
void descriptors_close_on_exec(void);

/** descriptors_keep_on_exec() - have an exec close none of them. */
int descriptors_keep_on_exec(void);

#endif
