// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"
#include "cleanup.h"
#include "error.h"
#include "log.h"
#include "notify.h"

/* A worker that lived for less than this has died "over and over" once
 * it has done so SUPERVISOR_DEATHS_MAX times in a row. */
#define SUPERVISOR_LIFE_NS 5000000000ULL
#define SUPERVISOR_DEATHS_MAX 5

static volatile sig_atomic_t supervisor_signal;
static volatile pid_t supervisor_worker;

static void supervisor_pass_on(int signal)
{
	supervisor_signal = signal;
	if (supervisor_worker > 0)
		kill(supervisor_worker, signal);
}

static void supervisor_catch(void)
{
	struct sigaction action = {.sa_handler = supervisor_pass_on,
				   .sa_flags = SA_RESTART};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	/* Nobody reads standard error any more: that ends nothing. */
	signal(SIGPIPE, SIG_IGN);
}

/* The caller has blocked the signals, and the child leaves them so: with our
 * handler it would lose those that come before it can read them itself. */
static pid_t supervisor_fork(const struct worker_options *options,
			     int *ret_ready)
{
	int ends[2];
	pid_t parent = getpid(), child;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	child = fork();
	if (child == 0) {
		close(ends[0]);
		/* Nobody else is to hold the ports if we are killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EXIT_FAILED);
		_exit(worker_run(options, ends[1]));
	}
	close(ends[1]);
	*ret_ready = ends[0];
	return child;
}

static pid_t supervisor_start(const struct worker_options *options,
			      int *ret_ready)
{
	sigset_t signals, before;
	int error;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, &before);
	supervisor_worker = supervisor_fork(options, ret_ready);
	error = errno;
	/* It came while there was no worker. */
	if (supervisor_worker > 0 && supervisor_signal)
		kill(supervisor_worker, supervisor_signal);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return supervisor_worker;
}

/* Return: whether the worker reported that it serves. */
static bool supervisor_is_ready(int ready)
{
	char byte;
	ssize_t got;

	do {
		got = read(ready, &byte, 1);
	} while (got < 0 && errno == EINTR);
	close(ready);
	return got == 1;
}

static int supervisor_wait(pid_t worker)
{
	int status = 0;

	while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

int supervisor_run(const struct worker_options *options)
{
	unsigned deaths = 0;

	supervisor_catch();
	for (;;) {
		uint64_t born_ns = agent_now_ns();
		int ready = -1, status;
		bool served;

		if (supervisor_start(options, &ready) < 0) {
			log_say(LOG_LEVEL_ERROR, "cannot start the worker: %s",
				strerror(errno));
			return EXIT_FAILED;
		}
		served = supervisor_is_ready(ready);
		if (served)
			notify_send("READY=1");
		status = supervisor_wait(supervisor_worker);
		supervisor_worker = 0;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (supervisor_signal)
			return EXIT_DONE;
		log_say(LOG_LEVEL_ERROR,
			"the worker died of signal %d; starting another",
			WTERMSIG(status));
		deaths = agent_now_ns() - born_ns < SUPERVISOR_LIFE_NS
				 ? deaths + 1
				 : 0;
		if (!served || deaths >= SUPERVISOR_DEATHS_MAX)
			return EXIT_FAILED;
	}
}
