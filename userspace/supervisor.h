/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The service's main process: starts the worker, and again if it dies. */
#ifndef SNICTL_SUPERVISOR_H
#define SNICTL_SUPERVISOR_H

#include "worker.h"

/**
 * supervisor_run() - keep a worker running until it is told to end.
 * @argv: how the program was started; that is how the next version is.
 *
 * SIGTERM and SIGINT are passed on. A worker that dies by itself is started
 * again at once, one that hangs is killed first; one that cannot start, or that
 * dies over and over, ends the service. Listening sockets stay open meanwhile:
 * who connects waits for the next worker. SIGUSR2: the same process goes on as
 * the program that is installed now, all descriptors open; or stays what it is,
 * where that does not start.
 *
 * Return: enum exit_status.
 */
int supervisor_run(const struct worker_options *options, char *const *argv);

#endif
