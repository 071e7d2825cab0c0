// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "supervisor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "agent.h"
#include "error.h"
#include "log.h"
#include "notify.h"

/* So many deaths in a row before it served: it never will. */
#define SUPERVISOR_STILLBIRTHS_MAX 5
/* How often the worker's heart is looked at. */
#define SUPERVISOR_TURN_S 1

/**
 * struct supervisor - the main process.
 * @signals:  blocked at all times, and waited for.
 * @told:     SIGTERM or SIGINT has come.
 * @hung:     it was killed for that.
 * @ready:    the worker was seen to serve, and the service manager told.
 * @looked_ns: when its heart was looked at last.
 */
struct supervisor {
	const struct worker_options *options;
	struct heart *heart;
	sigset_t signals;
	pid_t worker;
	bool told;
	bool hung;
	bool ready;
	uint64_t looked_ns;
};

static int supervisor_open(struct supervisor *supervisor)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGCHLD, SIGUSR1};

	sigemptyset(&supervisor->signals);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&supervisor->signals, signals[i]);
	sigprocmask(SIG_BLOCK, &supervisor->signals, NULL);
	/* Were it ignored, as one may start us, no child could be waited for.
	 */
	signal(SIGCHLD, SIG_DFL);
	/* Nobody reads standard error any more: that ends nothing. */
	signal(SIGPIPE, SIG_IGN);
	supervisor->heart =
		mmap(NULL, sizeof(*supervisor->heart), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return supervisor->heart == MAP_FAILED ? -errno : 0;
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

static void supervisor_look(struct supervisor *supervisor)
{
	uint64_t now_ns = agent_now_ns();
	uint64_t pause_ns = now_ns - supervisor->looked_ns;

	supervisor->looked_ns = now_ns;
	if (!atomic_load(&supervisor->heart->serves))
		return;
	if (!supervisor->ready) {
		supervisor->ready = true;
		notify_send("READY=1");
	}
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

/* Return: the worker's status, once it is dead. */
static int supervisor_watch(struct supervisor *supervisor)
{
	const struct timespec turn = {.tv_sec = SUPERVISOR_TURN_S};
	int status;

	while (waitpid(supervisor->worker, &status, WNOHANG) !=
	       supervisor->worker) {
		int number = sigtimedwait(&supervisor->signals, NULL, &turn);

		if (number == SIGTERM || number == SIGINT) {
			supervisor->told = true;
			notify_send("STOPPING=1");
			kill(supervisor->worker, number);
		} else if (number != SIGCHLD) {
			supervisor_look(supervisor);
		}
	}
	return status;
}

static int supervisor_fail(const char *what, int error)
{
	log_say(LOG_LEVEL_ERROR, "cannot %s: %s", what, strerror(-error));
	return EXIT_FAILED;
}

/* A SIGKILL from elsewhere says nothing about the flow in hand. */
static void supervisor_note_death(const struct supervisor *supervisor,
				  int signal)
{
	log_say(LOG_LEVEL_ERROR,
		"the worker died of signal %d; starting another", signal);
	if (signal != SIGKILL || supervisor->hung)
		heart_blame(supervisor->heart);
}

int supervisor_run(const struct worker_options *options)
{
	struct supervisor supervisor = {.options = options};
	unsigned stillbirths = 0;
	int error = supervisor_open(&supervisor);

	if (error)
		return supervisor_fail("share memory with a worker", error);
	for (;;) {
		int status;

		error = supervisor_start(&supervisor);
		if (error)
			return supervisor_fail("start the worker", error);
		status = supervisor_watch(&supervisor);
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (supervisor.told)
			return EXIT_DONE;
		supervisor_note_death(&supervisor, WTERMSIG(status));
		stillbirths = atomic_load(&supervisor.heart->serves)
				      ? 0
				      : stillbirths + 1;
		if (stillbirths >= SUPERVISOR_STILLBIRTHS_MAX)
			return EXIT_FAILED;
	}
}
