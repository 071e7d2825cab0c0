// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What names and patterns are read as, a test a behaviour. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../userspace/cleanup.h"
#include "../../userspace/name.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LABEL_63                                                               \
	"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define LABEL_61 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"
/* 63 + 1 + 63 + 1 + 63 + 1 + 61 */
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_61

_Static_assert(sizeof(LABEL_63) - 1 == 63, "LABEL_63");
_Static_assert(sizeof(NAME_253) - 1 == 253, "NAME_253");

/* A block of exactly these bytes, so that ASan sees any read behind it. */
static enum name_status from_wire(const void *data, size_t length,
				  struct name *ret_name)
{
	AUTO_FREE uint8_t *raw = malloc(length ? length : 1);

	assert_non_null(raw);
	memcpy(raw, data, length);
	return name_from_wire((struct span){raw, length}, ret_name);
}

static void expect_name(const char *raw, const char *text)
{
	struct name name;

	memset(&name, 0x5a, sizeof(name));
	if (from_wire(raw, strlen(raw), &name) != NAME_OK)
		fail_msg("'%s' is no name", raw);
	assert_string_equal(name.text, text);
	assert_int_equal(name.length, strlen(text));
}

static void expect_status(const void *raw, size_t length,
			  enum name_status status)
{
	struct name name, before;
	enum name_status got;

	memset(&before, 0x5a, sizeof(before));
	name = before;
	got = from_wire(raw, length, &name);
	if (got != status)
		fail_msg("'%.*s': %d, not %d", (int)length, (const char *)raw,
			 (int)got, (int)status);
	assert_memory_equal(&name, &before, sizeof(name));
}

static void expect_pattern(const char *text, enum abi_route_kind kind,
			   const char *name, const char *printed)
{
	char got[PATTERN_TEXT_SIZE];
	struct pattern pattern;
	const char *reason;

	memset(&pattern, 0x5a, sizeof(pattern));
	if (pattern_parse(text, &pattern, &reason))
		fail_msg("'%s' is no pattern: %s", text, reason);
	assert_int_equal(pattern.kind, kind);
	assert_string_equal(pattern.name.text, name);
	assert_int_equal(pattern.name.length, strlen(name));
	assert_string_equal(pattern_format(&pattern, got), printed);
}

static void expect_reason(const char *text, const char *words)
{
	struct pattern pattern, before;
	const char *reason = NULL;

	memset(&before, 0x5a, sizeof(before));
	pattern = before;
	if (pattern_parse(text, &pattern, &reason) != -EINVAL)
		fail_msg("'%s' is a pattern", text);
	assert_memory_equal(&pattern, &before, sizeof(pattern));
	if (!reason || !strstr(reason, words))
		fail_msg("'%s': '%s', not '%s'", text, reason, words);
}

static void test_a_wire_name_becomes_lower_case(void **state)
{
	(void)state;
	expect_name("PBX.Example.COM", "pbx.example.com");
	expect_name("ABCDEFGHIJKLMNOPQRSTUVWXYZ.0123456789-_",
		    "abcdefghijklmnopqrstuvwxyz.0123456789-_");
	expect_name("XN--BCHER-KVA.example", "xn--bcher-kva.example");
}

static void test_one_trailing_dot_is_stripped(void **state)
{
	(void)state;
	expect_name("pbx.example.com.", "pbx.example.com");
	expect_name("localhost.", "localhost");
	expect_status("pbx.example.com..", 17, NAME_MALFORMED);
}

static void test_names_in_use_are_names(void **state)
{
	(void)state;
	expect_name("a", "a");
	expect_name("_acme-challenge.example.com",
		    "_acme-challenge.example.com");
	expect_name("r3---sn-h0jeln7e.example", "r3---sn-h0jeln7e.example");
	expect_name("-a-.example", "-a-.example");
	expect_name("1.example", "1.example");
	expect_name("123", "123");
	expect_name("1.2.3", "1.2.3");
	expect_name("1.2.3.4.5", "1.2.3.4.5");
	expect_name("1.2.3.256", "1.2.3.256");
}

static void test_the_longest_name_has_253_characters(void **state)
{
	(void)state;
	expect_name(NAME_253, NAME_253);
	expect_name(NAME_253 ".", NAME_253);
	expect_status(NAME_253 "a", 254, NAME_MALFORMED);
	expect_status(NAME_253 "a.", 255, NAME_MALFORMED);
}

static void test_the_longest_label_has_63_characters(void **state)
{
	(void)state;
	expect_name(LABEL_63, LABEL_63);
	expect_name("a." LABEL_63 ".b", "a." LABEL_63 ".b");
	expect_status(LABEL_63 "a", 64, NAME_MALFORMED);
	expect_status("a." LABEL_63 "a.b", 68, NAME_MALFORMED);
	expect_status("a." LABEL_63 "a", 66, NAME_MALFORMED);
}

static void test_an_empty_name_or_label_is_malformed(void **state)
{
	static const char *const texts[] = {"",	    ".",     "..",  ".a",
					    "a..b", "a...b", "...a"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_status(texts[i], strlen(texts[i]), NAME_MALFORMED);
	assert_int_equal(name_from_wire((struct span){NULL, 0}, NULL),
			 NAME_MALFORMED);
}

static void test_every_odd_byte_is_malformed(void **state)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	unsigned malformed = 0;

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t raw[3] = {'a', (uint8_t)byte, 'b'};

		if (byte && strchr(allowed, (int)byte))
			continue;
		expect_status(raw, sizeof(raw), NAME_MALFORMED);
		expect_status(raw, 2, NAME_MALFORMED);
		expect_status(raw + 1, 2, NAME_MALFORMED);
		malformed++;
	}
	assert_int_equal(malformed, 256 - 65);
}

static void test_a_nul_hides_nothing(void **state)
{
	(void)state;
	expect_status("a.example\0.b.example", 20, NAME_MALFORMED);
	expect_status("192.0.2.1\0", 10, NAME_MALFORMED);
	expect_status("::1\0", 4, NAME_MALFORMED);
	expect_status("\0", 1, NAME_MALFORMED);
}

static void test_an_ip_literal_is_told_apart(void **state)
{
	static const char *const texts[] = {
		"192.0.2.1",
		"0.0.0.0",
		"255.255.255.255",
		"192.0.2.1.",
		"::",
		"::1",
		"[::1]",
		"2001:DB8::1",
		"[2001:db8::1]",
		"::ffff:192.0.2.1",
		"2001:db8:1111:2222:3333:4444:5555:6666",
		"[1111:2222:3333:4444:5555:6666:255.255.255.255]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_status(texts[i], strlen(texts[i]), NAME_IP_LITERAL);
}

static void test_what_only_resembles_an_ip_literal_is_malformed(void **state)
{
	static const char *const texts[] = {
		"[192.0.2.1]",
		"192.0.2.1:443",
		"[::1]:443",
		"[::1",
		"::1]",
		"[]",
		"[",
		":",
		"fe80::1%eth0",
		":::",
		"12345::",
		"[[::1]]",
		"::1.2.3.4.5.6",
		"::1.",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_status(texts[i], strlen(texts[i]), NAME_MALFORMED);
}

static void test_labels_are_counted(void **state)
{
	static const struct {
		const char *text;
		unsigned labels;
	} rows[] = {
		{"a", 1}, {"a.b", 2}, {"pbx.example.com.", 3}, {NAME_253, 4}};
	char many[ABI_NAME_MAX + 1];
	struct name name;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(
			from_wire(rows[i].text, strlen(rows[i].text), &name),
			NAME_OK);
		assert_int_equal(name_labels(&name), rows[i].labels);
	}
	for (size_t i = 0; i < ABI_NAME_MAX; i++)
		many[i] = i % 2 ? '.' : 'a';
	assert_int_equal(from_wire(many, ABI_NAME_MAX, &name), NAME_OK);
	assert_int_equal(name_labels(&name), 127);
}

static void test_a_pattern_is_exact_or_covers_what_is_below(void **state)
{
	(void)state;
	expect_pattern("pbx.example.com", ABI_ROUTE_EXACT, "pbx.example.com",
		       "pbx.example.com");
	expect_pattern("*.example.com", ABI_ROUTE_WILDCARD, "example.com",
		       "*.example.com");
	expect_pattern(".example.com", ABI_ROUTE_WILDCARD, "example.com",
		       ".example.com");
	expect_pattern("*.com", ABI_ROUTE_WILDCARD, "com", "*.com");
}

static void test_only_a_leading_dot_covers_the_domain_itself(void **state)
{
	struct pattern pattern;
	const char *reason;

	(void)state;
	assert_int_equal(pattern_parse(".example.com", &pattern, &reason), 0);
	assert_true(pattern.apex);
	assert_int_equal(pattern_parse("*.example.com", &pattern, &reason), 0);
	assert_false(pattern.apex);
	assert_int_equal(pattern_parse("example.com", &pattern, &reason), 0);
	assert_false(pattern.apex);
}

static void test_the_three_words_are_kinds_of_their_own(void **state)
{
	(void)state;
	expect_pattern("none", ABI_ROUTE_NONE, "", "none");
	expect_pattern("default", ABI_ROUTE_DEFAULT, "", "default");
	expect_pattern("other", ABI_ROUTE_OTHER, "", "other");
	expect_pattern("Default", ABI_ROUTE_DEFAULT, "", "default");
}

static void test_a_host_called_like_a_word_keeps_its_dot(void **state)
{
	(void)state;
	expect_pattern("none.", ABI_ROUTE_EXACT, "none", "none.");
	expect_pattern("default.", ABI_ROUTE_EXACT, "default", "default.");
	expect_pattern("OTHER.", ABI_ROUTE_EXACT, "other", "other.");
	expect_pattern("none.example", ABI_ROUTE_EXACT, "none.example",
		       "none.example");
	expect_pattern("*.none", ABI_ROUTE_WILDCARD, "none", "*.none");
	expect_pattern(".none", ABI_ROUTE_WILDCARD, "none", ".none");
}

static void test_a_pattern_is_put_into_normal_form(void **state)
{
	(void)state;
	expect_pattern("PBX.Example.COM.", ABI_ROUTE_EXACT, "pbx.example.com",
		       "pbx.example.com");
	expect_pattern("*.Example.COM.", ABI_ROUTE_WILDCARD, "example.com",
		       "*.example.com");
	expect_pattern("_acme.r3---sn.example", ABI_ROUTE_EXACT,
		       "_acme.r3---sn.example", "_acme.r3---sn.example");
}

static void test_unicode_becomes_ascii(void **state)
{
	(void)state;
	expect_pattern("bücher.example", ABI_ROUTE_EXACT,
		       "xn--bcher-kva.example", "xn--bcher-kva.example");
	expect_pattern("BÜCHER.example", ABI_ROUTE_EXACT,
		       "xn--bcher-kva.example", "xn--bcher-kva.example");
	expect_pattern("*.bücher.example", ABI_ROUTE_WILDCARD,
		       "xn--bcher-kva.example", "*.xn--bcher-kva.example");
	expect_pattern(".bücher.example", ABI_ROUTE_WILDCARD,
		       "xn--bcher-kva.example", ".xn--bcher-kva.example");
	expect_pattern("_acme.bücher.example", ABI_ROUTE_EXACT,
		       "_acme.xn--bcher-kva.example",
		       "_acme.xn--bcher-kva.example");
	/* u and a combining diaeresis: the same name. */
	expect_pattern("bu\xcc\x88"
		       "cher.example",
		       ABI_ROUTE_EXACT, "xn--bcher-kva.example",
		       "xn--bcher-kva.example");
	expect_pattern("例え.テスト", ABI_ROUTE_EXACT, "xn--r8jz45g.xn--zckzah",
		       "xn--r8jz45g.xn--zckzah");
	/* The ideographic full stop is a dot. */
	expect_pattern("例え。テスト", ABI_ROUTE_EXACT,
		       "xn--r8jz45g.xn--zckzah", "xn--r8jz45g.xn--zckzah");
}

/* IDNA2008 without transitional processing, as browsers do it. */
static void test_sharp_s_stays_a_letter_of_its_own(void **state)
{
	(void)state;
	expect_pattern("straße.example", ABI_ROUTE_EXACT,
		       "xn--strae-oqa.example", "xn--strae-oqa.example");
}

static void test_full_width_characters_smuggle_nothing(void **state)
{
	(void)state;
	expect_pattern("ａ.example", ABI_ROUTE_EXACT, "a.example", "a.example");
	expect_reason("１９２.0.2.1", "IP address");
	expect_reason("a．＊.example", "'*'");
	expect_reason("＊.example", "'*'");
	expect_reason("a／b.example", "letters");
	expect_reason("\xc2\xad.example", "label");
}

static void test_an_ip_address_gets_its_reason(void **state)
{
	static const char *const texts[] = {
		"192.0.2.1",   "192.0.2.1.", "192.0.2.1:443",	"192.0.2.1:0",
		"::1",	       "[::1]",	     "[::1]:443",	"2001:db8::1",
		"*.192.0.2.1", ".192.0.2.1", "[2001:db8::1]:x",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_reason(texts[i], "it is an IP address");
}

static void test_what_is_not_a_host_name_gets_its_reason(void **state)
{
	(void)state;
	expect_reason("", "it is empty");
	expect_reason("pbx.example.com:443", "it has a port");
	expect_reason("*:443", "it has a port");
	expect_reason("https://pbx.example.com", "it is a URL");
	expect_reason("https://192.0.2.1/x", "it is a URL");
	expect_reason("pbx.example.com/x", "it has a path");
	expect_reason("10.0.0.0/8", "it has a path");
	expect_reason("postmaster@example.com", "it is a mail address");
	expect_reason("a.example,b.example", "it is a list");
	expect_reason("a b.example", "letters, digits");
	expect_reason("a\tb", "letters, digits");
	expect_reason("a.example\n", "letters, digits");
	expect_reason("~^(.+)\\.example$", "letters, digits");
}

static void test_a_star_elsewhere_gets_its_reason(void **state)
{
	(void)state;
	expect_reason("*", "use default");
	expect_reason("a.*.example", "first label");
	expect_reason("*.*.example", "first label");
	expect_reason("*a.example", "first label");
	expect_reason("a*.example", "first label");
	expect_reason("**.example", "first label");
	expect_reason(".*.example", "first label");
	expect_reason("example.*", "first label");
}

static void test_lengths_get_their_reasons(void **state)
{
	char huge[2000];

	(void)state;
	expect_reason(".", "empty");
	expect_reason("..", "empty");
	expect_reason("*.", "empty");
	expect_reason("*..a", "empty");
	expect_reason("a..b", "empty");
	expect_reason("a..", "empty");
	expect_reason("..a", "empty");
	expect_reason(LABEL_63 "a.example", "63 characters");
	expect_reason("a." LABEL_63 "a", "63 characters");
	expect_reason("*." LABEL_63 "a", "63 characters");
	expect_reason("ü" LABEL_63 ".example", "63 characters");
	expect_reason(NAME_253 "a", "253 characters");
	expect_reason("ü." NAME_253, "253 characters");
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	expect_reason(huge, "253 characters");
	memcpy(huge, "\xc3\xbc", 2);
	expect_reason(huge, "253 characters");
}

static void test_the_longest_patterns_fit_their_text(void **state)
{
	(void)state;
	expect_pattern(NAME_253, ABI_ROUTE_EXACT, NAME_253, NAME_253);
	expect_pattern("*." NAME_253, ABI_ROUTE_WILDCARD, NAME_253,
		       "*." NAME_253);
	expect_pattern("." NAME_253 ".", ABI_ROUTE_WILDCARD, NAME_253,
		       "." NAME_253);
}

static void test_what_unicode_forbids_gets_a_reason(void **state)
{
	(void)state;
	expect_reason("a\xff.example", "it is not UTF-8");
	expect_reason("\xc3", "it is not UTF-8");
	/* Unassigned, and a right-to-left label that ends left-to-right. */
	expect_reason("a\xef\xbf\xbf.example", "");
	expect_reason("\xd7\x90"
		      "a.example",
		      "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wire_name_becomes_lower_case),
		cmocka_unit_test(test_one_trailing_dot_is_stripped),
		cmocka_unit_test(test_names_in_use_are_names),
		cmocka_unit_test(test_the_longest_name_has_253_characters),
		cmocka_unit_test(test_the_longest_label_has_63_characters),
		cmocka_unit_test(test_an_empty_name_or_label_is_malformed),
		cmocka_unit_test(test_every_odd_byte_is_malformed),
		cmocka_unit_test(test_a_nul_hides_nothing),
		cmocka_unit_test(test_an_ip_literal_is_told_apart),
		cmocka_unit_test(
			test_what_only_resembles_an_ip_literal_is_malformed),
		cmocka_unit_test(test_labels_are_counted),
		cmocka_unit_test(
			test_a_pattern_is_exact_or_covers_what_is_below),
		cmocka_unit_test(
			test_only_a_leading_dot_covers_the_domain_itself),
		cmocka_unit_test(test_the_three_words_are_kinds_of_their_own),
		cmocka_unit_test(test_a_host_called_like_a_word_keeps_its_dot),
		cmocka_unit_test(test_a_pattern_is_put_into_normal_form),
		cmocka_unit_test(test_unicode_becomes_ascii),
		cmocka_unit_test(test_sharp_s_stays_a_letter_of_its_own),
		cmocka_unit_test(test_full_width_characters_smuggle_nothing),
		cmocka_unit_test(test_an_ip_address_gets_its_reason),
		cmocka_unit_test(test_what_is_not_a_host_name_gets_its_reason),
		cmocka_unit_test(test_a_star_elsewhere_gets_its_reason),
		cmocka_unit_test(test_lengths_get_their_reasons),
		cmocka_unit_test(test_the_longest_patterns_fit_their_text),
		cmocka_unit_test(test_what_unicode_forbids_gets_a_reason),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
