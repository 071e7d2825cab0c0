// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "cleanup.h"

bool notify_is_on(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && *path;
}

void notify_send(const char *state)
{
	notify_send_fd(state, -1);
}

static int notify_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	AUTO_FD fd = -1;

	if (!length || length >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, length);
	if (address.sun_path[0] == '@') /* the abstract namespace */
		address.sun_path[0] = '\0';
	length += offsetof(struct sockaddr_un, sun_path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, (socklen_t)length))
		return -1;
	return take_fd(&fd);
}

void notify_send_fd(const char *state, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	AUTO_FREE char *text = strdup(state);
	struct iovec data = {text, strlen(state)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	AUTO_FD to = notify_connect();

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	if (to >= 0 && text)
		(void)sendmsg(to, &message, MSG_NOSIGNAL);
}
