// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include "cleanup.h"

#define SOCKET_NAME "control"
/* A listener's backlog: CLIs that ask at the same moment. */
#define BACKLOG 16

/*
 * The address goes by way of the open folder, so that a run directory may be
 * longer than the 108 bytes of sun_path.
 */
static struct sockaddr_un socket_address(int folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path),
		 "/proc/self/fd/%d/" SOCKET_NAME, folder);
	return address;
}

static int connect_to(int fd, int folder)
{
	struct sockaddr_un address = socket_address(folder);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return 0;
}

static int open_socket(int flags)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	return fd < 0 ? -errno : fd;
}

/* ---- the asking side ------------------------------------------------------
 */

static int explain_connect(const struct paths *paths, int error_number,
			   struct error *error)
{
	switch (-error_number) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		return error_set(error, EXIT_FAILED, ECONNREFUSED,
				 "no agent answers at %s/" SOCKET_NAME
				 ": start it with `systemctl start snictld`",
				 paths->run_dir);
	case EACCES:
	case EPERM:
		return error_set(
			error, EXIT_FAILED, error_number,
			"the right to talk to the agent at %s/" SOCKET_NAME
			" is missing: run this as root",
			paths->run_dir);
	default:
		return error_set(error, EXIT_FAILED, error_number,
				 "cannot talk to the agent at %s/" SOCKET_NAME
				 ": %s",
				 paths->run_dir, strerror(-error_number));
	}
}

static int open_connection(const struct paths *paths, unsigned patience_s,
			   int *ret_fd, struct error *error)
{
	const struct timeval limit = {.tv_sec = patience_s};
	AUTO_FD folder = open(paths->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD fd = -1;
	int ret;

	if (folder < 0)
		return explain_connect(paths, -errno, error);
	fd = open_socket(0);
	if (fd < 0)
		return explain_connect(paths, fd, error);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return explain_connect(paths, -errno, error);
	ret = connect_to(fd, folder);
	if (ret)
		return explain_connect(paths, ret, error);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int explain_silence(int error_number, struct error *error)
{
	if (error_number == -EAGAIN || error_number == -EINPROGRESS)
		return error_set(error, EXIT_FAILED, ETIMEDOUT,
				 "the agent did not answer in time");
	return error_set(error, EXIT_FAILED, error_number,
			 "the agent hung up: %s", strerror(-error_number));
}

static int exchange(int fd, json_t *request, json_t **ret_answer,
		    struct error *error)
{
	AUTO_FREE char *text = json_dumps(request, JSON_COMPACT);
	AUTO_FREE char *answer = malloc(CONTROL_MESSAGE_MAX);
	ssize_t length;
	json_t *parsed;

	if (!text || !answer)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return explain_silence(-errno, error);
	length = recv(fd, answer, CONTROL_MESSAGE_MAX, MSG_TRUNC);
	if (length < 0)
		return explain_silence(-errno, error);
	if (!length)
		return explain_silence(-ECONNRESET, error);
	if (length > CONTROL_MESSAGE_MAX)
		return error_set(error, EXIT_FAILED, EMSGSIZE,
				 "the agent's answer is too long (%zd bytes)",
				 length);
	parsed = json_loadb(answer, (size_t)length, 0, NULL);
	if (!parsed)
		return error_set(error, EXIT_FAILED, EPROTO,
				 "the agent's answer is no JSON");
	*ret_answer = parsed;
	return 0;
}

int control_call(const struct paths *paths, json_t *request,
		 unsigned patience_s, json_t **ret_answer, struct error *error)
{
	AUTO_FD fd = -1;
	json_auto_t *answer = NULL;
	int ret;

	ret = open_connection(paths, patience_s, &fd, error);
	if (ret)
		return ret;
	ret = exchange(fd, request, &answer, error);
	if (ret)
		return ret;
	if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *why =
			json_string_value(json_object_get(answer, "error"));

		return error_set(error, EXIT_FAILED, EREMOTEIO,
				 "the agent says: %s", why ? why : "nothing");
	}
	*ret_answer = take_pointer(answer);
	return 0;
}

/* ---- the answering side ---------------------------------------------------
 */

static int explain_listen(const struct paths *paths, int error_number,
			  struct error *error)
{
	return error_set(error, EXIT_FAILED, error_number,
			 "cannot make the control socket %s/" SOCKET_NAME
			 ": %s",
			 paths->run_dir, strerror(-error_number));
}

/* Whoever connects before this has listened would take the agent for dead:
 * so the caller holds the folder's lock. */
static int bind_socket(int fd, int folder)
{
	struct sockaddr_un address = socket_address(folder);

	if (unlinkat(folder, SOCKET_NAME, 0) && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	/* Between bind and listen nobody can connect, so no umask is needed. */
	if (fchmodat(folder, SOCKET_NAME, 0600, 0))
		return -errno;
	if (listen(fd, BACKLOG))
		return -errno;
	return 0;
}

static int someone_listens(int folder)
{
	AUTO_FD fd = open_socket(SOCK_NONBLOCK);
	int ret;

	if (fd < 0)
		return fd;
	ret = connect_to(fd, folder);
	/* EAGAIN: its backlog is full. */
	if (!ret || ret == -EAGAIN)
		return -EADDRINUSE;
	return ret == -ECONNREFUSED || ret == -ENOENT ? 0 : ret;
}

int control_listen(const struct paths *paths, int *ret_fd, struct error *error)
{
	AUTO_FD folder = -1, fd = -1;
	int ret;

	if (mkdir(paths->run_dir, 0755) && errno != EEXIST)
		return explain_listen(paths, -errno, error);
	folder = open(paths->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || flock(folder, LOCK_EX))
		return explain_listen(paths, -errno, error);
	ret = someone_listens(folder);
	if (ret == -EADDRINUSE)
		return error_set(error, EXIT_FAILED, ret,
				 "an agent already runs with the run directory "
				 "%s: give this one another --run-dir",
				 paths->run_dir);
	if (ret)
		return explain_listen(paths, ret, error);
	fd = open_socket(SOCK_NONBLOCK);
	if (fd < 0)
		return explain_listen(paths, fd, error);
	ret = bind_socket(fd, folder);
	if (ret)
		return explain_listen(paths, ret, error);
	*ret_fd = take_fd(&fd);
	return 0;
}
