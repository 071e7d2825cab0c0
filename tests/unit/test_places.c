// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../userspace/places.h"

static void test_each_is_given_once(void **state)
{
	static const bool taken[4] = {false, true, false, false};
	bool given[5] = {false};
	struct places places;
	uint32_t number;

	(void)state;
	assert_int_equal(places_open(&places, 4, taken), 0);
	for (unsigned i = 0; i < 3; i++) {
		number = places_take(&places);
		assert_in_range(number, 1, 4);
		assert_int_not_equal(number, 2);
		assert_false(given[number]);
		given[number] = true;
	}
	assert_int_equal(places_take(&places), 0);
	places_give(&places, 3);
	assert_int_equal(places_take(&places), 3);
	assert_int_equal(places_take(&places), 0);
	/* What was taken at the start comes back too. */
	places_give(&places, 2);
	assert_int_equal(places_take(&places), 2);
	places_close(&places);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_given_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
