// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the address parser does, a test a behaviour. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../userspace/addr.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* @error, or the text that the result is printed as. */
struct row {
	const char *text;
	int error;
	const char *printed;
};

static struct abi_endpoint endpoint(const char *text)
{
	struct abi_endpoint result;

	if (addr_parse_endpoint(text, 443, &result))
		fail_msg("'%s' is no endpoint", text);
	return result;
}

static struct abi_prefix prefix(const char *text)
{
	struct abi_prefix result;

	if (addr_parse_prefix(text, &result))
		fail_msg("'%s' is no prefix", text);
	return result;
}

static void expect_endpoint(const struct row *row)
{
	struct abi_endpoint got, before;
	char text[ADDR_TEXT_SIZE] = "";
	int error;

	memset(&before, 0x5a, sizeof(before));
	got = before;
	error = addr_parse_endpoint(row->text, 443, &got);
	if (error != row->error)
		fail_msg("'%s': %d, not %d", row->text, error, row->error);
	if (error)
		assert_memory_equal(&got, &before, sizeof(got));
	else
		assert_string_equal(addr_format_endpoint(&got, text),
				    row->printed);
}

static void expect_listener(const struct row *row)
{
	struct abi_endpoint got, before;
	char text[ADDR_TEXT_SIZE] = "";
	int error;

	memset(&before, 0x5a, sizeof(before));
	got = before;
	error = addr_parse_listener(row->text, &got);
	if (error != row->error)
		fail_msg("'%s': %d, not %d", row->text, error, row->error);
	if (error)
		assert_memory_equal(&got, &before, sizeof(got));
	else
		assert_string_equal(addr_format_listener(&got, text),
				    row->printed);
}

static void expect_prefix(const struct row *row)
{
	struct abi_prefix got, before;
	char text[ADDR_TEXT_SIZE] = "";
	int error;

	memset(&before, 0x5a, sizeof(before));
	got = before;
	error = addr_parse_prefix(row->text, &got);
	if (error != row->error)
		fail_msg("'%s': %d, not %d", row->text, error, row->error);
	if (error)
		assert_memory_equal(&got, &before, sizeof(got));
	else
		assert_string_equal(addr_format_prefix(&got, text),
				    row->printed);
}

static void test_an_endpoint_has_its_port_or_the_default(void **state)
{
	static const struct row rows[] = {
		{"192.0.2.1", 0, "192.0.2.1:443"},
		{"192.0.2.1:8443", 0, "192.0.2.1:8443"},
		{"192.0.2.1:1", 0, "192.0.2.1:1"},
		{"255.255.255.255:65535", 0, "255.255.255.255:65535"},
		{"2001:db8::1", 0, "[2001:db8::1]:443"},
		{"[2001:db8::1]", 0, "[2001:db8::1]:443"},
		{"[2001:DB8::1]:8443", 0, "[2001:db8::1]:8443"},
		{"::", 0, "[::]:443"},
		{"2001:db8::1:8443", 0, "[2001:db8::1:8443]:443"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_endpoint(&rows[i]);
}

static void test_a_mapped_address_is_ipv4(void **state)
{
	static const struct row rows[] = {
		{"::ffff:192.0.2.1", 0, "192.0.2.1:443"},
		{"[::ffff:c000:201]:80", 0, "192.0.2.1:80"},
		/* IPv4-compatible and NAT64 addresses are no such ones. */
		{"::192.0.2.1", 0, "[::192.0.2.1]:443"},
		{"64:ff9b::192.0.2.1", 0, "[64:ff9b::c000:201]:443"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_endpoint(&rows[i]);
}

static void test_a_name_is_no_endpoint(void **state)
{
	static const char *const texts[] = {
		"",
		"pbx.example.com",
		"pbx.example.com:443",
		"pbx.example.com:99999",
		"localhost",
		"443",
		":443",
		"*:443",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"0x7f.0.0.1",
		"2130706433",
		"1.2.3.4x",
		"2001:db8::1::2",
		"12345::",
		"[]",
		"[]:443",
		"[",
		"[::1",
		"::1]",
		"[::1]x",
		"[::1]443",
		"[::1]]:443",
		"[[::1]]:443",
		"[192.0.2.1]",
		"[192.0.2.1]:443",
		"fe80::1%eth0",
		"[fe80::1%2]:443",
		"1.2.3.4:1:2",
		"1:2.3.4.5]:6",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_endpoint(&(struct row){texts[i], -EINVAL, NULL});
}

static void test_an_address_with_a_bad_port_is_out_of_range(void **state)
{
	static const char *const texts[] = {
		"192.0.2.1:0",	     "192.0.2.1:65536", "192.0.2.1:",
		"192.0.2.1:0443",    "192.0.2.1:443 ",	"192.0.2.1:+443",
		"192.0.2.1:https",   "[2001:db8::1]:",	"[2001:db8::1]:0",
		"[2001:db8::1]:1:2", "192.0.2.1:-1",	"[::1]:99999999999",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		expect_endpoint(&(struct row){texts[i], -ERANGE, NULL});
}

static void test_a_listener_is_a_port_and_perhaps_an_address(void **state)
{
	static const struct row rows[] = {
		{"443", 0, "443"},
		{"*:443", 0, "443"},
		{"1", 0, "1"},
		{"65535", 0, "65535"},
		{"192.0.2.1:443", 0, "192.0.2.1:443"},
		{"0.0.0.0:443", 0, "0.0.0.0:443"},
		{"[::]:443", 0, "[::]:443"},
		{"[2001:db8::1]:8443", 0, "[2001:db8::1]:8443"},
		{"[::ffff:192.0.2.1]:443", 0, "192.0.2.1:443"},
		{"0", -ERANGE, NULL},
		{"65536", -ERANGE, NULL},
		{"0443", -ERANGE, NULL},
		{"*:0", -ERANGE, NULL},
		{"*:", -ERANGE, NULL},
		{"*:x", -ERANGE, NULL},
		{"192.0.2.1:0", -ERANGE, NULL},
		{"192.0.2.1", -ENODATA, NULL},
		{"2001:db8::1", -ENODATA, NULL},
		{"[2001:db8::1]", -ENODATA, NULL},
		{"", -EINVAL, NULL},
		{"*", -EINVAL, NULL},
		{":443", -EINVAL, NULL},
		{"443x", -EINVAL, NULL},
		{"https", -EINVAL, NULL},
		{"-1", -EINVAL, NULL},
		{"[*]:443", -EINVAL, NULL},
		{"pbx.example.com:443", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_listener(&rows[i]);
}

static void test_a_prefix_has_no_bits_behind_its_length(void **state)
{
	static const struct row rows[] = {
		{"192.0.2.1", 0, "192.0.2.1/32"},
		{"192.0.2.1/32", 0, "192.0.2.1/32"},
		{"10.0.0.0/8", 0, "10.0.0.0/8"},
		{"192.0.2.128/25", 0, "192.0.2.128/25"},
		{"0.0.0.0/0", 0, "0.0.0.0/0"},
		{"2001:db8::/32", 0, "2001:db8::/32"},
		{"2001:db8::1", 0, "2001:db8::1/128"},
		{"::/0", 0, "::/0"},
		{"fe80::/10", 0, "fe80::/10"},
		{"10.0.0.1/8", -EDOM, NULL},
		{"192.0.2.128/24", -EDOM, NULL},
		{"192.0.2.1/31", -EDOM, NULL},
		{"128.0.0.0/0", -EDOM, NULL},
		{"2001:db8::1/127", -EDOM, NULL},
		{"fe80::/8", -EDOM, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_prefix(&rows[i]);
}

static void test_a_mapped_prefix_is_ipv4(void **state)
{
	static const struct row rows[] = {
		{"::ffff:192.0.2.1", 0, "192.0.2.1/32"},
		{"::ffff:10.0.0.0/104", 0, "10.0.0.0/8"},
		{"::ffff:0:0/96", 0, "0.0.0.0/0"},
		{"::ffff:0:0/95", -EDOM, NULL},
		{"::ffff:10.0.0.0/8", -EDOM, NULL},
		{"::ffff:10.0.0.1/104", -EDOM, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_prefix(&rows[i]);
}

static void test_other_texts_are_no_prefix(void **state)
{
	static const struct row rows[] = {
		{"", -EINVAL, NULL},
		{"/8", -EINVAL, NULL},
		{"10/8", -EINVAL, NULL},
		{"10.0.0.0:443", -EINVAL, NULL},
		{"[2001:db8::]/32", -EINVAL, NULL},
		{"example.com/8", -EINVAL, NULL},
		{"10.0.0.0/", -ERANGE, NULL},
		{"10.0.0.0/33", -ERANGE, NULL},
		{"10.0.0.0/08", -ERANGE, NULL},
		{"10.0.0.0/8/8", -ERANGE, NULL},
		{"10.0.0.0/255.0.0.0", -ERANGE, NULL},
		{"10.0.0.0/-8", -ERANGE, NULL},
		{"2001:db8::/129", -ERANGE, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_prefix(&rows[i]);
}

static void test_a_prefix_holds_its_addresses_only(void **state)
{
	static const struct {
		const char *prefix;
		const char *endpoint;
		bool inside;
	} rows[] = {
		{"10.0.0.0/8", "10.0.0.0", true},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.1", "192.0.2.1:80", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1", "2001:db8::2", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct abi_endpoint address = endpoint(rows[i].endpoint);
		struct abi_prefix range = prefix(rows[i].prefix);

		if (addr_in_prefix(&address, &range) != rows[i].inside)
			fail_msg("%s in %s", rows[i].endpoint, rows[i].prefix);
	}
}

static void test_a_prefix_of_no_family_or_too_long_holds_nothing(void **state)
{
	struct abi_endpoint address = endpoint("192.0.2.1"), none = {0};
	struct abi_prefix range = {0};

	(void)state;
	assert_false(addr_in_prefix(&address, &range));
	assert_false(addr_in_prefix(&none, &range));
	range = prefix("192.0.2.1");
	range.length = 33;
	assert_false(addr_in_prefix(&address, &range));
	range.length = 255;
	assert_false(addr_in_prefix(&address, &range));
}

static void test_equal_looks_at_the_address_only(void **state)
{
	struct abi_endpoint a = endpoint("192.0.2.1:80");
	struct abi_endpoint b = endpoint("192.0.2.1:443");
	struct abi_endpoint c = endpoint("192.0.2.2:80");
	struct abi_endpoint d = endpoint("::192.0.2.1");

	(void)state;
	assert_true(addr_equal(&a, &b));
	assert_false(addr_equal(&a, &c));
	assert_false(addr_equal(&a, &d));
	/* The same first four bytes in both families. */
	c = endpoint("32.1.13.184");
	d = endpoint("2001:db8::");
	assert_false(addr_equal(&c, &d));
	assert_false(addr_equal(&d, &c));
	d = endpoint("2001:db8::1");
	c = endpoint("2001:db8::2");
	assert_true(addr_equal(&d, &d));
	assert_false(addr_equal(&c, &d));
}

static void test_any_is_each_form_of_every_address(void **state)
{
	static const struct {
		const char *text;
		bool any;
	} rows[] = {
		{"443", true},
		{"0.0.0.0:443", true},
		{"[::]:443", true},
		{"0.0.0.1:443", false},
		{"[::1]:443", false},
		{"[1::]:443", false},
		{"127.0.0.1:443", false},
	};
	struct abi_endpoint address;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_parse_listener(rows[i].text, &address),
				 0);
		assert_int_equal(addr_is_any(&address), rows[i].any);
	}
}

static void test_printed_forms(void **state)
{
	struct abi_endpoint none = {.port_be = htons(443)};
	struct abi_endpoint ipv4 = endpoint("192.0.2.1:80");
	struct abi_endpoint ipv6 = endpoint("[2001:db8:0:0::1]:80");
	char text[ADDR_TEXT_SIZE];

	(void)state;
	assert_string_equal(addr_format_endpoint(&none, text), "*:443");
	assert_string_equal(addr_format_listener(&none, text), "443");
	assert_string_equal(addr_format_ip(&none, text), "*");
	assert_string_equal(addr_format_ip(&ipv4, text), "192.0.2.1");
	assert_string_equal(addr_format_ip(&ipv6, text), "2001:db8::1");
	assert_string_equal(addr_format_listener(&ipv6, text),
			    "[2001:db8::1]:80");
}

static void test_the_longest_text_fits(void **state)
{
	static const char longest[] =
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
	struct abi_endpoint address = endpoint(longest);
	char text[ADDR_TEXT_SIZE + 1];

	(void)state;
	text[ADDR_TEXT_SIZE] = '#';
	assert_string_equal(addr_format_endpoint(&address, text), longest);
	assert_int_equal(text[ADDR_TEXT_SIZE], '#');
}

static void test_bytes_lie_as_the_abi_says(void **state)
{
	static const struct abi_endpoint expected4 = {
		.addr = {192, 0, 2, 1},
		.port_be = __builtin_bswap16(443),
		.family = AF_INET};
	static const struct abi_endpoint expected6 = {
		.addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
		.port_be = __builtin_bswap16(443),
		.family = AF_INET6};
	struct abi_endpoint ipv4 = endpoint("192.0.2.1:443");
	struct abi_endpoint ipv6 = endpoint("[2001:db8::1]:443");

	(void)state;
	assert_memory_equal(&ipv4, &expected4, sizeof(ipv4));
	assert_memory_equal(&ipv6, &expected6, sizeof(ipv6));
	/* No byte of an earlier IPv6 address is left behind IPv4. */
	ipv6 = endpoint("[::ffff:192.0.2.1]:443");
	assert_memory_equal(&ipv6, &expected4, sizeof(ipv6));
}

static void test_through_the_kernels_form_and_back(void **state)
{
	static const char *const texts[] = {"192.0.2.1:443",
					    "[2001:db8::1]:8443"};
	struct sockaddr_storage kernel;
	struct abi_endpoint there, back;
	socklen_t size;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		memset(&kernel, 0x5a, sizeof(kernel));
		there = endpoint(texts[i]);
		size = addr_to_sockaddr(&there, &kernel);
		assert_int_equal(size, i ? sizeof(struct sockaddr_in6)
					 : sizeof(struct sockaddr_in));
		assert_int_equal(kernel.ss_family, there.family);
		memset(&back, 0x5a, sizeof(back));
		addr_from_sockaddr(&kernel, &back);
		assert_memory_equal(&there, &back, sizeof(back));
	}
}

static void test_a_mapped_peer_is_ipv4(void **state)
{
	struct sockaddr_in6 peer = {.sin6_family = AF_INET6,
				    .sin6_port = htons(1234)};
	struct sockaddr_storage kernel = {0};
	struct abi_endpoint expected = endpoint("192.0.2.1:1234"), got;

	(void)state;
	assert_int_equal(
		inet_pton(AF_INET6, "::ffff:192.0.2.1", &peer.sin6_addr), 1);
	memcpy(&kernel, &peer, sizeof(peer));
	memset(&got, 0x5a, sizeof(got));
	addr_from_sockaddr(&kernel, &got);
	assert_memory_equal(&got, &expected, sizeof(got));
}

static void test_another_family_is_no_address(void **state)
{
	struct sockaddr_storage kernel = {.ss_family = AF_UNIX}, before;
	struct abi_endpoint got, zero = {0};

	(void)state;
	memset(&got, 0x5a, sizeof(got));
	addr_from_sockaddr(&kernel, &got);
	assert_memory_equal(&got, &zero, sizeof(got));
	memset(&kernel, 0x5a, sizeof(kernel));
	before = kernel;
	assert_int_equal(addr_to_sockaddr(&zero, &kernel), 0);
	assert_memory_equal(&kernel, &before, sizeof(kernel));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_endpoint_has_its_port_or_the_default),
		cmocka_unit_test(test_a_mapped_address_is_ipv4),
		cmocka_unit_test(test_a_name_is_no_endpoint),
		cmocka_unit_test(
			test_an_address_with_a_bad_port_is_out_of_range),
		cmocka_unit_test(
			test_a_listener_is_a_port_and_perhaps_an_address),
		cmocka_unit_test(test_a_prefix_has_no_bits_behind_its_length),
		cmocka_unit_test(test_a_mapped_prefix_is_ipv4),
		cmocka_unit_test(test_other_texts_are_no_prefix),
		cmocka_unit_test(test_a_prefix_holds_its_addresses_only),
		cmocka_unit_test(
			test_a_prefix_of_no_family_or_too_long_holds_nothing),
		cmocka_unit_test(test_equal_looks_at_the_address_only),
		cmocka_unit_test(test_any_is_each_form_of_every_address),
		cmocka_unit_test(test_printed_forms),
		cmocka_unit_test(test_the_longest_text_fits),
		cmocka_unit_test(test_bytes_lie_as_the_abi_says),
		cmocka_unit_test(test_through_the_kernels_form_and_back),
		cmocka_unit_test(test_a_mapped_peer_is_ipv4),
		cmocka_unit_test(test_another_family_is_no_address),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
