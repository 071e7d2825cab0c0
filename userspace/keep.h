/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sockets that the service manager keeps open from one main process to the
 * next: its file descriptor store. */
#ifndef SNICTL_KEEP_H
#define SNICTL_KEEP_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct keep - the listening sockets that the service manager has too.
 * @cookie: of each, that is its name there.
 */
struct keep {
	uint64_t *cookie;
	size_t count;
};

/**
 * keep_open() - take back what the last process left.
 * @keep: set up; the listening sockets that are open now are kept already.
 *
 * Without a service manager that keeps anything nothing is done, here and
 * below.
 *
 * Spec: sd_listen_fds(3), FileDescriptorStoreMax= in systemd.service(5).
 */
void keep_open(struct keep *keep);

/** keep_listeners() - have the listening sockets kept that are open now. */
void keep_listeners(struct keep *keep);

/**
 * keep_connections() - have all connections, pipes and the heart's memory kept.
 *
 * To be called last: nobody uses them until the next process has them.
 */
void keep_connections(void);

#endif
