// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../userspace/nearest.h"

static void test_distance_counts_edits(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		unsigned distance;
	} rows[] = {
		{"", "", 0},
		{"route", "route", 0},
		{"rout", "route", 1},
		{"routes", "route", 1},
		{"rotue", "route", 1},
		{"ruote", "route", 1},
		{"raute", "route", 1},
		{"", "abc", 3},
		{"rtoue", "route", 2},
		{"ca", "abc", 3},
		{"listen", "silent", 4},
		{"abcd", "wxyz", 4},
		{"kitten", "sitting", 3},
		{"a", "abcdefgh", 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned wanted = rows[i].distance;

		assert_int_equal(nearest_distance(rows[i].a, rows[i].b, 3),
				 wanted);
		assert_int_equal(nearest_distance(rows[i].b, rows[i].a, 3),
				 wanted);
	}
}

static void test_distance_stops_at_the_limit(void **state)
{
	(void)state;
	assert_int_equal(nearest_distance("abc", "abd", 0), 1);
	assert_int_equal(nearest_distance("abc", "xyz", 1), 2);
	assert_int_equal(nearest_distance("abcdef", "abcdxy", 1), 2);
}

static void test_distance_of_the_longest_names(void **state)
{
	char a[254], b[254], longer[300];

	(void)state;
	memset(a, 'a', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(b));
	b[252] = 'b';
	assert_int_equal(nearest_distance(a, b, 1), 1);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(nearest_distance(longer, longer, 1), 2);
}

static void test_offer_keeps_the_nearest(void **state)
{
	struct nearest nearest = {.word = "lsit"};

	(void)state;
	nearest_offer(&nearest, "show");
	assert_null(nearest.found);
	nearest_offer(&nearest, "last");
	assert_string_equal(nearest.found, "last");
	nearest_offer(&nearest, "list");
	assert_string_equal(nearest.found, "list");
	nearest_offer(&nearest, "lost");
	assert_string_equal(nearest.found, "list");
}

static void test_a_word_is_not_mistyped_in_most_places(void **state)
{
	struct nearest nearest = {.word = "ab"};

	(void)state;
	nearest_offer(&nearest, "xy");
	assert_null(nearest.found);
	nearest_offer(&nearest, "ax");
	assert_string_equal(nearest.found, "ax");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance_counts_edits),
		cmocka_unit_test(test_distance_stops_at_the_limit),
		cmocka_unit_test(test_distance_of_the_longest_names),
		cmocka_unit_test(test_offer_keeps_the_nearest),
		cmocka_unit_test(test_a_word_is_not_mistyped_in_most_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
