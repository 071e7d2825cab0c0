/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The service manager's notification protocol. */
#ifndef SNICTL_NOTIFY_H
#define SNICTL_NOTIFY_H

#include <stdbool.h>

/** notify_is_on() - whether there is a service manager. */
bool notify_is_on(void);

/**
 * notify_send() - tell the service manager, where there is one.
 * @state: "READY=1", "STOPPING=1", ...; several lines are allowed.
 *
 * Spec: sd_notify(3), the datagram protocol of $NOTIFY_SOCKET.
 */
void notify_send(const char *state);

/**
 * notify_send_fd() - likewise, with a descriptor; -1: with none.
 *
 * Spec: sd_pid_notify_with_fds(3), FDSTORE=1.
 */
void notify_send_fd(const char *state, int fd);

#endif
