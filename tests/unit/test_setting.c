// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "../../userspace/setting.h"

static void test_every_row_is_filled_and_its_default_in_range(void **state)
{
	(void)state;
	for (int i = 0; i < ABI_SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];

		assert_non_null(row->name);
		assert_int_equal(setting_find(row->name), i);
		assert_true(row->min <= row->max);
		assert_in_range(row->fallback, row->min, row->max);
		assert_int_equal(row->help[strlen(row->help) - 1], '.');
		assert_int_equal(row->unit == SETTING_WORD, row->words != NULL);
	}
	assert_int_equal(setting_find("hello"), -ENOENT);
	assert_int_equal(setting_find(""), -ENOENT);
}

static void test_what_is_printed_is_read_as_the_same(void **state)
{
	(void)state;
	for (int i = 0; i < ABI_SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		const uint64_t values[] = {row->min, row->fallback, row->max};

		for (unsigned j = 0; j < 3; j++) {
			char text[SETTING_TEXT_SIZE];
			enum abi_setting setting = (enum abi_setting)i;
			uint64_t value = ~values[j];

			setting_format(setting, values[j], text);
			assert_int_equal(
				setting_parse(setting, text, &value, NULL), 0);
			assert_int_equal(value, values[j]);
		}
	}
}

static void test_defaults_are_those_of_the_manual(void **state)
{
	static const struct {
		enum abi_setting setting;
		const char *text;
	} rows[] = {
		{ABI_SET_HELLO_TIMEOUT_MS, "10s"},
		{ABI_SET_HELLO_MAX_BYTES, "16384"},
		{ABI_SET_HELLO_PENDING_PER_SOURCE, "256"},
		{ABI_SET_CONNECT_TIMEOUT_MS, "3s"},
		{ABI_SET_IDLE_TIMEOUT_MS, "12h"},
		{ABI_SET_HALF_CLOSE_TIMEOUT_MS, "10m"},
		{ABI_SET_DRAIN_TIMEOUT_MS, "30s"},
		{ABI_SET_KEEPALIVE_MS, "5m"},
		{ABI_SET_MAX_FLOWS, "0"},
		{ABI_SET_MAX_FLOWS_PER_SOURCE, "0"},
		{ABI_SET_FLOW_CAPACITY, "24576"},
		{ABI_SET_DATAPATH, "auto"},
		{ABI_SET_LOG, "text"},
		{ABI_SET_SOCKMAP_LIMIT_BYTES, "2097152"},
		{ABI_SET_EDGE_HOOK, "auto"},
		{ABI_SET_NEW_FLOWS_PER_SOURCE, "0"},
		{ABI_SET_NEW_FLOWS_BURST, "20"},
		{ABI_SET_SOURCE_PREFIX_IPV4, "32"},
		{ABI_SET_SOURCE_PREFIX_IPV6, "64"},
		{ABI_SET_HTTP_REQUEST_TIMEOUT_MS, "10s"},
		{ABI_SET_HTTP_IDLE_TIMEOUT_MS, "5m"},
		{ABI_SET_HTTP_HEADER_MAX_BYTES, "32768"},
		{ABI_SET_SOCKMAP_MEMORY_BYTES, "0"},
	};
	char text[SETTING_TEXT_SIZE];

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), ABI_SETTING_COUNT);
	for (unsigned i = 0; i < ABI_SETTING_COUNT; i++) {
		enum abi_setting setting = rows[i].setting;

		assert_string_equal(
			setting_format(setting, setting_table[setting].fallback,
				       text),
			rows[i].text);
	}
}

static void test_a_bad_value_is_quoted_with_the_range(void **state)
{
	static const struct {
		enum abi_setting setting;
		const char *text;
		int status;
		const char *sentence;
	} rows[] = {
		{ABI_SET_HELLO_TIMEOUT_MS, "5x", -EINVAL,
		 "\"5x\" is no duration: hello-timeout is from 100ms to 1h, in "
		 "ms, s, m, h or d"},
		{ABI_SET_HELLO_TIMEOUT_MS, "2h", -ERANGE,
		 "\"2h\" is out of range: hello-timeout is from 100ms to 1h"},
		{ABI_SET_HELLO_MAX_BYTES, "65537", -ERANGE,
		 "\"65537\" is out of range: hello-max is from 512 to 65536"},
		{ABI_SET_HELLO_MAX_BYTES, "0x400", -EINVAL,
		 "\"0x400\" is no number: hello-max is from 512 to 65536"},
		{ABI_SET_FLOW_CAPACITY, "63", -ERANGE,
		 "\"63\" is out of range: flow-capacity is from 64 to 1048576"},
		{ABI_SET_DATAPATH, "fast", -EINVAL,
		 "\"fast\" is no value of datapath: it is auto, splice, "
		 "sockmap or relay"},
		{ABI_SET_LOG, "", -EINVAL,
		 "\"\" is no value of log: it is off, text or json"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error error = {0};
		uint64_t value = 77;

		assert_int_equal(setting_parse(rows[i].setting, rows[i].text,
					       &value, &error),
				 rows[i].status);
		assert_string_equal(error.text, rows[i].sentence);
		assert_int_equal(error.status, EXIT_USAGE);
		assert_int_equal(value, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_row_is_filled_and_its_default_in_range),
		cmocka_unit_test(test_what_is_printed_is_read_as_the_same),
		cmocka_unit_test(test_defaults_are_those_of_the_manual),
		cmocka_unit_test(test_a_bad_value_is_quoted_with_the_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
