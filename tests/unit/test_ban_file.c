// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The rows of a bans file, by clocks that are given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "../../userspace/addr.h"
#include "../../userspace/ban_file.h"
#include "../../userspace/cleanup.h"

#define SECOND_NS 1000000000ULL
/* When the files here were written. */
#define WRITTEN_S 1763683200ULL

static int parse(const char *rows, uint64_t wall_ns, uint64_t now_ns,
		 struct ban_list *list, unsigned *row)
{
	AUTO_FREE char *text = strdup(rows);

	assert_non_null(text);
	return ban_file_parse(text, wall_ns, now_ns, list, row);
}

static void test_every_row(void **state)
{
	AUTO_BAN_LIST list = {0};
	char text[ADDR_TEXT_SIZE];
	unsigned row;

	(void)state;
	assert_int_equal(parse("written 1763683200\n"
			       "allow 192.0.2.0/24\n"
			       "set 3 night\n"
			       "ban 203.0.113.7 until 1763683260 all-ports "
			       "reason one  two\n"
			       "ban 2001:db8::/32\n"
			       "# end of 5 rows\n",
			       WRITTEN_S * SECOND_NS, 5, &list, &row),
			 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(addr_format_prefix(&list.bans[0].prefix, text),
			    "203.0.113.7/32");
	assert_int_equal(list.bans[0].expires_ns, 5 + 60 * SECOND_NS);
	assert_true(list.bans[0].all_ports);
	assert_string_equal(list.bans[0].reason, "one  two");
	assert_int_equal(list.bans[1].expires_ns, 0);
	assert_false(list.bans[1].all_ports);
	assert_string_equal(list.bans[1].reason, "");
	assert_int_equal(list.allowed_count, 1);
	assert_int_equal(list.set_count, 1);
	assert_string_equal(list.sets[0].name, "night");
	assert_int_equal(list.sets[0].bit, 3);
}

/* What is left of an hour's ban, @later_s after it was written, in a boot that
 * is 7 s old. */
static uint64_t left_ns(int64_t later_s)
{
	AUTO_BAN_LIST list = {0};
	unsigned row;

	assert_int_equal(
		parse("written 1763683200\nban 192.0.2.1 until 1763686800\n",
		      (WRITTEN_S + (uint64_t)later_s) * SECOND_NS,
		      7 * SECOND_NS, &list, &row),
		0);
	assert_int_equal(list.count, 1);
	return list.bans[0].expires_ns;
}

static void test_clocks(void **state)
{
	(void)state;
	assert_int_equal(left_ns(0), 3607 * SECOND_NS);
	assert_int_equal(left_ns(600), 3007 * SECOND_NS);
	assert_int_equal(left_ns(3599), 8 * SECOND_NS);
	/* Over, and not for ever, which is 0. */
	assert_int_equal(left_ns(3600), 1);
	assert_int_equal(left_ns(1000000000), 1);
	/* A clock that stands before the file was written is not right: a ban
	 * lasts as long as was left then, not decades longer. */
	assert_int_equal(left_ns(-1), 3607 * SECOND_NS);
	assert_int_equal(left_ns(-(int64_t)WRITTEN_S), 3607 * SECOND_NS);
}

static void test_no_rows(void **state)
{
	static const char *const wrong[] = {
		"ban",
		"ban ",
		"ban 203.0.113.7/24",
		"ban 203.0.113.7 until",
		"ban 203.0.113.7 until 0",
		"ban 203.0.113.7 until 17179869181",
		"ban 203.0.113.7 until -1",
		"ban 203.0.113.7 reason",
		"ban 203.0.113.7 for 1h",
		"allow",
		"allow 203.0.113.7/24",
		"written",
		"written x",
		"set 1",
		"set 0 night",
		"set 32 night",
		"set 1 ../night",
		"set 2 there",
		"set 1 else",
		"route add a.test 192.0.2.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct ban_list list = {0};
		char text[128];
		unsigned row = 0;

		snprintf(text, sizeof(text), "set 1 there\nban 192.0.2.1\n%s\n",
			 wrong[i]);
		if (parse(text, WRITTEN_S * SECOND_NS, 5, &list, &row) !=
		    -EINVAL)
			fail_msg("taken: %s", wrong[i]);
		assert_int_equal(row, 3);
		assert_int_equal(list.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
