// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What PROXY headers are built and read, a test a behaviour. Checksums in
 * these bytes were computed apart from the code under test. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../userspace/addr.h"
#include "../../userspace/cleanup.h"
#include "../../userspace/proxy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIGNATURE                                                              \
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a
#define IPV6_1 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
#define IPV6_2 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define MAPPED_1 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1

/* clang-format off */
static const uint8_t v2_ipv4[] = {
	SIGNATURE,
	0x21,			/* version 2, PROXY */
	0x11,			/* AF_INET, STREAM */
	0x00, 0x13,		/* length: 12 addresses + 7 CRC32C */
	192, 0, 2, 1,		/* source */
	198, 51, 100, 2,	/* destination */
	0xc8, 0x22, 0x01, 0xbb,	/* ports 51234, 443 */
	0x03, 0x00, 0x04,	/* CRC32C, 4 bytes */
	0x85, 0xc9, 0x34, 0x33,
};

static const uint8_t v2_ipv6[] = {
	SIGNATURE,
	0x21,			/* version 2, PROXY */
	0x21,			/* AF_INET6, STREAM */
	0x00, 0x2b,		/* length: 36 addresses + 7 CRC32C */
	IPV6_1,			/* source */
	IPV6_2,			/* destination */
	0xc8, 0x22, 0x01, 0xbb,	/* ports 51234, 443 */
	0x03, 0x00, 0x04,	/* CRC32C, 4 bytes */
	0x30, 0x96, 0xd8, 0x40,
};

static const uint8_t v2_mixed[] = {
	SIGNATURE,
	0x21,			/* version 2, PROXY */
	0x21,			/* AF_INET6, STREAM */
	0x00, 0x2b,		/* length: 36 addresses + 7 CRC32C */
	MAPPED_1,		/* source, ::ffff:192.0.2.1 */
	IPV6_2,			/* destination */
	0xc8, 0x22, 0x01, 0xbb,	/* ports 51234, 443 */
	0x03, 0x00, 0x04,	/* CRC32C, 4 bytes */
	0xa9, 0x14, 0xf2, 0x65,
};

static const uint8_t v2_local[] = {
	SIGNATURE,
	0x20,			/* version 2, LOCAL */
	0x00,			/* AF_UNSPEC, UNSPEC */
	0x00, 0x07,		/* length: 7 CRC32C */
	0x03, 0x00, 0x04,	/* CRC32C, 4 bytes */
	0xa9, 0xb8, 0x7e, 0x8f,
};

static const uint8_t v2_tlvs[] = {
	SIGNATURE,
	0x21,			/* version 2, PROXY */
	0x11,			/* AF_INET, STREAM */
	0x00, 0x2d,		/* length: 12 + 5 + 14 + 7 + 7 */
	192, 0, 2, 1,		/* source */
	198, 51, 100, 2,	/* destination */
	0xc8, 0x22, 0x01, 0xbb,	/* ports 51234, 443 */
	0x01, 0x00, 0x02,	/* ALPN, 2 bytes */
	'h', '2',
	0x02, 0x00, 0x0b,	/* AUTHORITY, 11 bytes */
	'p', 'b', 'x', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e',
	0x05, 0x00, 0x04,	/* UNIQUE_ID, 4 bytes */
	0x01, 0x02, 0x03, 0x04,
	0x03, 0x00, 0x04,	/* CRC32C, 4 bytes */
	0x48, 0x38, 0xca, 0x9e,
};

/* What HAProxy 2.6.12 sends with send-proxy-v2 proxy-v2-options
 * crc32c,unique-id,authority: the checksum comes first. */
static const uint8_t v2_haproxy[] = {
	SIGNATURE,
	0x21,			/* version 2, PROXY */
	0x11,			/* AF_INET, STREAM */
	0x00, 0x2d,		/* length: 12 + 7 + 18 + 8 */
	192, 0, 2, 1,		/* source */
	198, 51, 100, 2,	/* destination */
	0xc8, 0x22, 0x01, 0xbb,	/* ports 51234, 443 */
	0x03, 0x00, 0x04,	/* CRC32C, 4 bytes */
	0xe3, 0x4d, 0x60, 0x43,
	0x02, 0x00, 0x0f,	/* AUTHORITY, 15 bytes */
	'p', 'b', 'x', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o',
	'm',
	0x05, 0x00, 0x05,	/* UNIQUE_ID, 5 bytes */
	'U', 'I', 'D', '-', '1',
};
/* clang-format on */

static struct abi_endpoint endpoint(const char *text)
{
	struct abi_endpoint result;

	assert_int_equal(addr_parse_endpoint(text, 443, &result), 0);
	return result;
}

static struct span span(const char *text)
{
	return (struct span){(const uint8_t *)text, strlen(text)};
}

static struct proxy_info info_of(const char *source, const char *destination)
{
	return (struct proxy_info){.source = endpoint(source),
				   .destination = endpoint(destination)};
}

/* An endpoint that says IPv6 and holds ::ffff:0:0/96, as accept(2) gives. */
static struct abi_endpoint mapped(const char *text)
{
	struct abi_endpoint ipv4 = endpoint(text), result = {0};

	result.family = AF_INET6;
	result.port_be = ipv4.port_be;
	assert_true(addr_to_ipv6(&ipv4, result.addr));
	return result;
}

/* Bit by bit and from the left, unlike the code under test. */
static uint32_t crc32c(const uint8_t *data, size_t length)
{
	uint32_t crc = UINT32_MAX;

	for (size_t bit = 0; bit < 8 * length; bit++) {
		uint32_t in = data[bit / 8] >> bit % 8 & 1;

		crc = crc >> 1 ^ ((crc & 1) ^ in ? 0x82f63b78 : 0);
	}
	return crc ^ UINT32_MAX;
}

/* ---- headers made for the tests ----------------------------------------- */

struct made {
	size_t length;
	uint8_t data[8192];
};

static void make(struct made *to, uint8_t command, uint8_t family,
		 size_t address_bytes)
{
	static const uint8_t signature[] = {SIGNATURE};

	memset(to, 0, sizeof(*to));
	memcpy(to->data, signature, sizeof(signature));
	to->data[12] = command;
	to->data[13] = family;
	to->length = 16 + address_bytes;
	to->data[14] = (uint8_t)(address_bytes >> 8);
	to->data[15] = (uint8_t)address_bytes;
}

static void make_tlv(struct made *to, uint8_t type, size_t length)
{
	to->data[to->length] = type;
	to->data[to->length + 1] = (uint8_t)(length >> 8);
	to->data[to->length + 2] = (uint8_t)length;
	memset(to->data + to->length + 3, 'x', length);
	to->length += 3 + length;
	to->data[14] = (uint8_t)((to->length - 16) >> 8);
	to->data[15] = (uint8_t)(to->length - 16);
}

/* @at: the checksum's four bytes; computed over zeros there. */
static void make_crc(struct made *to, size_t at)
{
	uint32_t crc_be;

	memset(to->data + at, 0, 4);
	crc_be = htonl(crc32c(to->data, to->length));
	memcpy(to->data + at, &crc_be, 4);
}

/* ---- what is expected --------------------------------------------------- */

/* A block of exactly these bytes, so that ASan sees any read behind it. It
 * is given to the caller, since the result's spans point into it. */
static enum proxy_status parse(const void *data, size_t length,
			       struct proxy_header *ret_header,
			       uint8_t **ret_copy)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, data, length);
	*ret_copy = copy;
	return proxy_parse((struct span){copy, length}, ret_header);
}

static void expect_status(const void *data, size_t length,
			  enum proxy_status status)
{
	AUTO_FREE uint8_t *copy = NULL;
	struct proxy_header header, before;
	enum proxy_status got;

	memset(&before, 0x5a, sizeof(before));
	header = before;
	got = parse(data, length, &header, &copy);
	if (got != status)
		fail_msg("%zu bytes '%.*s': %d, not %d", length, (int)length,
			 (const char *)data, (int)got, (int)status);
	if (got != PROXY_OK)
		assert_memory_equal(&header, &before, sizeof(header));
}

static void expect_text(const char *text, enum proxy_status status)
{
	expect_status(text, strlen(text), status);
}

static void expect_made(const struct made *made, enum proxy_status status)
{
	expect_status(made->data, made->length, status);
}

static void expect_span(struct span got, struct span wanted)
{
	assert_int_equal(got.length, wanted.length);
	if (wanted.length)
		assert_memory_equal(got.data, wanted.data, wanted.length);
}

static void expect_info(const void *data, size_t length, size_t header_length,
			const struct proxy_info *info)
{
	AUTO_FREE uint8_t *copy = NULL;
	struct proxy_header got;

	assert_int_equal(parse(data, length, &got, &copy), PROXY_OK);
	assert_int_equal(got.length, header_length);
	assert_false(got.local);
	assert_memory_equal(&got.info.source, &info->source,
			    sizeof(info->source));
	assert_memory_equal(&got.info.destination, &info->destination,
			    sizeof(info->destination));
	expect_span(got.info.alpn, info->alpn);
	expect_span(got.info.authority, info->authority);
	expect_span(got.info.unique_id, info->unique_id);
}

static void expect_local(const void *data, size_t length)
{
	static const struct abi_endpoint none;
	AUTO_FREE uint8_t *copy = NULL;
	struct proxy_header got;

	assert_int_equal(parse(data, length, &got, &copy), PROXY_OK);
	assert_int_equal(got.length, length);
	assert_true(got.local);
	assert_memory_equal(&got.info.source, &none, sizeof(none));
	assert_memory_equal(&got.info.destination, &none, sizeof(none));
}

static void expect_built(enum abi_proxy version, const struct proxy_info *info,
			 const void *data, size_t length)
{
	/* What is behind the longest header must stay as it is. */
	uint8_t header[PROXY_BUILD_MAX + 1];
	size_t got;

	memset(header, 0x5a, sizeof(header));
	got = proxy_build(version, info, header);
	assert_int_equal(got, length);
	assert_memory_equal(header, data, length);
	assert_int_equal(header[PROXY_BUILD_MAX], 0x5a);
}

static void expect_line(const struct proxy_info *info, const char *line)
{
	expect_built(ABI_PROXY_V1, info, line, strlen(line));
}

/* ---- building ------------------------------------------------------------ */

static void test_v1_names_both_ends(void **state)
{
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	expect_line(&info, "PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n");
	info = info_of("[2001:db8::1]:51234", "[2001:db8::2]:443");
	expect_line(&info, "PROXY TCP6 2001:db8::1 2001:db8::2 51234 443\r\n");
}

static void test_v1_promotes_mixed_families(void **state)
{
	struct proxy_info info = info_of("192.0.2.1:1", "[2001:db8::2]:443");

	(void)state;
	expect_line(&info, "PROXY TCP6 ::ffff:c000:201 2001:db8::2 1 443\r\n");
	info = info_of("[2001:db8::1]:1", "192.0.2.1:443");
	expect_line(&info, "PROXY TCP6 2001:db8::1 ::ffff:c000:201 1 443\r\n");
}

static void test_v1_demotes_two_mapped_addresses(void **state)
{
	struct proxy_info info = {.source = mapped("192.0.2.1:1"),
				  .destination = mapped("192.0.2.2:443")};

	(void)state;
	expect_line(&info, "PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n");
	info.destination = endpoint("192.0.2.2:443");
	expect_line(&info, "PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n");
	info.destination = endpoint("[2001:db8::2]:443");
	expect_line(&info, "PROXY TCP6 ::ffff:c000:201 2001:db8::2 1 443\r\n");
}

/* Section 2.1: sets of hexadecimal digits, delimited by colons. */
static void test_v1_has_no_dots_in_ipv6(void **state)
{
	struct proxy_info info = info_of("[::192.0.2.1]:1", "[::1]:2");

	(void)state;
	expect_line(&info, "PROXY TCP6 ::c000:201 ::1 1 2\r\n");
	info = info_of("[::0.1.0.0]:1", "[::]:2");
	expect_line(&info, "PROXY TCP6 ::1:0 :: 1 2\r\n");
}

static void test_v1_fits_its_longest_line(void **state)
{
	static const char ip[] = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]"
				 ":65535";
	struct proxy_info info = info_of(ip, ip);

	(void)state;
	expect_line(&info,
		    "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe "
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n");
}

static void test_without_an_address_v1_is_unknown(void **state)
{
	struct proxy_info info = {0};

	(void)state;
	expect_line(&info, "PROXY UNKNOWN\r\n");
	info.source = endpoint("192.0.2.1:1");
	expect_line(&info, "PROXY UNKNOWN\r\n");
	info.destination = info.source;
	info.source.family = 0;
	expect_line(&info, "PROXY UNKNOWN\r\n");
}

static void test_v2_names_both_ends(void **state)
{
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	expect_built(ABI_PROXY_V2, &info, v2_ipv4, sizeof(v2_ipv4));
	info = info_of("[2001:db8::1]:51234", "[2001:db8::2]:443");
	expect_built(ABI_PROXY_V2, &info, v2_ipv6, sizeof(v2_ipv6));
}

static void test_v2_promotes_mixed_families(void **state)
{
	struct proxy_info info =
		info_of("192.0.2.1:51234", "[2001:db8::2]:443");

	(void)state;
	expect_built(ABI_PROXY_V2, &info, v2_mixed, sizeof(v2_mixed));
	info.source = mapped("192.0.2.1:51234");
	expect_built(ABI_PROXY_V2, &info, v2_mixed, sizeof(v2_mixed));
}

static void test_v2_demotes_two_mapped_addresses(void **state)
{
	struct proxy_info info = {.source = mapped("192.0.2.1:51234"),
				  .destination = mapped("198.51.100.2:443")};

	(void)state;
	expect_built(ABI_PROXY_V2, &info, v2_ipv4, sizeof(v2_ipv4));
}

static void test_without_an_address_v2_is_local(void **state)
{
	struct proxy_info info = {0};

	(void)state;
	expect_built(ABI_PROXY_V2, &info, v2_local, sizeof(v2_local));
	info.source = endpoint("192.0.2.1:1");
	expect_built(ABI_PROXY_V2, &info, v2_local, sizeof(v2_local));
}

static void test_v2_carries_the_tlvs_that_are_there(void **state)
{
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	info.alpn = span("h2");
	info.authority = span("pbx.example");
	info.unique_id = span("\x01\x02\x03\x04");
	expect_built(ABI_PROXY_V2, &info, v2_tlvs, sizeof(v2_tlvs));
}

static void test_the_longest_v2_header_fits_to_the_byte(void **state)
{
	uint8_t fill[255], header[PROXY_BUILD_MAX];
	struct proxy_info info = info_of("[2001:db8::1]:1", "192.0.2.1:2");

	(void)state;
	memset(fill, 'x', sizeof(fill));
	info.alpn = (struct span){fill, 255};
	info.authority = (struct span){fill, 253};
	info.unique_id = (struct span){fill, 128};
	assert_int_equal(proxy_build(ABI_PROXY_V2, &info, header),
			 PROXY_BUILD_MAX);
	expect_info(header, sizeof(header), sizeof(header), &info);
}

static void test_a_tlv_that_is_too_long_is_left_out(void **state)
{
	uint8_t fill[4096];
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	memset(fill, 'x', sizeof(fill));
	info.alpn = (struct span){fill, 256};
	info.authority = (struct span){fill, 254};
	info.unique_id = (struct span){fill, 129};
	expect_built(ABI_PROXY_V2, &info, v2_ipv4, sizeof(v2_ipv4));
	info.alpn.length = sizeof(fill);
	expect_built(ABI_PROXY_V2, &info, v2_ipv4, sizeof(v2_ipv4));
}

static void test_off_writes_nothing(void **state)
{
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	expect_built(ABI_PROXY_OFF, &info, NULL, 0);
}

/* ---- reading ------------------------------------------------------------- */

static void test_every_header_that_is_built_is_read(void **state)
{
	static const char *const ips[] = {
		"192.0.2.1:1",
		"255.255.255.255:65535",
		"0.0.0.0:1",
		"[2001:db8::1]:51234",
		"[::]:65535",
		"[::1.2.3.4]:9",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:443",
	};
	uint8_t header[PROXY_BUILD_MAX];
	size_t length;

	(void)state;
	for (size_t i = 0; i < COUNT(ips) * COUNT(ips); i++) {
		struct proxy_info info =
			info_of(ips[i / COUNT(ips)], ips[i % COUNT(ips)]);

		length = proxy_build(ABI_PROXY_V1, &info, header);
		expect_info(header, length, length, &info);
		info.source.port_be = 0;
		length = proxy_build(ABI_PROXY_V1, &info, header);
		expect_info(header, length, length, &info);
		info.alpn = span("http/1.1");
		length = proxy_build(ABI_PROXY_V2, &info, header);
		expect_info(header, length, length, &info);
	}
}

static void test_a_header_cut_anywhere_is_partial(void **state)
{
	static const char *const lines[] = {
		"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n",
		"PROXY TCP6 2001:db8::1 2001:db8::2 51234 443\r\n",
		"PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN 1 2 3 4\r\n",
	};
	static const struct span headers[] = {
		{v2_ipv4, sizeof(v2_ipv4)},   {v2_ipv6, sizeof(v2_ipv6)},
		{v2_mixed, sizeof(v2_mixed)}, {v2_local, sizeof(v2_local)},
		{v2_tlvs, sizeof(v2_tlvs)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		for (size_t cut = 0; cut < strlen(lines[i]); cut++)
			expect_status(lines[i], cut, PROXY_PARTIAL);
		expect_text(lines[i], PROXY_OK);
	}
	for (size_t i = 0; i < COUNT(headers); i++) {
		for (size_t cut = 0; cut < headers[i].length; cut++)
			expect_status(headers[i].data, cut, PROXY_PARTIAL);
		expect_status(headers[i].data, headers[i].length, PROXY_OK);
	}
}

static void test_bytes_behind_the_header_are_left_alone(void **state)
{
	static const char line[] =
		"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n\x16\x03\x01\n";
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");
	uint8_t header[sizeof(v2_ipv4) + 200];

	(void)state;
	expect_info(line, sizeof(line) - 1, sizeof(line) - 5, &info);
	memset(header, 0x16, sizeof(header));
	memcpy(header, v2_ipv4, sizeof(v2_ipv4));
	expect_info(header, sizeof(header), sizeof(v2_ipv4), &info);
}

static void test_what_is_neither_version_is_malformed_at_once(void **state)
{
	uint8_t signature[] = {SIGNATURE};

	(void)state;
	expect_status("\x16\x03\x01", 3, PROXY_MALFORMED);
	expect_text("G", PROXY_MALFORMED);
	expect_text("proxy", PROXY_MALFORMED);
	expect_text("PR0", PROXY_MALFORMED);
	expect_text("PROXYTCP4", PROXY_MALFORMED);
	expect_text("PROXY\t", PROXY_MALFORMED);
	expect_text("\r\n\r\nG", PROXY_MALFORMED);
	expect_status("\0", 1, PROXY_MALFORMED);
	for (size_t i = 0; i < sizeof(signature); i++) {
		signature[i] ^= 0x80;
		expect_status(signature, i + 1, PROXY_MALFORMED);
		expect_status(signature, sizeof(signature), PROXY_MALFORMED);
		signature[i] ^= 0x80;
	}
}

static void test_v1_keeps_to_its_grammar(void **state)
{
	static const char *const lines[] = {
		"PROXY \r\n",
		"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 \r\n",
		"PROXY TCP4 192.0.2.1\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
		"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2  1 2\r\n",
		"PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
		"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n",
		"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP6 2001:db8::1 192.0.2.2 1 2\r\n",
		"PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n",
		"PROXY TCP6 2001:db8::1::2 2001:db8::2 1 2\r\n",
		"PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n",
		"PROXY TCP6 02001:db8::1 2001:db8::2 1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 002\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 a 2\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
		"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n",
		"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY UNKNOW\r\n",
		"PROXY UNKNOWNS\r\n",
		"PROXY UNKNOWN\n",
		"PROXY UNKNOWN 1\n2\r\n",
		"PROXY \n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		expect_text(lines[i], PROXY_MALFORMED);
}

static void test_v1_with_a_nul_is_malformed(void **state)
{
	static const char line[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\0\r\n";
	static const char early[] = "PROXY TCP4\0 192.0.2.1 192.0.2.2 1 2\r\n";

	(void)state;
	expect_status(line, sizeof(line) - 1, PROXY_MALFORMED);
	expect_status(early, sizeof(early) - 1, PROXY_MALFORMED);
}

/* nginx writes them so on a listener of both families. */
static void test_v1_mapped_addresses_become_ipv4(void **state)
{
	static const char *const lines[] = {
		"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 51234 443\r\n",
		"PROXY TCP6 ::FFFF:c000:201 ::ffff:c633:6402 51234 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n",
	};
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		expect_info(lines[i], strlen(lines[i]), strlen(lines[i]),
			    &info);
}

static void test_v1_unknown_ignores_what_follows(void **state)
{
	static const char *const lines[] = {
		"PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN \r\n",
		"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n",
		"PROXY UNKNOWN   whatever \r stands here\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		expect_local(lines[i], strlen(lines[i]));
}

static void test_v1_ends_within_107_bytes(void **state)
{
	char line[PROXY_V1_MAX + 2] = "PROXY UNKNOWN ";
	size_t start = strlen(line);

	(void)state;
	memset(line + start, 'x', sizeof(line) - start);
	expect_status(line, PROXY_V1_MAX - 1, PROXY_PARTIAL);
	expect_status(line, PROXY_V1_MAX, PROXY_MALFORMED);
	memcpy(line + PROXY_V1_MAX - 2, "\r\n", 2);
	expect_local(line, PROXY_V1_MAX);
	memcpy(line + PROXY_V1_MAX - 2, "x\r\n", 3);
	expect_status(line, PROXY_V1_MAX + 1, PROXY_MALFORMED);
}

static void test_v2_reads_what_is_in_the_vectors(void **state)
{
	struct proxy_info info = info_of("192.0.2.1:51234", "198.51.100.2:443");

	(void)state;
	expect_info(v2_ipv4, sizeof(v2_ipv4), sizeof(v2_ipv4), &info);
	info.alpn = span("h2");
	info.authority = span("pbx.example");
	info.unique_id = span("\x01\x02\x03\x04");
	expect_info(v2_tlvs, sizeof(v2_tlvs), sizeof(v2_tlvs), &info);
	info.alpn.length = 0;
	info.authority = span("pbx.example.com");
	info.unique_id = span("UID-1");
	expect_info(v2_haproxy, sizeof(v2_haproxy), sizeof(v2_haproxy), &info);
	info = info_of("[2001:db8::1]:51234", "[2001:db8::2]:443");
	expect_info(v2_ipv6, sizeof(v2_ipv6), sizeof(v2_ipv6), &info);
	info.source = endpoint("192.0.2.1:51234");
	expect_info(v2_mixed, sizeof(v2_mixed), sizeof(v2_mixed), &info);
	expect_local(v2_local, sizeof(v2_local));
}

static void test_v2_other_versions_and_commands_are_malformed(void **state)
{
	struct made made;

	(void)state;
	for (unsigned command = 0; command < 256; command++) {
		make(&made, (uint8_t)command, 0x11, 12);
		expect_made(&made, command == 0x20 || command == 0x21
					   ? PROXY_OK
					   : PROXY_MALFORMED);
		/* Clear as soon as the first 16 bytes are there. */
		expect_status(made.data, 16,
			      command == 0x20 || command == 0x21
				      ? PROXY_PARTIAL
				      : PROXY_MALFORMED);
	}
}

static void test_v2_unassigned_families_are_malformed(void **state)
{
	struct made made;

	(void)state;
	for (unsigned family = 0; family < 256; family++) {
		bool assigned = family >> 4 <= 3 && (family & 15) <= 2;

		make(&made, 0x21, (uint8_t)family, 216);
		make_tlv(&made, 0x04, 0);
		/* 216 zero bytes are TLVs of type 0 behind shorter addresses,
		 * and their number is a multiple of three. */
		expect_made(&made, assigned ? PROXY_OK : PROXY_MALFORMED);
	}
}

static void test_v2_local_ignores_family_and_block(void **state)
{
	struct made made;

	(void)state;
	make(&made, 0x20, 0x11, 12);
	expect_local(made.data, made.length);
	make(&made, 0x20, 0xff, 0);
	expect_local(made.data, made.length);
	make(&made, 0x20, 0x00, 5);
	memset(made.data + 16, 0xff, 5);
	expect_local(made.data, made.length);
}

static void test_v2_unspecified_protocols_are_local(void **state)
{
	static const uint8_t families[] = {0x00, 0x01, 0x02, 0x10, 0x20, 0x30};
	struct made made;

	(void)state;
	for (size_t i = 0; i < sizeof(families); i++) {
		make(&made, 0x21, families[i], 0);
		expect_local(made.data, made.length);
		make(&made, 0x21, families[i], 40);
		memset(made.data + 16, 0xff, 40);
		expect_local(made.data, made.length);
	}
}

static void test_v2_other_transports_are_local(void **state)
{
	static const struct {
		uint8_t family;
		size_t address_bytes;
	} rows[] = {{0x12, 12}, {0x22, 36}, {0x31, 216}, {0x32, 216}};
	struct made made;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		make(&made, 0x21, rows[i].family, rows[i].address_bytes);
		memset(made.data + 16, 0xff, rows[i].address_bytes);
		expect_local(made.data, made.length);
		/* What follows the addresses is read all the same. */
		make_tlv(&made, 0x01, 2);
		make_tlv(&made, 0x03, 4);
		make_crc(&made, made.length - 4);
		expect_local(made.data, made.length);
		made.data[made.length - 1] ^= 1;
		expect_made(&made, PROXY_MALFORMED);
		make(&made, 0x21, rows[i].family, rows[i].address_bytes - 1);
		expect_made(&made, PROXY_MALFORMED);
	}
}

static void test_v2_addresses_must_be_whole(void **state)
{
	struct made made;

	(void)state;
	for (size_t bytes = 0; bytes < 12; bytes++) {
		make(&made, 0x21, 0x11, bytes);
		expect_made(&made, PROXY_MALFORMED);
	}
	for (size_t bytes = 0; bytes < 36; bytes++) {
		make(&made, 0x21, 0x21, bytes);
		expect_made(&made, PROXY_MALFORMED);
	}
}

static void test_v2_tlv_lengths_must_add_up(void **state)
{
	struct made made;

	(void)state;
	for (size_t more = 1; more <= 2; more++) {
		make(&made, 0x21, 0x11, 12 + more);
		expect_made(&made, PROXY_MALFORMED);
	}
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0xe0, 10);
	expect_made(&made, PROXY_OK);
	made.data[16 + 12 + 2] = 11;
	expect_made(&made, PROXY_MALFORMED);
	made.data[16 + 12 + 2] = 9;
	expect_made(&made, PROXY_MALFORMED);
	made.data[16 + 12 + 1] = 1;
	expect_made(&made, PROXY_MALFORMED);
}

static void test_v2_unknown_tlvs_are_skipped(void **state)
{
	struct made made;
	struct proxy_info info = {.source.family = AF_INET,
				  .destination.family = AF_INET,
				  .alpn = span("xx")};

	(void)state;
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0x04, 0);
	make_tlv(&made, 0x20, 300);
	make_tlv(&made, 0x01, 2);
	make_tlv(&made, 0x30, 1);
	make_tlv(&made, 0xff, 0);
	expect_info(made.data, made.length, made.length, &info);
}

static void test_v2_a_tlv_that_is_there_twice_is_malformed(void **state)
{
	static const uint8_t types[] = {0x01, 0x02, 0x05};
	struct made made;

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		make(&made, 0x21, 0x11, 12);
		make_tlv(&made, types[i], 0);
		expect_made(&made, PROXY_OK);
		make_tlv(&made, types[i], 2);
		expect_made(&made, PROXY_MALFORMED);
	}
}

static void test_v2_a_unique_id_has_128_bytes_at_most(void **state)
{
	struct made made;

	(void)state;
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0x05, 128);
	expect_made(&made, PROXY_OK);
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0x05, 129);
	expect_made(&made, PROXY_MALFORMED);
}

static void test_v2_the_checksum_may_stand_anywhere(void **state)
{
	struct made made;
	size_t at;

	(void)state;
	make(&made, 0x21, 0x21, 36);
	make_tlv(&made, 0x04, 1);
	make_tlv(&made, 0x03, 4);
	at = made.length - 4;
	make_tlv(&made, 0x01, 255);
	make_crc(&made, at);
	expect_made(&made, PROXY_OK);
	made.data[at] ^= 0x80;
	expect_made(&made, PROXY_MALFORMED);
}

static void test_v2_the_checksum_has_four_bytes_and_stands_once(void **state)
{
	struct made made;

	(void)state;
	for (size_t bytes = 0; bytes < 9; bytes++) {
		make(&made, 0x21, 0x11, 12);
		make_tlv(&made, 0x03, bytes);
		if (bytes >= 4)
			make_crc(&made, made.length - bytes);
		expect_made(&made, bytes == 4 ? PROXY_OK : PROXY_MALFORMED);
	}
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0x03, 4);
	make_tlv(&made, 0x03, 4);
	make_crc(&made, made.length - 4);
	expect_made(&made, PROXY_MALFORMED);
}

/* One flip may take the checksum's type away, or turn PROXY into LOCAL or the
 * family into an unspecified one; none gives other addresses. */
static void test_v2_a_flipped_bit_never_gives_other_addresses(void **state)
{
	uint8_t flipped[sizeof(v2_ipv6)];
	struct proxy_header right, got;
	unsigned accepted = 0;

	(void)state;
	assert_int_equal(
		proxy_parse((struct span){v2_ipv6, sizeof(v2_ipv6)}, &right),
		PROXY_OK);
	for (size_t bit = 0; bit < 8 * sizeof(flipped); bit++) {
		memcpy(flipped, v2_ipv6, sizeof(flipped));
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (proxy_parse((struct span){flipped, sizeof(flipped)},
				&got) != PROXY_OK)
			continue;
		accepted++;
		if (got.local)
			continue;
		assert_int_equal(bit / 8, sizeof(flipped) - 7);
		assert_memory_equal(&got.info.source, &right.info.source,
				    sizeof(right.info.source));
	}
	/* LOCAL, two unspecified families, eight types. */
	assert_int_equal(accepted, 11);
}

static void test_v2_ends_at_4096_bytes(void **state)
{
	struct made made;

	(void)state;
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0xe0, PROXY_PARSE_MAX - 16 - 12 - 3);
	assert_int_equal(made.length, PROXY_PARSE_MAX);
	expect_made(&made, PROXY_OK);
	make(&made, 0x21, 0x11, 12);
	make_tlv(&made, 0xe0, PROXY_PARSE_MAX - 16 - 12 - 3 + 1);
	expect_made(&made, PROXY_MALFORMED);
	/* Nobody waits for what would be refused. */
	expect_status(made.data, 16, PROXY_MALFORMED);
	make(&made, 0x20, 0x00, 0);
	memset(made.data + 14, 0xff, 2);
	expect_status(made.data, 16, PROXY_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1_names_both_ends),
		cmocka_unit_test(test_v1_promotes_mixed_families),
		cmocka_unit_test(test_v1_demotes_two_mapped_addresses),
		cmocka_unit_test(test_v1_has_no_dots_in_ipv6),
		cmocka_unit_test(test_v1_fits_its_longest_line),
		cmocka_unit_test(test_without_an_address_v1_is_unknown),
		cmocka_unit_test(test_v2_names_both_ends),
		cmocka_unit_test(test_v2_promotes_mixed_families),
		cmocka_unit_test(test_v2_demotes_two_mapped_addresses),
		cmocka_unit_test(test_without_an_address_v2_is_local),
		cmocka_unit_test(test_v2_carries_the_tlvs_that_are_there),
		cmocka_unit_test(test_the_longest_v2_header_fits_to_the_byte),
		cmocka_unit_test(test_a_tlv_that_is_too_long_is_left_out),
		cmocka_unit_test(test_off_writes_nothing),
		cmocka_unit_test(test_every_header_that_is_built_is_read),
		cmocka_unit_test(test_a_header_cut_anywhere_is_partial),
		cmocka_unit_test(test_bytes_behind_the_header_are_left_alone),
		cmocka_unit_test(
			test_what_is_neither_version_is_malformed_at_once),
		cmocka_unit_test(test_v1_keeps_to_its_grammar),
		cmocka_unit_test(test_v1_with_a_nul_is_malformed),
		cmocka_unit_test(test_v1_mapped_addresses_become_ipv4),
		cmocka_unit_test(test_v1_unknown_ignores_what_follows),
		cmocka_unit_test(test_v1_ends_within_107_bytes),
		cmocka_unit_test(test_v2_reads_what_is_in_the_vectors),
		cmocka_unit_test(
			test_v2_other_versions_and_commands_are_malformed),
		cmocka_unit_test(test_v2_unassigned_families_are_malformed),
		cmocka_unit_test(test_v2_local_ignores_family_and_block),
		cmocka_unit_test(test_v2_unspecified_protocols_are_local),
		cmocka_unit_test(test_v2_other_transports_are_local),
		cmocka_unit_test(test_v2_addresses_must_be_whole),
		cmocka_unit_test(test_v2_tlv_lengths_must_add_up),
		cmocka_unit_test(test_v2_unknown_tlvs_are_skipped),
		cmocka_unit_test(
			test_v2_a_tlv_that_is_there_twice_is_malformed),
		cmocka_unit_test(test_v2_a_unique_id_has_128_bytes_at_most),
		cmocka_unit_test(test_v2_the_checksum_may_stand_anywhere),
		cmocka_unit_test(
			test_v2_the_checksum_has_four_bytes_and_stands_once),
		cmocka_unit_test(
			test_v2_a_flipped_bit_never_gives_other_addresses),
		cmocka_unit_test(test_v2_ends_at_4096_bytes),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
