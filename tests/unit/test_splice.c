// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Slots: when one that a flow has had is given to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "../../userspace/splice.h"

#define COUNT 4
#define MS 1000000ULL
/* The first minute of a kernel's life has to be right too. */
#define BEGIN (100 * MS)

/* One that has slots, and no maps. */
static struct splice splice;
static struct abi_bucket bucket;
static struct abi_splice slots[COUNT];
static struct splice_heard heard[COUNT];
static struct splice_rest rows[3][COUNT];

static int begin(void **state)
{
	(void)state;
	memset(slots, 0, sizeof(slots));
	splice = (struct splice){
		.buckets = &bucket,
		.bucket_count = 1,
		.tuple_lock = PTHREAD_MUTEX_INITIALIZER,
		.slots = slots,
		.heard = heard,
		.count = COUNT,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.free = {rows[0], COUNT, 0, COUNT},
		.resting = {rows[1], COUNT, 0, 0},
		.resting_long = {rows[2], COUNT, 0, 0},
	};
	for (uint32_t i = 0; i < COUNT; i++)
		rows[0][i] = (struct splice_rest){i, 0};
	return 0;
}

/* A flow has it; its target has answered with these options. */
static uint32_t taken(uint8_t answered)
{
	uint32_t slot;

	assert_int_equal(splice_take(&splice, BEGIN, &slot), 0);
	slots[slot].state = ABI_SPLICE_SPLICED;
	slots[slot].mss = 1460;
	slots[slot].answered = answered;
	return slot;
}

static void take_all(void)
{
	for (unsigned i = 0; i < COUNT; i++)
		taken(ABI_SPLICE_TIMESTAMPS);
}

static void none_until(uint64_t now_ns)
{
	uint32_t slot;

	assert_int_equal(splice_take(&splice, now_ns, &slot), -ENOSPC);
}

static void test_a_slot_has_a_new_life_each_time(void **state)
{
	uint32_t slot;

	(void)state;
	take_all();
	none_until(BEGIN);
	splice_rest(&splice, 2, BEGIN);
	/* What is late still finds its way. */
	none_until(BEGIN + 2999 * MS);
	assert_int_equal(slots[2].state, ABI_SPLICE_SPLICED);
	/* Its tuples are gone; programs that have found them may still run. */
	none_until(BEGIN + 3000 * MS);
	assert_int_equal(slots[2].state, ABI_SPLICE_FREE);
	none_until(BEGIN + 3009 * MS);
	assert_int_equal(splice_take(&splice, BEGIN + 3010 * MS, &slot), 0);
	assert_int_equal(slot, 2);
	assert_int_equal(slots[2].mss, 0);
}

static void test_without_timestamps_it_rests_for_a_minute(void **state)
{
	uint32_t slow, quick, slot;

	(void)state;
	slow = taken(ABI_SPLICE_SACK);
	quick = taken(ABI_SPLICE_TIMESTAMPS);
	taken(0);
	taken(0);
	splice_rest(&splice, slow, BEGIN);
	splice_rest(&splice, quick, BEGIN);
	none_until(BEGIN + 3000 * MS);
	assert_int_equal(splice_take(&splice, BEGIN + 3010 * MS, &slot), 0);
	assert_int_equal(slot, quick);
	none_until(BEGIN + 59999 * MS);
	assert_int_equal(slots[slow].state, ABI_SPLICE_SPLICED);
	none_until(BEGIN + 60000 * MS);
	assert_int_equal(splice_take(&splice, BEGIN + 60010 * MS, &slot), 0);
	assert_int_equal(slot, slow);
}

static void test_who_was_never_answered_rests_shortly(void **state)
{
	uint32_t slot;

	(void)state;
	take_all();
	slots[1].mss = 0;
	slots[1].answered = 0;
	splice_rest(&splice, 1, BEGIN);
	none_until(BEGIN + 3000 * MS);
	assert_int_equal(splice_take(&splice, BEGIN + 3010 * MS, &slot), 0);
	assert_int_equal(slot, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_slot_has_a_new_life_each_time,
				       begin),
		cmocka_unit_test_setup(
			test_without_timestamps_it_rests_for_a_minute, begin),
		cmocka_unit_test_setup(
			test_who_was_never_answered_rests_shortly, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
