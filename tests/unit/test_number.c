// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the number parser does, a test a behaviour. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../userspace/number.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED 0x5a5a5a5a5a5a5a5a
#define LIMIT_MS (UINT64_C(1) << 53)

static void expect(const char *text, uint64_t min, uint64_t max, int error,
		   uint64_t value)
{
	uint64_t got = UNTOUCHED;
	int result = number_parse(text, min, max, &got);

	if (result != error || got != (error ? UNTOUCHED : value))
		fail_msg("'%s': %d, %llu", text, result,
			 (unsigned long long)got);
}

static void expect_ms(const char *text, int error, uint64_t ms)
{
	uint64_t got = UNTOUCHED;
	int result = number_parse_duration(text, &got);

	if (result != error || got != (error ? UNTOUCHED : ms))
		fail_msg("'%s': %d, %llu", text, result,
			 (unsigned long long)got);
}

static void test_reads_all_64_bits(void **state)
{
	(void)state;
	expect("0", 0, UINT64_MAX, 0, 0);
	expect("7", 0, UINT64_MAX, 0, 7);
	expect("1234567890", 0, UINT64_MAX, 0, 1234567890);
	expect("18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX);
}

static void test_more_than_64_bits_are_out_of_range(void **state)
{
	(void)state;
	expect("18446744073709551616", 0, UINT64_MAX, -ERANGE, 0);
	/* This wraps in the multiplication, the one above in the sum. */
	expect("18446744073709551620", 0, UINT64_MAX, -ERANGE, 0);
	expect("99999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0);
}

static void test_the_range_includes_its_ends(void **state)
{
	(void)state;
	expect("1", 1, 65535, 0, 1);
	expect("65535", 1, 65535, 0, 65535);
	expect("0", 1, 65535, -ERANGE, 0);
	expect("65536", 1, 65535, -ERANGE, 0);
}

static void test_anything_but_digits_is_no_number(void **state)
{
	static const char *const texts[] = {
		"",    " ", "1 ", " 1",	 "+1", "-1", "-0", "1.0",      "0x10",
		"1e3", "a", "1a", "1\n", "/",  ":",  "1:", "\xc2\xb2", "1,000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect(texts[i], 0, UINT64_MAX, -EINVAL, 0);
}

static void test_leading_zeros_are_refused(void **state)
{
	(void)state;
	expect("00", 0, UINT64_MAX, -EINVAL, 0);
	expect("01", 0, UINT64_MAX, -EINVAL, 0);
	expect("0443", 0, UINT64_MAX, -EINVAL, 0);
}

static void test_trailing_bytes_count_before_the_range(void **state)
{
	(void)state;
	expect("99999x", 1, 65535, -EINVAL, 0);
	expect("18446744073709551616x", 0, UINT64_MAX, -EINVAL, 0);
}

static void test_a_duration_has_one_unit(void **state)
{
	(void)state;
	expect_ms("250ms", 0, 250);
	expect_ms("10s", 0, 10000);
	expect_ms("5m", 0, 300000);
	expect_ms("12h", 0, 43200000);
	expect_ms("2d", 0, 172800000);
	expect_ms("0s", 0, 0);
}

static void test_a_bare_duration_is_seconds(void **state)
{
	(void)state;
	expect_ms("10", 0, 10000);
	expect_ms("0", 0, 0);
}

static void test_other_units_are_no_duration(void **state)
{
	static const char *const texts[] = {
		"",   "s",     "ms",  "10 s", "10S",   "10sec", "10M", "1w",
		"1y", "1m30s", "-1s", "1.5s", "10ms ", "05s",	"1us", "10ss",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_ms(texts[i], -EINVAL, 0);
}

static void test_a_duration_ends_at_2_to_the_53_ms(void **state)
{
	(void)state;
	expect_ms("9007199254740992ms", 0, LIMIT_MS);
	expect_ms("9007199254740993ms", -ERANGE, 0);
	expect_ms("9007199254740s", 0, UINT64_C(9007199254740000));
	expect_ms("9007199254741s", -ERANGE, 0);
	expect_ms("104249991d", 0, UINT64_C(9007199222400000));
	expect_ms("104249992d", -ERANGE, 0);
	/* Times 1000 this would wrap to a small number. */
	expect_ms("18446744073709552s", -ERANGE, 0);
	expect_ms("18446744073709551616", -ERANGE, 0);
	expect_ms("18446744073709551616x", -EINVAL, 0);
}

static void test_the_shortest_exact_duration_is_printed(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{0, "0s"},
		{1, "1ms"},
		{999, "999ms"},
		{1000, "1s"},
		{1500, "1500ms"},
		{59000, "59s"},
		{60000, "1m"},
		{90000, "90s"},
		{3600000, "1h"},
		{5400000, "90m"},
		{86400000, "1d"},
		{90000000, "25h"},
		{172800000, "2d"},
		{86399999, "86399999ms"},
		{LIMIT_MS, "9007199254740992ms"},
	};
	char text[NUMBER_DURATION_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		number_format_duration(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
		expect_ms(text, 0, rows[i].ms);
	}
}

static void test_any_printed_duration_fits_its_buffer(void **state)
{
	char text[NUMBER_DURATION_SIZE + 1];

	(void)state;
	text[NUMBER_DURATION_SIZE] = '#';
	number_format_duration(UINT64_MAX, text);
	assert_string_equal(text, "18446744073709551615ms");
	assert_int_equal(text[NUMBER_DURATION_SIZE], '#');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_all_64_bits),
		cmocka_unit_test(test_more_than_64_bits_are_out_of_range),
		cmocka_unit_test(test_the_range_includes_its_ends),
		cmocka_unit_test(test_anything_but_digits_is_no_number),
		cmocka_unit_test(test_leading_zeros_are_refused),
		cmocka_unit_test(test_trailing_bytes_count_before_the_range),
		cmocka_unit_test(test_a_duration_has_one_unit),
		cmocka_unit_test(test_a_bare_duration_is_seconds),
		cmocka_unit_test(test_other_units_are_no_duration),
		cmocka_unit_test(test_a_duration_ends_at_2_to_the_53_ms),
		cmocka_unit_test(test_the_shortest_exact_duration_is_printed),
		cmocka_unit_test(test_any_printed_duration_fits_its_buffer),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
