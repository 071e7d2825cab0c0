// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../userspace/flow.h"

static void assert_queue(const struct deadlines *deadlines,
			 enum deadline deadline, const struct flow **flows,
			 unsigned count)
{
	const struct flow *flow = deadlines->first[deadline];

	for (unsigned i = 0; i < count; i++) {
		assert_ptr_equal(flow, flows[i]);
		assert_ptr_equal(flow->previous, i ? flows[i - 1] : NULL);
		flow = flow->next;
	}
	assert_null(flow);
	assert_ptr_equal(deadlines->last[deadline],
			 count ? flows[count - 1] : NULL);
}

static void test_a_queue_is_in_the_order_of_its_waits(void **state)
{
	struct deadlines deadlines = {0};
	struct flow a = {0}, b = {0}, c = {0};

	(void)state;
	deadline_set(&deadlines, &a, DEADLINE_HELLO, 1);
	deadline_set(&deadlines, &b, DEADLINE_HELLO, 2);
	deadline_set(&deadlines, &c, DEADLINE_HELLO, 3);
	assert_queue(&deadlines, DEADLINE_HELLO,
		     (const struct flow *[]){&a, &b, &c}, 3);
	assert_int_equal(b.deadline_from_ns, 2);
}

static void test_a_flow_leaves_from_any_place(void **state)
{
	struct deadlines deadlines = {0};
	struct flow a = {0}, b = {0}, c = {0};

	(void)state;
	deadline_set(&deadlines, &a, DEADLINE_IDLE, 1);
	deadline_set(&deadlines, &b, DEADLINE_IDLE, 2);
	deadline_set(&deadlines, &c, DEADLINE_IDLE, 3);
	deadline_set(&deadlines, &b, DEADLINE_NONE, 0);
	assert_queue(&deadlines, DEADLINE_IDLE, (const struct flow *[]){&a, &c},
		     2);
	deadline_set(&deadlines, &a, DEADLINE_NONE, 0);
	deadline_set(&deadlines, &c, DEADLINE_NONE, 0);
	assert_queue(&deadlines, DEADLINE_IDLE, NULL, 0);
}

static void test_another_wait_is_another_queue(void **state)
{
	struct deadlines deadlines = {0};
	struct flow a = {0}, b = {0};

	(void)state;
	deadline_set(&deadlines, &a, DEADLINE_HELLO, 1);
	deadline_set(&deadlines, &b, DEADLINE_HELLO, 2);
	deadline_set(&deadlines, &a, DEADLINE_CONNECT, 3);
	assert_queue(&deadlines, DEADLINE_HELLO, (const struct flow *[]){&b},
		     1);
	assert_queue(&deadlines, DEADLINE_CONNECT, (const struct flow *[]){&a},
		     1);
}

static void test_the_same_wait_again_goes_to_the_end(void **state)
{
	struct deadlines deadlines = {0};
	struct flow a = {0}, b = {0};

	(void)state;
	deadline_set(&deadlines, &a, DEADLINE_IDLE, 1);
	deadline_set(&deadlines, &b, DEADLINE_IDLE, 2);
	deadline_set(&deadlines, &a, DEADLINE_IDLE, 3);
	assert_queue(&deadlines, DEADLINE_IDLE, (const struct flow *[]){&b, &a},
		     2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_queue_is_in_the_order_of_its_waits),
		cmocka_unit_test(test_a_flow_leaves_from_any_place),
		cmocka_unit_test(test_another_wait_is_another_queue),
		cmocka_unit_test(test_the_same_wait_again_goes_to_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
