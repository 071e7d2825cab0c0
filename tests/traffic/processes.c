// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Several processes that share the connections: one alone is busy before a
 * router is.
 */
#include "traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The part of one of them. */
static struct options options_share(const struct options *options,
				    uint64_t number)
{
	struct options share = *options;

	share.concurrency =
		(options->concurrency + number) / options->processes;
	share.seed += number;
	return share;
}

/* Return: the process, which ends with us, however we do. */
static pid_t start(const struct options *options, const sigset_t *signals,
		   int *listeners, struct report *ret_report)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0) {
		perror("traffic: fork");
		exit(1);
	}
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		loop_run(options, signals, listeners, ret_report);
	_exit(0);
}

static void end(pid_t child, struct report *report, const struct report *its)
{
	int status = 0;

	kill(child, SIGTERM);
	if (waitpid(child, &status, 0) != child || status)
		report->failures[FAIL_SYSTEM]++;
	report_add(report, its);
}

bool processes_run(const struct options *options)
{
	size_t size = options->processes * sizeof(struct report);
	struct report *reports = mmap(NULL, size, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigset_t signals = loop_catch_signals();
	struct options share[PROCESSES_MAX];
	pid_t children[PROCESSES_MAX];
	int listeners[LIST_MAX];

	if (reports == MAP_FAILED) {
		perror("traffic: mmap");
		exit(1);
	}
	if (!options->client)
		loop_listen(options, listeners);
	for (uint64_t i = 0; i < options->processes; i++)
		share[i] = options_share(options, i);
	for (uint64_t i = 1; i < options->processes; i++)
		children[i] =
			start(&share[i], &signals, listeners, &reports[i]);
	loop_run(&share[0], &signals, listeners, &reports[0]);
	for (uint64_t i = 1; i < options->processes; i++)
		end(children[i], &reports[0], &reports[i]);
	report_print(&reports[0], options->client);
	return !report_failed(&reports[0]) && reports[0].completed;
}
