// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include "../../userspace/haste.h"

#define MS_NS 1000000ULL
#define MIB (1ULL << 20)

static void test_much_makes_it_patient_little_does_not(void **state)
{
	struct haste haste = {0};

	(void)state;
	haste.bytes = 100 * MIB;
	/* Since when, it cannot know yet: all of its life. */
	haste_look(&haste, 3600000 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	haste.bytes = 3 * MIB;
	haste_look(&haste, 3600010 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	haste.bytes = 4 * MIB;
	/* Not before there is something to be known. */
	haste_look(&haste, 3600019 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	haste_look(&haste, 3600020 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	haste.bytes = 8 * MIB;
	haste_look(&haste, 3600040 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	haste.bytes = 7 * MIB;
	haste_look(&haste, 3600060 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void test_another_policy_is_kept(void **state)
{
	const struct sched_param none = {0};
	struct haste haste = {0};

	(void)state;
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	haste_look(&haste, 10 * MS_NS);
	haste.bytes = 100 * MIB;
	haste_look(&haste, 20 * MS_NS);
	assert_false(haste.patient);
	haste_look(&haste, 40 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	/* Somebody takes back what we have set: so it is, until the next bulk.
	 */
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	haste.bytes = 100 * MIB;
	haste_look(&haste, 50 * MS_NS);
	assert_true(haste.patient);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	haste_look(&haste, 60 * MS_NS);
	assert_false(haste.patient);
	haste.bytes = 100 * MIB;
	haste_look(&haste, 70 * MS_NS);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

static int setup(void **state)
{
	const struct sched_param none = {0};

	(void)state;
	return sched_setscheduler(0, SCHED_OTHER, &none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_much_makes_it_patient_little_does_not),
		cmocka_unit_test(test_another_policy_is_kept),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
