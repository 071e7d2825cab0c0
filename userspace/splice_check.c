// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_check.h"

#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cleanup.h"
#include "crash.h"
#include "splice.h"
#include "splice_rig.h"

/* Until all of it has failed. */
#define CHECK_LIMIT_S 20
/* Where the machine is busy, a way of microseconds may look long. */
#define CHECK_TRIES 20
/* More than all tries take: none is used twice. */
#define CHECK_SLOTS 1024

/* ---- what has to hold ---------------------------------------------------- */

static int check_bytes(struct splice_rig *rig)
{
	int result = rig_splice(rig);

	for (unsigned i = 0; !result && i < 4; i++)
		result = rig_burst(rig,
				   i % 2 ? ABI_FROM_BACKEND : ABI_FROM_CLIENT);
	return result;
}

static int check_bytes_without(struct splice_rig *rig)
{
	rig->without = true;
	return check_bytes(rig);
}

/* They were not read, so the backend has not got them: both sockets go on. */
static int check_eager(struct splice_rig *rig)
{
	int *near = rig->near, result = rig_meet(rig);
	struct pollfd more = {near[ABI_FROM_CLIENT], POLLIN, 0};

	if (!result)
		result = rig_send(rig, ABI_FROM_CLIENT,
				  rig->far[ABI_FROM_CLIENT]);
	if (!result && poll(&more, 1, RIG_PATIENCE_MS) != 1)
		result = -ETIMEDOUT;
	if (!result)
		result = rig_forward(rig);
	if (!result)
		result = rig_verdict(rig, ABI_SPLICE_ABORTED, ABI_WHY_EAGER);
	if (result)
		return result;
	splice_disarm(rig->splice, rig->slot);
	result = rig_receive(rig, ABI_FROM_CLIENT, near[ABI_FROM_CLIENT]);
	rig->sent[ABI_FROM_CLIENT] = rig->received[ABI_FROM_CLIENT] = 0;
	if (!result)
		result = rig_send(rig, ABI_FROM_CLIENT, near[ABI_FROM_BACKEND]);
	return result ? result
		      : rig_receive(rig, ABI_FROM_CLIENT,
				    rig->far[ABI_FROM_BACKEND]);
}

/* In the backend's numbers it is where the client's next byte is. */
static int check_silence(struct splice_rig *rig)
{
	uint8_t strange = (uint8_t)~rig_byte(ABI_FROM_CLIENT, 0);
	int result = rig_join(rig);

	if (!result)
		result = rig_write(rig->near[ABI_FROM_BACKEND], &strange,
				   sizeof(strange));
	if (!result)
		rig_close_near(rig);
	return result ? result : rig_burst(rig, ABI_FROM_CLIENT);
}

static int check_half_close(struct splice_rig *rig)
{
	int *far = rig->far, result = rig_splice(rig);

	if (!result)
		result = rig_burst(rig, ABI_FROM_CLIENT);
	if (!result)
		shutdown(far[ABI_FROM_CLIENT], SHUT_WR);
	if (!result)
		result = rig_read_end(far[ABI_FROM_BACKEND]);
	if (!result)
		result = rig_burst(rig, ABI_FROM_BACKEND);
	if (!result)
		shutdown(far[ABI_FROM_BACKEND], SHUT_WR);
	if (!result)
		result = rig_read_end(far[ABI_FROM_CLIENT]);
	return result ? result : rig_closed(rig, ABI_SPLICE_END_CLOSED);
}

static int check_reset(struct splice_rig *rig)
{
	const struct linger reset = {.l_onoff = 1};
	int result = rig_splice(rig);

	if (!result)
		result = rig_burst(rig, ABI_FROM_CLIENT);
	if (result)
		return result;
	setsockopt(rig->far[ABI_FROM_CLIENT], SOL_SOCKET, SO_LINGER, &reset,
		   sizeof(reset));
	close(take_fd(&rig->far[ABI_FROM_CLIENT]));
	result = rig_read_end(rig->far[ABI_FROM_BACKEND]);
	if (result != -ECONNRESET)
		return result ? result : -EPROTO;
	return rig_closed(rig, ABI_SPLICE_END_RESET_BY_CLIENT);
}

static const struct check_row {
	int (*run)(struct splice_rig *rig);
	const char *failure;
} check_rows[] = {
	{check_bytes, "bytes both ways"},
	{check_bytes_without, "bytes both ways without timestamps"},
	{check_half_close, "a half-close"},
	{check_reset, "a reset"},
	{check_eager, "bytes right behind the hello"},
	{check_silence, "a packet of this host's own"},
};

/* ---- all of it ----------------------------------------------------------- */

static int check_run(struct splice_rig *rig, const struct check_row *row)
{
	int result = RIG_AGAIN;

	for (unsigned i = 0; result == RIG_AGAIN && i < CHECK_TRIES; i++) {
		result = rig_begin(rig);
		if (!result)
			result = row->run(rig);
	}
	/* By SO_RCVTIMEO. */
	return result == -EAGAIN ? -ETIMEDOUT : result;
}

static void find(struct splice_finding *finding, enum splice_known known,
		 const char *what, int result)
{
	static const char *const intro[] = {
		[SPLICE_UNTRIED] = "not proved",
		[SPLICE_FAILED] = "this kernel fails its test",
	};

	finding->known = known;
	snprintf(finding->why, sizeof(finding->why), "%s: %s: %s", intro[known],
		 what, strerror(-result));
}

static void find_both(struct splice_finding findings[2],
		      enum splice_known known, const char *what, int result)
{
	for (unsigned i = 0; i < 2; i++)
		find(&findings[i], known, what, result);
}

static void check_family(struct splice_rig *rig, struct splice_finding *finding)
{
	int result = rig_listen(rig);

	if (result) {
		find(finding, SPLICE_UNTRIED, "no address", result);
		return;
	}
	for (size_t i = 0; i < sizeof(check_rows) / sizeof(check_rows[0]);
	     i++) {
		const struct check_row *row = &check_rows[i];
		bool failed;

		result = check_run(rig, row);
		if (!result)
			continue;
		failed = rig->is_tried && result != RIG_AGAIN;
		find(finding, failed ? SPLICE_FAILED : SPLICE_UNTRIED,
		     row->failure, result);
		return;
	}
	finding->known = SPLICE_PROVED;
}

/* The programs are loaded with the rights that this process has, before it may
 * have to leave them. */
static void check_all(struct splice_finding findings[2])
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};
	static struct splice_rig rig = {
		.listening = {-1, -1}, .far = {-1, -1}, .near = {-1, -1}};
	int result = splice_open_apart(CHECK_SLOTS, &rig.splice);

	if (result) {
		find_both(findings, SPLICE_FAILED,
			  "its programs are not loaded", result);
		return;
	}
	/* What hangs ends; but the loading takes what it takes. */
	alarm(CHECK_LIMIT_S);
	result = splice_wire_open(&rig.wire);
	if (result) {
		find_both(findings, SPLICE_UNTRIED,
			  "no network namespace of its own", result);
		return;
	}
	result = rig_hang(&rig);
	if (result) {
		find_both(findings, SPLICE_FAILED, "its programs do not hang",
			  result);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		rig.family = families[i];
		check_family(&rig, &findings[i]);
		crash_point("splice-tried");
	}
}

static pid_t check_start(struct splice_finding findings[2])
{
	pid_t self = getpid(), child = fork();

	if (child)
		return child;
	/* Nothing outlives the agent. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == self)
		check_all(findings);
	_exit(EXIT_DONE);
}

static void check_wait(pid_t child, struct splice_finding findings[2])
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	for (unsigned i = 0; WIFSIGNALED(status) && i < 2; i++) {
		if (*findings[i].why || findings[i].known == SPLICE_PROVED)
			continue;
		/* On a machine that is slow beyond measure, too. */
		if (WTERMSIG(status) == SIGALRM)
			find(&findings[i], SPLICE_UNTRIED, "no end",
			     -ETIMEDOUT);
		else
			find(&findings[i], SPLICE_UNTRIED, "its process died",
			     -EINTR);
	}
}

void splice_check(const struct store *store,
		  struct splice_finding ret_findings[2])
{
	__u64 program = splice_program_hash(),
	      *proved = store->meta->splice_proved;
	size_t size = 2 * sizeof(*ret_findings);
	struct splice_finding *findings;
	pid_t child;

	for (unsigned i = 0; i < 2; i++)
		ret_findings[i] = (struct splice_finding){SPLICE_PROVED, ""};
	if (proved[0] == program && proved[1] == program)
		return;
	findings = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (findings == MAP_FAILED) {
		find_both(ret_findings, SPLICE_UNTRIED, "no memory", -errno);
		return;
	}
	child = check_start(findings);
	crash_point("splice-trying");
	if (child < 0)
		find_both(findings, SPLICE_UNTRIED, "no process", -errno);
	else
		check_wait(child, findings);
	memcpy(ret_findings, findings, size);
	munmap(findings, size);
	for (unsigned i = 0; i < 2; i++)
		proved[i] =
			ret_findings[i].known == SPLICE_PROVED ? program : 0;
}
