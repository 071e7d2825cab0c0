// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "cleanup.h"
#include "descriptors.h"
#include "log.h"
#include "number.h"

/* The environment of the next program. */
#define UPGRADE_ASKER "SNICTLD_ASKER"
#define UPGRADE_OLD "SNICTLD_OLD"
#define UPGRADE_WHY "SNICTLD_WHY"

/* How `snictld --check` begins where it is content. */
#define UPGRADE_CONTENT "snictld "
#define UPGRADE_CHECK_MS 10000

/* ---- from one program to the next ---------------------------------------- */

static int take_descriptor(const char *name)
{
	const char *text = secure_getenv(name);
	uint64_t fd;
	int error = text ? number_parse(text, STDERR_FILENO + 1, INT32_MAX, &fd)
			 : -ENOENT;

	unsetenv(name);
	return error ? -1 : (int)fd;
}

static void give_descriptor(const char *name, int fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", fd);
	if (fd >= 0)
		setenv(name, text, 1);
}

void upgrade_open(struct upgrade *upgrade, char *const *argv)
{
	const char *why = secure_getenv(UPGRADE_WHY);

	*upgrade = (struct upgrade){.argv = argv};
	if (why)
		snprintf(upgrade->why, sizeof(upgrade->why), "%s", why);
	unsetenv(UPGRADE_WHY);
	upgrade->asker = take_descriptor(UPGRADE_ASKER);
	upgrade->old = take_descriptor(UPGRADE_OLD);
	/* One that was run by its descriptor has the number for a name. */
	prctl(PR_SET_NAME, program_invocation_short_name);
}

void upgrade_exec(struct upgrade *upgrade)
{
	AUTO_FD old = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int error;

	give_descriptor(UPGRADE_ASKER, upgrade->asker);
	give_descriptor(UPGRADE_OLD, old);
	error = descriptors_keep_on_exec();
	if (!error) {
		execvp(upgrade->argv[0], upgrade->argv);
		error = -errno;
	}
	descriptors_close_on_exec();
	unsetenv(UPGRADE_ASKER);
	unsetenv(UPGRADE_OLD);
	snprintf(upgrade->why, sizeof(upgrade->why), "%s: %s", upgrade->argv[0],
		 strerror(-error));
}

void upgrade_back(struct upgrade *upgrade, const char *why)
{
	int old = take_fd(&upgrade->old);

	log_say(LOG_LEVEL_ERROR, "%s; going back to the old version", why);
	setenv(UPGRADE_WHY, why, 1);
	give_descriptor(UPGRADE_ASKER, upgrade->asker);
	descriptors_keep_on_exec();
	fcntl(old, F_SETFD, FD_CLOEXEC);
	fexecve(old, upgrade->argv, environ);
	log_say(LOG_LEVEL_ERROR, "it cannot be run: %s", strerror(errno));
}

/* ---- the answer ---------------------------------------------------------- */

static void upgrade_answer(struct upgrade *upgrade, json_t *answer)
{
	AUTO_FREE char *text = json_dumps(answer, JSON_COMPACT);
	AUTO_FD asker = take_fd(&upgrade->asker);

	json_decref(answer);
	if (asker >= 0 && text)
		(void)send(asker, text, strlen(text),
			   MSG_NOSIGNAL | MSG_DONTWAIT);
}

void upgrade_refuse(struct upgrade *upgrade, const char *why)
{
	log_say(LOG_LEVEL_ERROR, "not upgraded, " SNICTL_VERSION " goes on: %s",
		why);
	upgrade_answer(upgrade, json_pack("{ss}", "error", why));
}

void upgrade_end(struct upgrade *upgrade)
{
	AUTO_FD old = take_fd(&upgrade->old);

	if (*upgrade->why) {
		upgrade_refuse(upgrade, upgrade->why);
		*upgrade->why = '\0';
	} else if (old >= 0) {
		log_say(LOG_LEVEL_NOTICE, "upgraded: this is " SNICTL_VERSION);
		upgrade_answer(upgrade, json_pack("{sb ss}", "ok", 1, "version",
						  SNICTL_VERSION));
	}
}

/* ---- a try --------------------------------------------------------------- */

/* Runs it with --check before all other arguments. */
static int upgrade_spawn(const struct upgrade *upgrade, int output,
			 pid_t *ret_child)
{
	posix_spawn_file_actions_t actions;
	static char check[] = "--check";
	posix_spawnattr_t attributes;
	AUTO_FREE char **argv = NULL;
	size_t count = 0;
	sigset_t none;
	int error;

	while (upgrade->argv[count])
		count++;
	argv = calloc(count + 2, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	argv[0] = upgrade->argv[0];
	argv[1] = check;
	memcpy(argv + 2, upgrade->argv + 1, (count - 1) * sizeof(*argv));
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	error = posix_spawnp(ret_child, argv[0], &actions, &attributes, argv,
			     environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* Return: the status as waitpid() has it. */
static int upgrade_wait(pid_t child)
{
	AUTO_FD fd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd end = {.fd = fd, .events = POLLIN};
	int status = 0;

	if (poll(&end, 1, UPGRADE_CHECK_MS) != 1)
		kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return status;
}

int upgrade_check(const struct upgrade *upgrade, struct error *error)
{
	AUTO_FD output = memfd_create("check", MFD_CLOEXEC);
	const char *name = upgrade->argv[0];
	char said[384] = "";
	pid_t child;
	int result;

	if (output < 0)
		return error_set(error, EXIT_FAILED, errno, "%s: %s", name,
				 strerror(errno));
	result = upgrade_spawn(upgrade, output, &child);
	if (result)
		return error_set(error, EXIT_FAILED, result, "%s: %s", name,
				 strerror(-result));
	result = upgrade_wait(child);
	if (pread(output, said, sizeof(said) - 1, 0) < 0)
		return error_set(error, EXIT_FAILED, errno, "%s: %s", name,
				 strerror(errno));
	said[strcspn(said, "\n")] = '\0';
	/* The answer is JSON, so UTF-8. */
	for (char *at = said; *at; at++) {
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	}
	if (!result && !strncmp(said, UPGRADE_CONTENT, strlen(UPGRADE_CONTENT)))
		return 0;
	if (WIFSIGNALED(result))
		return error_set(error, EXIT_FAILED, ENOEXEC,
				 "%s --check: ended by signal %d: %s", name,
				 WTERMSIG(result), said);
	return error_set(error, EXIT_FAILED, ENOEXEC,
			 "%s --check: exit status %d: %s", name,
			 WEXITSTATUS(result), said);
}
