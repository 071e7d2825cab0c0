// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "../../userspace/sockmap_check.h"

static void test_kernels_that_are_known_to_be_bad_are_refused(void **state)
{
	static const struct {
		const char *release;
		int result;
	} rows[] = {
		{"5.15.0", -EOPNOTSUPP},
		{"6.1.0-56-cloud-amd64", -EOPNOTSUPP},
		{"6.1.192", -EOPNOTSUPP},
		{"6.6.94", -EOPNOTSUPP},
		{"6.12.117+deb12-cloud-amd64", -EOPNOTSUPP},
		{"6.13.40", -EOPNOTSUPP},
		{"6.16", 0},
		{"6.18.44-rc1", 0},
		{"7.0.1", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error error;

		assert_int_equal(sockmap_check_release(rows[i].release, &error),
				 rows[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_kernels_that_are_known_to_be_bad_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
