// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a ClientHello says, and which ones are malformed. */
#include "hello_bytes.h"

/* ---- names -------------------------------------------------------------- */

static void finds_name_alpn_and_version(void **state)
{
	(void)state;
	message_usual();
	assert_int_equal(read_message(), HELLO_OK);
	assert_usual_name();
	assert_span(hello.alpn, BYTES("\2h2\10http/1.1"));
	assert_int_equal(hello.alpn_count, 2);
	assert_int_equal(hello.legacy_version, 0x0303);
	assert_int_equal(hello.highest_version, 0x0304);
	assert_false(hello.ech);
	assert_false(hello.early_data);
	assert_int_equal(hello.wire_bytes, wire.length);
	assert_int_equal(reader.record_version, 0x0301);
}

static void hello_without_extensions_has_no_name(void **state)
{
	(void)state;
	fixed_part(0x0301);
	message_end();
	assert_int_equal(read_message(), HELLO_OK);
	assert_int_equal(hello.host_name.length, 0);
	assert_int_equal(hello.alpn_count, 0);
}

static void hello_with_no_server_name_has_no_name(void **state)
{
	size_t extensions = extensions_begin();

	(void)state;
	extensions_end(extensions);
	assert_int_equal(read_message(), HELLO_OK);
	assert_int_equal(hello.host_name.length, 0);

	assert_int_equal(read_extension(SUPPORTED_VERSIONS, BYTES("\2\3\4")),
			 HELLO_OK);
	assert_int_equal(hello.host_name.length, 0);
}

static void name_is_handed_on_as_sent(void **state)
{
	static const struct {
		const char *data;
		size_t length;
	} names[] = {{BYTES("A.TEST.")},
		     {BYTES("a.test\0.x")},
		     {BYTES("192.0.2.1")},
		     {BYTES("*")},
		     {BYTES("\xff")}};
	static char longest[8000];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t extensions = extensions_begin();

		add_server_name(names[i].data, names[i].length);
		extensions_end(extensions);
		assert_int_equal(read_message(), HELLO_OK);
		assert_span(hello.host_name, names[i].data, names[i].length);
	}

	memset(longest, 'a', sizeof(longest));
	size_t extensions = extensions_begin();
	add_server_name(longest, sizeof(longest));
	extensions_end(extensions);
	assert_int_equal(read_message(), HELLO_OK);
	assert_span(hello.host_name, longest, sizeof(longest));
}

static void server_name_of_another_shape_is_malformed(void **state)
{
	static const struct {
		const char *what;
		const char *data;
		size_t length;
	} shapes[] = {
		{"nothing", BYTES("")},
		{"half a length", BYTES("\0")},
		{"no name in the list", BYTES("\0\0")},
		{"name type alone", BYTES("\0\1\0")},
		{"half a name length", BYTES("\0\2\0\0")},
		{"empty name", BYTES("\0\3\0\0\0")},
		{"a type that is no host_name", BYTES("\0\4\1\0\1a")},
		{"two names", BYTES("\0\10\0\0\1a\0\0\1b")},
		{"the same name twice", BYTES("\0\10\0\0\1a\0\0\1a")},
		{"a name and another type", BYTES("\0\10\0\0\1a\1\0\1b")},
		{"a byte behind the name", BYTES("\0\5\0\0\1a\0")},
		{"a byte behind the list", BYTES("\0\4\0\0\1a\0")},
		{"name longer than the list", BYTES("\0\4\0\0\2ab")},
		{"list longer than the extension", BYTES("\0\5\0\0\1a")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		if (read_extension(SERVER_NAME, shapes[i].data,
				   shapes[i].length) != HELLO_MALFORMED)
			fail_msg("%s", shapes[i].what);
	}
}

/* ---- other extensions --------------------------------------------------- */

static void duplicate_extension_is_malformed(void **state)
{
	static const uint16_t types[] = {ALPN, 63, 64, 0x0a0a, 0xff01, 0xffff};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		size_t extensions = extensions_begin();

		add_extension(types[i], BYTES("\0\2\1a"));
		add_server_name(NAME, strlen(NAME));
		add_extension(types[i], BYTES("\0\2\1a"));
		extensions_end(extensions);
		assert_int_equal(read_message(), HELLO_MALFORMED);
	}

	size_t extensions = extensions_begin();
	add_server_name(NAME, strlen(NAME));
	add_server_name(NAME, strlen(NAME));
	extensions_end(extensions);
	assert_int_equal(read_message(), HELLO_MALFORMED);
}

/* As many empty extensions as fit; then the first type once more. */
static void thousands_of_different_extensions_are_no_duplicates(void **state)
{
	const uint16_t first = 5, step = 17;
	size_t extensions = extensions_begin();
	uint16_t type = first;

	(void)state;
	for (int i = 0; i < 16000; i++, type = (uint16_t)(type + step)) {
		if (type != SERVER_NAME && type != ALPN &&
		    type != SUPPORTED_VERSIONS)
			add_extension(type, BYTES(""));
	}
	extensions_end(extensions);
	wire_in_records_of(16384);
	reader_reset();
	assert_int_equal(read_capped(wire.data, wire.length, HELLO_MAX_LIMIT),
			 HELLO_OK);

	add_extension(first, BYTES(""));
	extensions_end(extensions);
	wire_in_records_of(16384);
	reader_reset();
	assert_int_equal(read_capped(wire.data, wire.length, HELLO_MAX_LIMIT),
			 HELLO_MALFORMED);
}

static void alpn_list_is_checked_and_counted(void **state)
{
	static const struct {
		const char *data;
		size_t length;
		enum hello_status status;
		unsigned count;
	} lists[] = {
		{BYTES("\0\3\2h2"), HELLO_OK, 1},
		{BYTES("\0\6\2h2\2h3"), HELLO_OK, 2},
		{BYTES("\0\2\1\0"), HELLO_OK, 1},    /* any byte may be in it */
		{BYTES(""), HELLO_MALFORMED, 0},     /* no list */
		{BYTES("\0\0"), HELLO_MALFORMED, 0}, /* nothing in it */
		{BYTES("\0\1\0"), HELLO_MALFORMED, 0}, /* an empty entry */
		{BYTES("\0\4\2h2\0"), HELLO_MALFORMED, 0},
		{BYTES("\0\3\3h2"), HELLO_MALFORMED, 0}, /* beyond the list */
		{BYTES("\0\4\2h2"), HELLO_MALFORMED,
		 0}, /* beyond the extension */
		{BYTES("\0\3\2h2\0"), HELLO_MALFORMED,
		 0}, /* a byte behind it */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		if (read_extension(ALPN, lists[i].data, lists[i].length) !=
			    lists[i].status ||
		    hello.alpn_count != lists[i].count)
			fail_msg("list %zu", i);
		if (lists[i].status == HELLO_OK)
			assert_span(hello.alpn, lists[i].data + 2,
				    lists[i].length - 2);
	}
}

static void highest_version_without_supported_versions(void **state)
{
	static const struct {
		uint16_t legacy, highest;
	} versions[] = {{0x0300, 0x0300}, {0x0301, 0x0301}, {0x0302, 0x0302},
			{0x0303, 0x0303}, /* and RFC 8446 section 4.2.1: */
			{0x0304, 0x0303}, {0x0399, 0x0303}, {0x7f1c, 0x0303}};

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		fixed_part(versions[i].legacy);
		message_end();
		assert_int_equal(read_message(), HELLO_OK);
		assert_int_equal(hello.legacy_version, versions[i].legacy);
		assert_int_equal(hello.highest_version, versions[i].highest);
	}
	fixed_part(0x02ff);
	message_end();
	assert_int_equal(read_message(), HELLO_MALFORMED);
}

static void supported_versions_decide_over_legacy_version(void **state)
{
	static const struct {
		const char *data;
		size_t length;
		enum hello_status status;
		uint16_t highest;
	} lists[] = {
		{BYTES("\2\3\4"), HELLO_OK, 0x0304},
		{BYTES("\4\3\3\3\4"), HELLO_OK, 0x0304},
		{BYTES("\2\3\2"), HELLO_OK, 0x0302},
		{BYTES("\6\x7a\x7a\3\4\3\3"), HELLO_OK, 0x0304}, /* GREASE */
		{BYTES("\4\x7f\x1c\3\5"), HELLO_OK, 0}, /* none known */
		{BYTES(""), HELLO_MALFORMED, 0},
		{BYTES("\0"), HELLO_MALFORMED, 0},
		{BYTES("\1\3"), HELLO_MALFORMED, 0},
		{BYTES("\3\3\4\3"), HELLO_MALFORMED, 0},
		{BYTES("\4\3\4"), HELLO_MALFORMED, 0},
		{BYTES("\2\3\4\0"), HELLO_MALFORMED, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		if (read_extension(SUPPORTED_VERSIONS, lists[i].data,
				   lists[i].length) != lists[i].status ||
		    hello.highest_version != lists[i].highest)
			fail_msg("list %zu", i);
	}
}

static void tells_of_ech_and_early_data(void **state)
{
	(void)state;
	assert_int_equal(read_extension(ECH, BYTES("\0abc")), HELLO_OK);
	assert_true(hello.ech);
	assert_false(hello.early_data);
	assert_int_equal(read_extension(EARLY_DATA, BYTES("")), HELLO_OK);
	assert_false(hello.ech);
	assert_true(hello.early_data);
	assert_int_equal(read_extension(EARLY_DATA, BYTES("\0")),
			 HELLO_MALFORMED);
}

/* ---- the fixed part and its lengths ------------------------------------- */

static void fixed_part_of_another_shape_is_malformed(void **state)
{
	/* Session id, cipher suites, compression methods; all fill up to the
	 * 45 bytes that the shortest message has. */
	static const struct {
		const char *what;
		const char *data;
		size_t length;
		enum hello_status status;
	} shapes[] = {
		{"the shortest", BYTES("\0\0\2\x13\1\1\0"), HELLO_OK},
		{"odd cipher suites", BYTES("\0\0\3\x13\1\0\1\0"),
		 HELLO_MALFORMED},
		{"no cipher suites", BYTES("\2aa\0\0\1\0"), HELLO_MALFORMED},
		{"no compression", BYTES("\1a\0\2\x13\1\0"), HELLO_MALFORMED},
		{"one byte of extensions", BYTES("\0\0\2\x13\1\1\0\0"),
		 HELLO_MALFORMED},
		{"empty extensions", BYTES("\0\0\2\x13\1\1\0\0\0"), HELLO_OK},
		{"a byte behind the extensions",
		 BYTES("\0\0\2\x13\1\1\0\0\0\0"), HELLO_MALFORMED},
		{"extensions that are not there", BYTES("\0\0\2\x13\1\1\0\0\1"),
		 HELLO_MALFORMED},
		{"half an extension", BYTES("\0\0\2\x13\1\1\0\0\3\0\x0a\0"),
		 HELLO_MALFORMED},
		{"a session id of 32 bytes",
		 BYTES("\x20"
		       "0123456789abcdef0123456789abcdef\0\2\x13\1\1\0"),
		 HELLO_OK},
		{"a session id of 33 bytes",
		 BYTES("\x21"
		       "0123456789abcdef0123456789abcdefg\0\2\x13\1\1\0"),
		 HELLO_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		fixed_part(0x0303);
		message.length = 4 + 2 + 32;
		put_data(&message, shapes[i].data, shapes[i].length);
		message_end();
		if (read_message() != shapes[i].status)
			fail_msg("%s", shapes[i].what);
	}
}

/* Byte for byte and value for value: the message then either does not add up,
 * or, where its own length grew, goes on in a record that does not come. */
static void no_wrong_length_is_ever_a_hello(void **state)
{
	(void)state;
	message_usual();
	wire_in_records_of(16384);
	assert_true(length_count > 10);
	for (size_t i = 0; i < length_count; i++) {
		for (unsigned byte = 0; byte < lengths[i].bytes; byte++) {
			uint8_t *at = wire.data + 5 + lengths[i].at + byte;
			uint8_t right = *at;

			for (unsigned wrong = 0; wrong < 256; wrong++) {
				enum hello_status status;

				if (wrong == right)
					continue;
				*at = (uint8_t)wrong;
				status = read_wire();
				assert_int_not_equal(status, HELLO_OK);
				if (i > 0)
					assert_int_equal(status,
							 HELLO_MALFORMED);
			}
			*at = right;
		}
	}
	assert_int_equal(read_wire(), HELLO_OK);
}

static void handshake_that_is_no_client_hello_is_malformed(void **state)
{
	static const uint8_t types[] = {0, 2, 4, 11, 20, 255};
	uint8_t start[] = {22, 3, 1, 0, 100, 0};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		start[5] = types[i];
		assert_verdict_with_last_byte(start, sizeof(start),
					      HELLO_MALFORMED);
	}
}

static void message_too_short_is_refused_with_its_header(void **state)
{
	static const uint8_t zero[] = {22, 3, 1, 0, 100, 1, 0, 0, 0};
	static const uint8_t below[] = {22, 3, 1, 0, 44, 1, 0, 0, 40};

	(void)state;
	assert_verdict_with_last_byte(zero, sizeof(zero), HELLO_MALFORMED);
	assert_verdict_with_last_byte(below, sizeof(below), HELLO_MALFORMED);
}

static void record_longer_than_the_message_is_refused_at_once(void **state)
{
	static const uint8_t start[] = {22, 3, 1, 0, 105, 1, 0, 0, 100};
	static const uint8_t exact[] = {22, 3, 1, 0, 104, 1, 0, 0, 100};

	(void)state;
	assert_verdict_with_last_byte(start, sizeof(start), HELLO_MALFORMED);
	assert_verdict_with_last_byte(exact, sizeof(exact), HELLO_PARTIAL);

	/* The same in a later record. */
	message_usual();
	wire.length = 0;
	put_record(22, message.data, 50);
	put_record(22, message.data + 50, message.length - 50 + 1);
	assert_verdict_with_last_byte(wire.data, 5 + 50 + 5 + 1,
				      HELLO_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_name_alpn_and_version),
		cmocka_unit_test(hello_without_extensions_has_no_name),
		cmocka_unit_test(hello_with_no_server_name_has_no_name),
		cmocka_unit_test(name_is_handed_on_as_sent),
		cmocka_unit_test(server_name_of_another_shape_is_malformed),
		cmocka_unit_test(duplicate_extension_is_malformed),
		cmocka_unit_test(
			thousands_of_different_extensions_are_no_duplicates),
		cmocka_unit_test(alpn_list_is_checked_and_counted),
		cmocka_unit_test(highest_version_without_supported_versions),
		cmocka_unit_test(supported_versions_decide_over_legacy_version),
		cmocka_unit_test(tells_of_ech_and_early_data),
		cmocka_unit_test(fixed_part_of_another_shape_is_malformed),
		cmocka_unit_test(no_wrong_length_is_ever_a_hello),
		cmocka_unit_test(
			handshake_that_is_no_client_hello_is_malformed),
		cmocka_unit_test(message_too_short_is_refused_with_its_header),
		cmocka_unit_test(
			record_longer_than_the_message_is_refused_at_once),
	};

	return cmocka_run_group_tests_name("hello", tests, NULL, reader_done);
}
