// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table that says which slot packets belong to; what the programs make of
 * it is tested with packets (tests/system/splice.bats). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "../../userspace/splice.h"

#define SLOTS 3000
#define BUCKETS (SLOTS / ABI_BUCKET_SPLICES)

static struct abi_splice slots[SLOTS];
static struct abi_bucket buckets[BUCKETS];
static struct splice splice = {
	.slots = slots,
	.count = SLOTS,
	.buckets = buckets,
	.bucket_count = BUCKETS,
	.tuple_key = 0x0123456789abcdef,
	.tuple_lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Clients' ports in turn, as one behind NAT has them. */
static int begin(void **state)
{
	(void)state;
	splice.bucket_count = BUCKETS;
	memset(slots, 0, sizeof(slots));
	memset(buckets, 0, sizeof(buckets));
	for (uint16_t i = 0; i < SLOTS; i++) {
		struct abi_splice_way *up = &slots[i].way[ABI_FROM_CLIENT];
		struct abi_splice_way *down = &slots[i].way[ABI_FROM_BACKEND];

		slots[i].family = AF_INET;
		memcpy(down->destination, (uint8_t[]){192, 0, 2, 10}, 4);
		memcpy(down->source, (uint8_t[]){192, 0, 2, 1}, 4);
		down->destination_port_be = htons((uint16_t)(20000 + i));
		down->source_port_be = htons(443);
		memcpy(up->destination, (uint8_t[]){198, 51, 100, 11}, 4);
		memcpy(up->source, (uint8_t[]){198, 51, 100, 1}, 4);
		up->destination_port_be = htons(443);
		up->source_port_be = htons((uint16_t)(10240 + i));
	}
	return 0;
}

/* How many entries name that slot and side. */
static unsigned entries_of(uint32_t slot, uint32_t side)
{
	unsigned found = 0;

	for (unsigned i = 0; i < BUCKETS * ABI_BUCKET_ENTRIES; i++) {
		__u32 entry = buckets[i / ABI_BUCKET_ENTRIES]
				      .entry[i % ABI_BUCKET_ENTRIES];

		found += entry && abi_entry_splice(entry) == slot &&
			 (entry & 1) == side;
	}
	return found;
}

static unsigned entries(void)
{
	unsigned found = 0;

	for (unsigned i = 0; i < BUCKETS * ABI_BUCKET_ENTRIES; i++)
		found += buckets[i / ABI_BUCKET_ENTRIES]
				 .entry[i % ABI_BUCKET_ENTRIES] != 0;
	return found;
}

static void test_all_slots_have_room(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_true(splice_tuple_put(&splice, i, ABI_FROM_CLIENT));
		assert_true(splice_tuple_put(&splice, i, ABI_FROM_BACKEND));
	}
	assert_int_equal(entries(), 2 * SLOTS);
	for (uint32_t i = 0; i < SLOTS; i++) {
		splice_tuple_remove(&splice, i, ABI_FROM_CLIENT);
		assert_int_equal(entries_of(i, ABI_FROM_CLIENT), 0);
		splice_tuple_remove(&splice, i, ABI_FROM_BACKEND);
	}
	assert_int_equal(entries(), 0);
}

static void test_a_tuple_is_the_last_ones_who_had_it(void **state)
{
	(void)state;
	slots[7].way[ABI_FROM_BACKEND] = slots[3].way[ABI_FROM_BACKEND];
	assert_true(splice_tuple_put(&splice, 3, ABI_FROM_CLIENT));
	assert_true(splice_tuple_put(&splice, 7, ABI_FROM_CLIENT));
	assert_int_equal(entries(), 1);
	assert_int_equal(entries_of(7, ABI_FROM_CLIENT), 1);
	/* The end of the one before takes nothing away. */
	splice_tuple_remove(&splice, 3, ABI_FROM_CLIENT);
	assert_int_equal(entries_of(7, ABI_FROM_CLIENT), 1);
}

static void test_a_full_bucket_takes_no_more_and_loses_nothing(void **state)
{
	(void)state;
	splice.bucket_count = 1;
	for (uint32_t i = 0; i < ABI_BUCKET_ENTRIES; i++)
		assert_true(splice_tuple_put(&splice, i, ABI_FROM_CLIENT));
	assert_false(splice_tuple_put(&splice, 100, ABI_FROM_CLIENT));
	/* Not even where it is not in. */
	splice_tuple_remove(&splice, 100, ABI_FROM_CLIENT);
	for (uint32_t i = 0; i < ABI_BUCKET_ENTRIES; i++)
		assert_int_equal(entries_of(i, ABI_FROM_CLIENT), 1);
	splice_tuple_remove(&splice, 5, ABI_FROM_CLIENT);
	assert_true(splice_tuple_put(&splice, 100, ABI_FROM_CLIENT));
	assert_int_equal(entries_of(100, ABI_FROM_CLIENT), 1);
	assert_int_equal(entries(), ABI_BUCKET_ENTRIES);
}

static void test_every_part_of_a_tuple_counts(void **state)
{
	struct abi_tuple tuple = {
		.remote_port_be = 1, .local_port_be = 2, .family = AF_INET6};
	__u64 seen[2 * sizeof(tuple)];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(tuple); i++) {
		((uint8_t *)&tuple)[i] ^= 0x40;
		seen[count++] = abi_tuple_hash(&tuple, splice.tuple_key);
		((uint8_t *)&tuple)[i] ^= 0x40;
		seen[count++] = abi_tuple_hash(&tuple, i);
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_slots_have_room),
		TEST(test_a_tuple_is_the_last_ones_who_had_it),
		TEST(test_a_full_bucket_takes_no_more_and_loses_nothing),
		TEST(test_every_part_of_a_tuple_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
