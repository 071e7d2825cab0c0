// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "../../userspace/addr.h"
#include "../../userspace/limit.h"

static struct limits limits;
/* Which one the last enter() that failed has met. */
static enum abi_limit reached;

static struct abi_endpoint endpoint(const char *text)
{
	struct abi_endpoint result;

	assert_int_equal(addr_parse_endpoint(text, 443, &result), 0);
	return result;
}

static struct source *enter(const char *client, uint64_t flows,
			    uint64_t pending)
{
	struct abi_endpoint address = endpoint(client);

	const struct limit_rules rules = {32, 64, flows, pending};

	return limit_enter(&limits, &address, &rules, &reached);
}

static void assert_empty(void)
{
	for (unsigned i = 0; i < LIMIT_SHARDS; i++) {
		for (unsigned j = 0; j < LIMIT_BUCKETS; j++)
			assert_null(limits.shard[i].bucket[j]);
	}
}

static void test_flows_of_one_source_are_limited(void **state)
{
	struct source *first, *second;

	(void)state;
	limits_init(&limits);
	first = enter("192.0.2.1:1000", 2, 0);
	second = enter("192.0.2.1:1001", 2, 0);
	assert_non_null(first);
	assert_ptr_equal(first, second);
	assert_null(enter("192.0.2.1:1002", 2, 0));
	limit_settle(&limits, second);
	limit_leave(&limits, second);
	assert_non_null(enter("192.0.2.1:1003", 2, 0));
	limit_leave(&limits, first);
	limit_leave(&limits, first);
	assert_empty();
}

static void test_a_settled_hello_makes_room_for_another(void **state)
{
	struct source *source;

	(void)state;
	limits_init(&limits);
	source = enter("192.0.2.1", 0, 1);
	assert_null(enter("192.0.2.1", 0, 1));
	limit_settle(&limits, source);
	assert_ptr_equal(enter("192.0.2.1", 0, 1), source);
	limit_leave(&limits, source);
	limit_leave(&limits, source);
	assert_empty();
}

static void test_another_source_is_not_limited_by_the_first(void **state)
{
	struct source *a, *b;

	(void)state;
	limits_init(&limits);
	a = enter("192.0.2.1", 1, 1);
	b = enter("192.0.2.2", 1, 1);
	assert_non_null(a);
	assert_non_null(b);
	limit_leave(&limits, a);
	limit_leave(&limits, b);
	assert_empty();
}

static void test_a_slash_64_is_one_source(void **state)
{
	struct source *a, *b;

	(void)state;
	limits_init(&limits);
	a = enter("2001:db8:0:1::1", 1, 0);
	assert_null(enter("2001:db8:0:1:ffff::2", 1, 0));
	b = enter("2001:db8:0:2::1", 1, 0);
	assert_non_null(b);
	limit_leave(&limits, a);
	limit_leave(&limits, b);
	assert_empty();
}

static void test_no_ipv6_prefix_is_an_ipv4_address(void **state)
{
	struct source *a, *b;

	(void)state;
	limits_init(&limits);
	a = enter("0.0.0.0", 1, 0);
	b = enter("[::]:1", 1, 0);
	assert_ptr_not_equal(a, b);
	limit_leave(&limits, a);
	limit_leave(&limits, b);
	assert_empty();
}

static void *come_and_go(void *argument)
{
	(void)argument;
	for (int i = 0; i < 20000; i++) {
		struct source *source = enter("198.51.100.7", 0, 0);

		limit_settle(&limits, source);
		limit_leave(&limits, source);
	}
	return NULL;
}

static void test_threads_leave_nothing_behind(void **state)
{
	pthread_t thread[4];

	(void)state;
	limits_init(&limits);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, come_and_go, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_of_one_source_are_limited),
		cmocka_unit_test(test_a_settled_hello_makes_room_for_another),
		cmocka_unit_test(
			test_another_source_is_not_limited_by_the_first),
		cmocka_unit_test(test_a_slash_64_is_one_source),
		cmocka_unit_test(test_no_ipv6_prefix_is_an_ipv4_address),
		cmocka_unit_test(test_threads_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
