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

/* So much was moved by then: the thread has that policy. */
static void assert_policy(struct haste *haste, uint64_t mib, uint64_t ms,
			  int policy)
{
	haste->bytes += mib * MIB;
	haste_look(haste, ms * MS_NS);
	assert_int_equal(sched_getscheduler(0), policy);
}

static void set_policy(int policy)
{
	const struct sched_param none = {0};

	assert_int_equal(sched_setscheduler(0, policy, &none), 0);
}

static void test_much_makes_it_patient_little_does_not(void **state)
{
	struct haste haste = {0};

	(void)state;
	/* Since when, it cannot know yet: all of its life. */
	assert_policy(&haste, 100, 3600000, SCHED_OTHER);
	assert_policy(&haste, 3, 3600010, SCHED_OTHER);
	/* Not before there is something to be known. */
	assert_policy(&haste, 4, 3600019, SCHED_OTHER);
	assert_policy(&haste, 0, 3600020, SCHED_BATCH);
	assert_policy(&haste, 8, 3600040, SCHED_BATCH);
	assert_policy(&haste, 7, 3600060, SCHED_OTHER);
}

static void test_another_policy_is_kept(void **state)
{
	struct haste haste = {0};

	(void)state;
	set_policy(SCHED_BATCH);
	assert_policy(&haste, 0, 10, SCHED_BATCH);
	assert_policy(&haste, 100, 20, SCHED_BATCH);
	assert_false(haste.patient);
	assert_policy(&haste, 0, 40, SCHED_BATCH);
	set_policy(SCHED_OTHER);
	assert_policy(&haste, 100, 50, SCHED_BATCH);
	assert_true(haste.patient);
	/* Somebody takes it back: so it is, until the next bulk. */
	set_policy(SCHED_OTHER);
	assert_policy(&haste, 0, 60, SCHED_OTHER);
	assert_false(haste.patient);
	assert_policy(&haste, 100, 70, SCHED_BATCH);
	set_policy(SCHED_OTHER);
}

static int setup(void **state)
{
	(void)state;
	set_policy(SCHED_OTHER);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_much_makes_it_patient_little_does_not),
		cmocka_unit_test(test_another_policy_is_kept),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
