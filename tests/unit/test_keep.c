// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "../../userspace/descriptors.h"
#include "../../userspace/keep.h"

/* More than one message carries. */
#define CONNECTIONS 600

/** struct manager - the service manager's end. */
struct manager {
	int fd;
	char text[256];
	int stored;
};

static int begin(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct manager *manager = calloc(1, sizeof(*manager));
	char name[32];

	if (!manager)
		return -1;
	*state = manager;
	snprintf(name, sizeof(name), "@snictl-test-%d", (int)getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return bind(manager->fd, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				strlen(name)));
}

static int end(void **state)
{
	struct manager *manager = *state;

	close(manager->fd);
	free(manager);
	return 0;
}

/* Return: whether there was one; what it said and carried is in @manager. */
static bool hear(struct manager *manager)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec data = {manager->text, sizeof(manager->text) - 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(manager->fd, &message, MSG_DONTWAIT);

	if (length < 0)
		return false;
	manager->stored = -1;
	manager->text[length] = '\0';
	if (message.msg_controllen)
		memcpy(&manager->stored, CMSG_DATA(&control.header),
		       sizeof(int));
	return true;
}

static int listener(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr =
					      htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(
		bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_return_code(listen(fd, 1), 0);
	return fd;
}

static void test_listeners_are_kept_as_long_as_they_listen(void **state)
{
	struct manager *manager = *state;
	char name[sizeof(manager->text)];
	struct keep keep;
	int fd, inherited = listener();

	keep_open(&keep);
	assert_true(hear(manager)); /* what the last one handed over */
	assert_false(hear(manager));
	fd = listener();
	keep_listeners(&keep);
	assert_true(hear(manager));
	assert_int_equal(
		sscanf(manager->text, "FDSTORE=1\nFDNAME=%255[^\n]\n", name),
		1);
	assert_non_null(strstr(manager->text, "\nFDPOLL=0"));
	assert_true(manager->stored >= 0);
	close(manager->stored);
	assert_false(hear(manager));

	keep_listeners(&keep);
	assert_false(hear(manager));
	close(fd);
	keep_listeners(&keep);
	assert_true(hear(manager));
	assert_memory_equal(manager->text, "FDSTOREREMOVE=1\n", 16);
	assert_non_null(strstr(manager->text, name));
	assert_false(hear(manager));
	/* Shut down, and open in the manager's hands. */
	shutdown(inherited, SHUT_RD);
	keep_listeners(&keep);
	assert_true(hear(manager));
	assert_memory_equal(manager->text, "FDSTOREREMOVE=1\n", 16);
	close(inherited);
	free(keep.cookie);
}

static void count_connections(int fd, void *context)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	unsigned *count = context;

	if (!getpeername(fd, (struct sockaddr *)&peer, &size) &&
	    peer.sin_family == AF_INET)
		++*count;
}

static void close_ours(int fd, void *context)
{
	const struct manager *manager = context;

	if (fd != manager->fd && fd != manager->stored)
		close(fd);
}

static void test_connections_are_handed_over(void **state)
{
	struct manager *manager = *state;
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	int to = listener(), ends[2];
	unsigned count = 0;
	struct keep keep;

	getsockname(to, (struct sockaddr *)&address, &size);
	for (unsigned i = 0; i < CONNECTIONS / 2; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		assert_return_code(
			connect(fd, (struct sockaddr *)&address, size), 0);
		assert_return_code(accept(to, NULL, NULL), 0);
	}
	assert_return_code(pipe(ends), 0);
	keep_connections();
	assert_true(hear(manager));
	assert_string_equal(manager->text,
			    "FDSTORE=1\nFDNAME=connections\nFDPOLL=0");
	assert_true(manager->stored >= 0);
	assert_false(hear(manager));
	descriptors_visit(close_ours, manager);
	descriptors_visit(count_connections, &count);
	assert_int_equal(count, 0);

	keep_open(&keep);
	descriptors_visit(count_connections, &count);
	assert_int_equal(count, CONNECTIONS);
	assert_true(hear(manager));
	assert_string_equal(manager->text,
			    "FDSTOREREMOVE=1\nFDNAME=connections");
	free(keep.cookie);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_listeners_are_kept_as_long_as_they_listen, begin,
			end),
		cmocka_unit_test_setup_teardown(
			test_connections_are_handed_over, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
