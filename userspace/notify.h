/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The service manager's notification protocol. */
#ifndef SNICTL_NOTIFY_H
#define SNICTL_NOTIFY_H

/**
 * notify_send() - tell the service manager, where there is one.
 * @state: "READY=1", "STOPPING=1", ...; several lines are allowed.
 *
 * Spec: sd_notify(3), the datagram protocol of $NOTIFY_SOCKET.
 */
void notify_send(const char *state);

#endif
