// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "supervisor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "agent.h"
#include "descriptors.h"
#include "error.h"
#include "keep.h"
#include "log.h"
#include "notify.h"
#include "upgrade.h"

/* So many deaths in a row before it served: it never will. */
#define SUPERVISOR_STILLBIRTHS_MAX 5
/* How often the worker's heart is looked at. */
#define SUPERVISOR_TURN_S 1
/* How long the first worker of a new version may take to serve. */
#define SUPERVISOR_START_NS 30000000000ULL

/**
 * struct supervisor - the main process.
 * @signals:  blocked at all times, and waited for.
 * @told:     SIGTERM or SIGINT has come.
 * @hung:     it was killed for that.
 * @leaving:  the worker was told to leave all to another.
 * @restart:  which is the next process's, not ours.
 * @ready:    the worker was seen to serve, and the service manager told.
 * @stillbirths: workers in a row that died before they served.
 * @born_ns:  when it was started.
 * @looked_ns: when its heart was looked at last.
 */
struct supervisor {
	const struct worker_options *options;
	struct heart *heart;
	sigset_t signals;
	pid_t worker;
	bool told;
	bool hung;
	bool leaving;
	bool restart;
	bool ready;
	unsigned stillbirths;
	uint64_t born_ns;
	uint64_t looked_ns;
	struct upgrade upgrade;
	struct keep keep;
};

static int supervisor_open(struct supervisor *supervisor)
{
	static const int signals[] = {SIGTERM, SIGINT,	SIGCHLD,
				      SIGHUP,  SIGUSR1, SIGUSR2};
	struct sigaction hangup = {0};
	struct rlimit limit = {0};

	sigemptyset(&supervisor->signals);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&supervisor->signals, signals[i]);
	sigaction(SIGHUP, NULL, &hangup);
	if (hangup.sa_handler == SIG_IGN) /* nohup */
		sigdelset(&supervisor->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &supervisor->signals, NULL);
	/* Were it ignored, as one may start us, no child could be waited for.
	 */
	signal(SIGCHLD, SIG_DFL);
	/* Nobody reads standard error any more: that ends nothing. */
	signal(SIGPIPE, SIG_IGN);
	/* Nor does a file that may not grow. */
	signal(SIGXFSZ, SIG_IGN);
	/* What another program left open for this one is for no third. */
	keep_open(&supervisor->keep);
	descriptors_close_on_exec();
	/* The table is the worker's too, and this side must find room in it. */
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	supervisor->heart = heart_open();
	if (!supervisor->heart)
		return -errno;
	supervisor->heart->old = supervisor->upgrade.old;
	atomic_store(&supervisor->heart->asker, supervisor->upgrade.asker);
	return 0;
}

/*
 * A fork() that shares the descriptor table: what the worker opens is open
 * here, and stays so when the worker dies. What fork() would do besides is to
 * tell the C library the child's number.
 */
static pid_t supervisor_fork(void)
{
	int *number = NULL;
	pid_t child;

#ifdef __GLIBC__ /* elsewhere the address is that of a lock */
	prctl(PR_GET_TID_ADDRESS, &number);
#endif
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child == 0 && number)
		*number = getpid();
	return child;
}

/* The worker inherits the signals blocked: it reads them when it can. */
static int supervisor_start(struct supervisor *supervisor)
{
	pid_t self = getpid();

	atomic_store(&supervisor->heart->serves, false);
	supervisor->heart->worker++;
	supervisor->ready = false;
	supervisor->hung = false;
	supervisor->born_ns = agent_now_ns();
	supervisor->worker = supervisor_fork();
	if (supervisor->worker < 0)
		return -errno;
	if (supervisor->worker)
		return 0;
	/* Nobody else is to hold the ports if we are killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != self)
		_exit(EXIT_FAILED);
	_exit(worker_run(supervisor->options, supervisor->heart));
}

static bool supervisor_is_hung(const struct supervisor *supervisor,
			       uint64_t now_ns)
{
	/* The main thread's is the last. */
	for (unsigned i = 0; i <= supervisor->options->threads; i++) {
		uint64_t beat_ns = atomic_load_explicit(
			&supervisor->heart->beat[i].ns, memory_order_relaxed);

		if (beat_ns + HEART_HUNG_NS < now_ns)
			return true;
	}
	return false;
}

/* ---- upgrade ------------------------------------------------------------- */

/* Whether there is another program to go back to. */
static bool supervisor_is_new(const struct supervisor *supervisor)
{
	return supervisor->upgrade.old >= 0;
}

static void supervisor_refuse(struct supervisor *supervisor, const char *why)
{
	upgrade_refuse(&supervisor->upgrade, why);
	atomic_store(&supervisor->heart->asker, -1);
}

static void supervisor_leave(struct supervisor *supervisor)
{
	supervisor->leaving = true;
	kill(supervisor->worker, SIGUSR2);
}

/* Goes on in supervisor_goes_on(), when the worker has left. */
static void supervisor_upgrade(struct supervisor *supervisor)
{
	struct error error;

	supervisor->upgrade.asker = atomic_load(&supervisor->heart->asker);
	if (supervisor->told || supervisor->leaving || !supervisor->ready) {
		supervisor_refuse(supervisor, "it is starting or ending");
		return;
	}
	notify_send("RELOADING=1");
	if (upgrade_check(&supervisor->upgrade, &error)) {
		notify_send("READY=1");
		supervisor_refuse(supervisor, error.text);
		return;
	}
	supervisor_leave(supervisor);
}

/* The first worker of this version has ended. */
static void supervisor_back(struct supervisor *supervisor, int status)
{
	char why[128];

	snprintf(why, sizeof(why),
		 "snictld " SNICTL_VERSION " did not start (%s %d)",
		 WIFEXITED(status) ? "exit status" : "signal",
		 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	upgrade_back(&supervisor->upgrade, why);
}

/* ---- watch --------------------------------------------------------------- */

static void supervisor_is_ready(struct supervisor *supervisor)
{
	supervisor->ready = true;
	notify_send("READY=1");
	upgrade_end(&supervisor->upgrade);
	supervisor->heart->old = -1;
	atomic_store(&supervisor->heart->asker, -1);
}

static void supervisor_look(struct supervisor *supervisor)
{
	uint64_t now_ns = agent_now_ns();
	uint64_t pause_ns = now_ns - supervisor->looked_ns;

	supervisor->looked_ns = now_ns;
	if (!atomic_load(&supervisor->heart->serves)) {
		if (supervisor_is_new(supervisor) &&
		    now_ns - supervisor->born_ns > SUPERVISOR_START_NS)
			kill(supervisor->worker, SIGKILL);
		return;
	}
	if (!supervisor->ready)
		supervisor_is_ready(supervisor);
	/* Who has been stopped himself, with all of the machine or of the
	 * service, gives the worker time to show itself. */
	if (pause_ns > HEART_HUNG_NS / 2 ||
	    !supervisor_is_hung(supervisor, now_ns)) {
		notify_send("WATCHDOG=1");
		return;
	}
	log_say(LOG_LEVEL_ERROR, "the worker hangs; killing it");
	supervisor->hung = true;
	kill(supervisor->worker, SIGKILL);
}

static void supervisor_on_signal(struct supervisor *supervisor, int number)
{
	switch (number) {
	case SIGTERM:
	case SIGINT:
		supervisor->told = true;
		notify_send("STOPPING=1");
		if (!supervisor->leaving)
			kill(supervisor->worker, number);
		break;
	case SIGHUP:
		supervisor->restart = true;
		supervisor_leave(supervisor);
		break;
	case SIGUSR2:
		supervisor_upgrade(supervisor);
		break;
	case SIGCHLD:
		break;
	case SIGUSR1:
		keep_listeners(&supervisor->keep);
		supervisor_look(supervisor);
		break;
	default:
		supervisor_look(supervisor);
	}
}

/* Return: the worker's status, once it is dead. */
static int supervisor_watch(struct supervisor *supervisor)
{
	const struct timespec turn = {.tv_sec = SUPERVISOR_TURN_S};
	int status;

	while (waitpid(supervisor->worker, &status, WNOHANG) !=
	       supervisor->worker) {
		int number = sigtimedwait(&supervisor->signals, NULL, &turn);

		supervisor_on_signal(supervisor, number);
	}
	return status;
}

static int supervisor_fail(const char *what, int error)
{
	log_say(LOG_LEVEL_ERROR, "cannot %s: %s", what, strerror(-error));
	return EXIT_FAILED;
}

/* A SIGKILL from elsewhere says nothing about the flow in hand. */
static void supervisor_note_death(struct supervisor *supervisor, int signal)
{
	log_say(LOG_LEVEL_ERROR,
		"the worker died of signal %d; starting another", signal);
	if (signal != SIGKILL || supervisor->hung)
		heart_blame(supervisor->heart);
	supervisor->stillbirths = atomic_load(&supervisor->heart->serves)
					  ? 0
					  : supervisor->stillbirths + 1;
}

/* Return: whether another worker is to be started; if not, *ret_status. */
static bool supervisor_goes_on(struct supervisor *supervisor, int status,
			       int *ret_status)
{
	bool leaving = supervisor->leaving;

	supervisor->leaving = false;
	*ret_status = EXIT_FAILED;
	keep_listeners(&supervisor->keep);
	if (supervisor->restart) {
		keep_connections();
		*ret_status = EXIT_DONE;
		return false;
	}
	if (leaving && !supervisor->told) {
		upgrade_exec(&supervisor->upgrade);
		return true;
	}
	if (supervisor_is_new(supervisor) && !supervisor->told) {
		supervisor_back(supervisor, status);
		return false;
	}
	if (WIFEXITED(status) || supervisor->told) {
		*ret_status =
			WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_DONE;
		return false;
	}
	supervisor_note_death(supervisor, WTERMSIG(status));
	return supervisor->stillbirths < SUPERVISOR_STILLBIRTHS_MAX;
}

int supervisor_run(const struct worker_options *options, char *const *argv)
{
	struct supervisor supervisor = {.options = options};
	int error, status;

	upgrade_open(&supervisor.upgrade, argv);
	error = supervisor_open(&supervisor);
	if (error)
		return supervisor_fail("share memory with a worker", error);
	do {
		error = supervisor_start(&supervisor);
		if (error)
			return supervisor_fail("start the worker", error);
		status = supervisor_watch(&supervisor);
	} while (supervisor_goes_on(&supervisor, status, &status));
	return status;
}
