// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../userspace/addr.h"
#include "../../userspace/holder.h"

#define OURS "holder-test"

/* A listening socket of this process, on a port that the kernel chooses. */
static int listen_on(const char *address, struct abi_endpoint *ret_endpoint)
{
	struct sockaddr_storage name;
	struct abi_endpoint endpoint;
	socklen_t size;
	int fd, only_ipv6 = 0;

	assert_int_equal(addr_parse_endpoint(address, 1, &endpoint), 0);
	endpoint.port_be = 0;
	size = addr_to_sockaddr(&endpoint, &name);
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (name.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6,
			   sizeof(only_ipv6));
	assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
	assert_int_equal(listen(fd, 1), 0);
	size = sizeof(name);
	getsockname(fd, (struct sockaddr *)&name, &size);
	addr_from_sockaddr(&name, ret_endpoint);
	return fd;
}

static struct abi_endpoint wanted(const char *address,
				  const struct abi_endpoint *port)
{
	struct abi_endpoint endpoint = {.family = 0};

	if (address)
		assert_int_equal(addr_parse_endpoint(address, 1, &endpoint), 0);
	endpoint.port_be = port->port_be;
	return endpoint;
}

static void assert_held(const char *address, const struct abi_endpoint *by)
{
	struct abi_endpoint endpoint = wanted(address, by);
	struct holder holder;

	assert_int_equal(holder_find(&endpoint, "snictld", &holder), 0);
	assert_int_equal(holder.pid, getpid());
	assert_string_equal(holder.command, OURS);
	assert_int_equal(holder.endpoint.port_be, by->port_be);
	/* Where it is the agent itself, better that than nobody. */
	assert_int_equal(holder_find(&endpoint, OURS, &holder), 0);
	assert_int_equal(holder.pid, getpid());
}

static void assert_free(const char *address, const struct abi_endpoint *port)
{
	struct abi_endpoint endpoint = wanted(address, port);
	struct holder holder;

	assert_int_equal(holder_find(&endpoint, "snictld", &holder), -ENOENT);
}

static void test_one_address(void **state)
{
	struct abi_endpoint held;
	int fd = listen_on("127.0.0.1", &held);

	(void)state;
	assert_held("127.0.0.1", &held);
	assert_held("0.0.0.0", &held);
	assert_held(NULL, &held);
	assert_free("127.0.0.2", &held);
	assert_free("::1", &held);
	close(fd);
	assert_free("127.0.0.1", &held);
}

static void test_all_addresses(void **state)
{
	struct abi_endpoint held;
	int fd = listen_on("::", &held);

	(void)state;
	assert_held("::1", &held);
	assert_held("127.0.0.1", &held);
	assert_held(NULL, &held);
	close(fd);
	fd = listen_on("0.0.0.0", &held);
	assert_held("127.0.0.1", &held);
	assert_free("::1", &held);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_address),
		cmocka_unit_test(test_all_addresses),
	};

	prctl(PR_SET_NAME, OURS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
