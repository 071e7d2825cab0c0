// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include "../../userspace/flow_read.h"

#define CAPACITY (4 * ABI_NAME_FLOWS)
#define READS 200000

static struct abi_flow_cold cold[CAPACITY];
static struct abi_flow_hot hot[CAPACITY];
static struct abi_name names[CAPACITY / ABI_NAME_FLOWS];
static struct abi_sockmap_flow sockmap_flows[ABI_SOCKMAP_FLOWS_MIN];
static struct abi_counters counters[ABI_THREADS_MAX];
static const struct store store = {
	.hot = hot,
	.cold = cold,
	.names = names,
	.sockmap_flows = sockmap_flows,
	.counters = counters,
	.flow_capacity = CAPACITY,
};

static int begin(void **state)
{
	(void)state;
	memset(cold, 0, sizeof(cold));
	memset(hot, 0, sizeof(hot));
	memset(names, 0, sizeof(names));
	memset(sockmap_flows, 0, sizeof(sockmap_flows));
	memset(counters, 0, sizeof(counters));
	return 0;
}

static void test_free_slots_are_none(void **state)
{
	struct flow_record flow;

	(void)state;
	cold[1].id = 7;
	assert_int_equal(flow_read(&store, 1, &flow), -ENOENT);
	assert_int_equal(flow_find(&store, 7, &flow), -ENOENT);
}

static void test_both_halves_are_copied(void **state)
{
	struct flow_record flow;

	(void)state;
	cold[2].phase = ABI_PHASE_RELAY;
	cold[2].id = 7;
	hot[2].direction[ABI_FROM_CLIENT].bytes = 1;
	hot[2].direction[ABI_FROM_BACKEND].packets = 2;
	hot[2].last_ns = 3;
	assert_int_equal(flow_find(&store, 7, &flow), 0);
	assert_memory_equal(&flow.cold, &cold[2], sizeof(cold[2]));
	assert_memory_equal(&flow.hot, &hot[2], sizeof(hot[2]));
	assert_int_equal(flow_find(&store, 8, &flow), -ENOENT);
	assert_int_equal(flow.cold.id, 7);
}

static void test_what_the_sockmap_moved_is_added(void **state)
{
	struct abi_sockmap_direction *way = sockmap_flows[4].direction;
	struct flow_record flow;

	(void)state;
	cold[2] = (struct abi_flow_cold){.phase = ABI_PHASE_KERNEL, .id = 7};
	hot[2].direction[ABI_FROM_CLIENT].bytes = 1;
	hot[2].last_ns = 3;
	way[ABI_FROM_CLIENT] = (struct abi_sockmap_direction){
		.redirected = 10, .passed = 500, .drained = 100, .last_ns = 5};
	way[ABI_FROM_BACKEND].redirected = 20;
	/* It has none, whosever they are. */
	assert_int_equal(flow_read(&store, 2, &flow), 0);
	assert_int_equal(flow.hot.direction[ABI_FROM_CLIENT].bytes, 1);
	cold[2].sockmap = 5;
	assert_int_equal(flow_read(&store, 2, &flow), 0);
	assert_int_equal(flow.hot.direction[ABI_FROM_CLIENT].bytes, 111);
	assert_int_equal(flow.hot.direction[ABI_FROM_BACKEND].bytes, 20);
	assert_int_equal(flow.hot.last_ns, 5);
	/* No place in the map. */
	cold[2].sockmap = ABI_SOCKMAP_FLOWS_MIN + 1;
	assert_int_equal(flow_read(&store, 2, &flow), 0);
	assert_int_equal(flow.hot.direction[ABI_FROM_CLIENT].bytes, 1);
}

static void test_a_writer_that_died_is_no_endless_wait(void **state)
{
	struct flow_record flow = {.cold.id = 1};

	(void)state;
	cold[0].phase = ABI_PHASE_RELAY;
	cold[0].sequence = 3;
	assert_int_equal(flow_read(&store, 0, &flow), -EBUSY);
	assert_int_equal(flow.cold.id, 1);
}

/* ---- beside a writer ------------------------------------------------------
 */

static bool ends;

/* The slot goes from flow to flow; all fields of one have the same number. */
static void *write_flows(void *context)
{
	struct abi_flow_cold *slot = &cold[0];

	for (uint64_t n = 1; !__atomic_load_n(&ends, __ATOMIC_RELAXED); n++) {
		__atomic_store_n(&slot->sequence, slot->sequence + 1,
				 __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		slot->phase = ABI_PHASE_RELAY;
		slot->id = n;
		slot->accepted_ns = n;
		memset(names[1].text, (int)(n & 0xff), ABI_NAME_MAX);
		slot->long_name = 2;
		slot->name_length = ABI_NAME_MAX;
		slot->thread = (uint8_t)n;
		__atomic_store_n(&hot[0].direction[0].bytes, n,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&slot->sequence, slot->sequence + 1,
				 __ATOMIC_RELEASE);
	}
	return context;
}

static void assert_one_flow(const struct flow_record *flow)
{
	uint64_t n = flow->cold.id;

	assert_int_equal(flow->cold.accepted_ns, n);
	assert_int_equal(flow->cold.thread, n & 0xff);
	assert_int_equal(flow->hot.direction[0].bytes, n);
	assert_int_equal(flow->name.length, ABI_NAME_MAX);
	for (size_t i = 0; i < flow->name.length; i++)
		assert_int_equal((uint8_t)flow->name.text[i], n & 0xff);
}

static void test_no_record_is_of_two_flows(void **state)
{
	struct flow_record flow;
	unsigned seen = 0;
	pthread_t writer;

	(void)state;
	pthread_create(&writer, NULL, write_flows, NULL);
	for (unsigned i = 0; i < READS || !seen; i++) {
		if (flow_read(&store, 0, &flow))
			continue;
		assert_one_flow(&flow);
		seen++;
	}
	__atomic_store_n(&ends, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	assert_true(seen > 0);
}

/* ---- names, counters ------------------------------------------------------
 */

static void assert_route(uint8_t kind, uint8_t offset, bool apex,
			 const char *wanted)
{
	const struct name name = {15, "a.b.example.com"};
	struct abi_flow_cold flow = {.route.kind = kind,
				     .route_offset = offset,
				     .route_apex = apex,
				     .name_length = name.length};
	char text[PATTERN_TEXT_SIZE];

	assert_string_equal(flow_route_text(&flow, &name, text), wanted);
}

static void test_the_route_is_named_as_it_is_written(void **state)
{
	(void)state;
	assert_route(0, 0, false, "");
	assert_route(ABI_ROUTE_EXACT, 0, false, "a.b.example.com");
	assert_route(ABI_ROUTE_WILDCARD, 4, false, "*.example.com");
	assert_route(ABI_ROUTE_WILDCARD, 2, true, ".b.example.com");
	assert_route(ABI_ROUTE_DEFAULT, 0, false, "default");
	assert_route(ABI_ROUTE_NONE, 0, false, "none");
	assert_route(ABI_ROUTE_WILDCARD, 16, false, "");
}

/* "xx...x.example.com". */
static void name_of(size_t length, struct name *ret_name)
{
	static const char domain[] = ".example.com";
	size_t rest = length - (sizeof(domain) - 1);

	ret_name->length = (uint8_t)length;
	memset(ret_name->text, 'x', rest);
	strcpy(ret_name->text + rest, domain);
}

static void test_the_longest_that_fits_is_in_the_record(void **state)
{
	struct abi_flow_cold flow = {.name_length = ABI_NAME_SHORT};
	struct name wanted, name;

	(void)state;
	name_of(ABI_NAME_SHORT, &wanted);
	memcpy(flow.name, wanted.text, ABI_NAME_SHORT);
	flow_name(&store, &flow, &name);
	assert_string_equal(name.text, wanted.text);
	assert_int_equal(name.length, ABI_NAME_SHORT);
}

static void test_a_long_name_is_whole(void **state)
{
	struct abi_flow_cold flow = {.long_name = CAPACITY / ABI_NAME_FLOWS};
	struct name wanted, name;

	(void)state;
	for (size_t length = ABI_NAME_SHORT + 1; length <= ABI_NAME_MAX;
	     length++) {
		name_of(length, &wanted);
		flow.name_length = (uint8_t)length;
		memcpy(names[flow.long_name - 1].text, wanted.text, length);
		flow_name(&store, &flow, &name);
		assert_string_equal(name.text, wanted.text);
		assert_int_equal(name.length, length);
	}
}

static void test_of_a_name_without_room_the_end_is_left(void **state)
{
	struct abi_flow_cold flow = {.name_length = 100,
				     .route.kind = ABI_ROUTE_WILDCARD,
				     .route_offset = 89};
	char text[PATTERN_TEXT_SIZE];
	struct name whole, name;

	(void)state;
	name_of(100, &whole);
	memcpy(flow.name, whole.text + 100 - ABI_NAME_SHORT, ABI_NAME_SHORT);
	for (unsigned i = 0; i < 2; i++) {
		/* None; and one that is not in the map. */
		flow.long_name = i ? CAPACITY / ABI_NAME_FLOWS + 1 : 0;
		flow_name(&store, &flow, &name);
		assert_int_equal(name.length, 3 + ABI_NAME_SHORT);
		assert_memory_equal(name.text, "...", 3);
		assert_string_equal(name.text + 3,
				    whole.text + 100 - ABI_NAME_SHORT);
		assert_string_equal(flow_route_text(&flow, &name, text),
				    "*.example.com");
	}
	flow.route_offset = 100 - ABI_NAME_SHORT - 1;
	flow_route_text(&flow, &name, text);
	assert_memory_equal(text, "*....x", 6);
}

static void test_counters_of_all_threads_are_added_up(void **state)
{
	struct abi_counters sum;

	(void)state;
	for (unsigned i = 0; i < ABI_THREADS_MAX; i++) {
		counters[i].accepted = 1;
		counters[i].outcome[ABI_OUTCOME_CLIENT_GONE] = i;
		counters[i].connect_failures = 2;
	}
	counters_sum(&store, &sum);
	assert_int_equal(sum.accepted, ABI_THREADS_MAX);
	assert_int_equal(sum.outcome[ABI_OUTCOME_CLIENT_GONE],
			 ABI_THREADS_MAX * (ABI_THREADS_MAX - 1) / 2);
	assert_int_equal(sum.connect_failures, 2 * ABI_THREADS_MAX);
	assert_int_equal(sum.accept_pauses, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_free_slots_are_none),
		TEST(test_both_halves_are_copied),
		TEST(test_what_the_sockmap_moved_is_added),
		TEST(test_a_writer_that_died_is_no_endless_wait),
		TEST(test_no_record_is_of_two_flows),
		TEST(test_the_route_is_named_as_it_is_written),
		TEST(test_the_longest_that_fits_is_in_the_record),
		TEST(test_a_long_name_is_whole),
		TEST(test_of_a_name_without_room_the_end_is_left),
		TEST(test_counters_of_all_threads_are_added_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
