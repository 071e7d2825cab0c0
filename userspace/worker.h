/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The worker process: opens the store, serves, drains, ends. */
#ifndef SNICTL_WORKER_H
#define SNICTL_WORKER_H

#include "../bpf/abi.h"
#include "heart.h"
#include "paths.h"

/**
 * struct worker_options - what the command line of snictld says.
 * @threads: 1..ABI_THREADS_MAX.
 */
struct worker_options {
	struct paths paths;
	unsigned threads;
	enum abi_datapath datapath;
};

/**
 * worker_run() - be the worker until SIGTERM (drain) or SIGINT (stop).
 * @heart: shared with the parent, which gets SIGUSR1 once it says "serves".
 *
 * The descriptor table is shared with the parent too, so that it outlives the
 * worker: the listening sockets that are in it go on being used.
 *
 * Return: enum exit_status; what went wrong has been logged.
 */
int worker_run(const struct worker_options *options, struct heart *heart);

#endif
