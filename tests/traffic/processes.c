// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Several processes that share the connections: one alone is busy before a
 * router is. The one that was started hands signals on, and adds up.
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
static pid_t process_start(const struct options *options,
			   const sigset_t *signals, int *listeners,
			   struct report *ret_report)
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

/* Until all have ended. Return: how many have not done so by themselves. */
static uint64_t processes_attend(const pid_t *children, uint64_t count)
{
	uint64_t left = count, killed = 0;
	siginfo_t ended;
	sigset_t heard;
	int signal;

	sigemptyset(&heard);
	sigaddset(&heard, SIGCHLD);
	sigaddset(&heard, SIGTERM);
	sigaddset(&heard, SIGINT);
	sigaddset(&heard, SIGUSR1);
	while (left) {
		signal = sigwaitinfo(&heard, NULL);
		for (uint64_t i = 0;
		     signal > 0 && signal != SIGCHLD && i < count; i++)
			kill(children[i], signal);
		while (left) {
			ended.si_pid = 0;
			if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG) ||
			    !ended.si_pid)
				break;
			left--;
			killed += ended.si_code != CLD_EXITED;
		}
	}
	return killed;
}

static void processes_share(const struct options *options,
			    const sigset_t *signals, int *listeners,
			    struct report *reports)
{
	struct options share[PROCESSES_MAX];
	pid_t children[PROCESSES_MAX];
	uint64_t count = options->processes, killed;

	for (uint64_t i = 0; i < count; i++) {
		share[i] = options_share(options, i);
		children[i] = process_start(&share[i], signals, listeners,
					    &reports[i]);
	}
	killed = processes_attend(children, count);
	for (uint64_t i = 1; i < count; i++)
		report_add(&reports[0], &reports[i]);
	reports[0].failures[FAIL_SYSTEM] += killed;
}

bool processes_run(const struct options *options)
{
	size_t size = options->processes * sizeof(struct report);
	struct report *reports = mmap(NULL, size, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigset_t signals = loop_catch_signals();
	int listeners[LIST_MAX];

	if (reports == MAP_FAILED) {
		perror("traffic: mmap");
		exit(1);
	}
	if (!options->client)
		loop_listen(options, listeners);
	if (options->processes == 1)
		loop_run(options, &signals, listeners, &reports[0]);
	else
		processes_share(options, &signals, listeners, reports);
	report_print(&reports[0], options->client);
	return !report_failed(&reports[0]) && reports[0].completed;
}
