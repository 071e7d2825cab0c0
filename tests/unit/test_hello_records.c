// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A hello in any segments and records, and what is no hello. */
#include "hello_bytes.h"

/* ---- segments and records ----------------------------------------------- */

static void truncated_anywhere_is_partial(void **state)
{
	static const size_t sizes[] = {16384, 7, 1};

	(void)state;
	message_usual();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		wire_in_records_of(sizes[i]);
		assert_verdict_with_last_byte(wire.data, wire.length, HELLO_OK);
		assert_usual_name();
	}
}

static void one_byte_at_a_time(void **state)
{
	static const size_t sizes[] = {16384, 100, 3, 1};

	(void)state;
	message_usual();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		wire_in_records_of(sizes[i]);
		reader_reset();
		for (size_t length = 0; length < wire.length; length++)
			assert_int_equal(read_more(wire.data, length),
					 HELLO_PARTIAL);
		assert_int_equal(read_more(wire.data, wire.length), HELLO_OK);
		assert_usual_name();
		assert_span(hello.alpn, "\2h2\10http/1.1", 12);
		assert_int_equal(hello.wire_bytes, wire.length);
	}
}

static void two_segments_cut_anywhere(void **state)
{
	(void)state;
	message_of_size(1900);
	wire_in_records_of(1000);
	for (size_t cut = 0; cut < wire.length; cut++) {
		assert_int_equal(read_bytes(wire.data, cut), HELLO_PARTIAL);
		assert_int_equal(read_more(wire.data, wire.length), HELLO_OK);
		assert_usual_name();
	}
}

static void two_records_cut_anywhere(void **state)
{
	(void)state;
	message_usual();
	for (size_t cut = 1; cut < message.length; cut++) {
		wire.length = 0;
		put_record(22, message.data, cut);
		put_record(22, message.data + cut, message.length - cut);
		assert_int_equal(read_wire(), HELLO_OK);
		assert_usual_name();
		assert_int_equal(hello.wire_bytes, wire.length);
	}
}

static void records_of_any_size(void **state)
{
	(void)state;
	message_of_size(700);
	for (size_t size = 1; size <= message.length; size++) {
		wire_in_records_of(size);
		assert_int_equal(read_wire(), HELLO_OK);
		assert_usual_name();
		assert_int_equal(hello.wire_bytes, wire.length);
	}
}

/* Once walked, nobody looks at a record's type again: that is what makes the
 * work linear for a hello that comes in thousands of pieces. */
static void walked_records_are_not_walked_again(void **state)
{
	(void)state;
	message_usual();
	wire_in_records_of(1);
	reader_reset();
	for (size_t length = 6; length < wire.length; length += 6) {
		assert_int_equal(read_more(wire.data, length), HELLO_PARTIAL);
		wire.data[length - 6] = 0xff;
	}
	assert_int_equal(read_more(wire.data, wire.length), HELLO_OK);
	assert_usual_name();
}

static void large_hellos(void **state)
{
	/* Message bytes, the cap, and what it is to them. */
	static const struct {
		size_t size, cap;
		enum hello_status status;
	} hellos[] = {
		{4500, HELLO_MAX_DEFAULT, HELLO_OK},
		{15900, HELLO_MAX_DEFAULT, HELLO_OK},
		{16384, HELLO_MAX_DEFAULT, HELLO_OK},
		{16385, HELLO_MAX_DEFAULT, HELLO_TOO_LARGE},
		{20000, HELLO_MAX_DEFAULT, HELLO_TOO_LARGE},
		{20000, 32768, HELLO_OK},
		{65536, HELLO_MAX_LIMIT, HELLO_OK},
		{65537, HELLO_MAX_LIMIT, HELLO_TOO_LARGE},
	};
	static const size_t records[] = {16384, 1000, 1};

	(void)state;
	for (size_t i = 0; i < COUNT(hellos); i++) {
		message_of_size(hellos[i].size);
		for (size_t j = 0; j < COUNT(records); j++) {
			wire_in_records_of(records[j]);
			reader_reset();
			assert_int_equal(read_capped(wire.data, wire.length,
						     hellos[i].cap),
					 hellos[i].status);
			if (hellos[i].status != HELLO_OK)
				continue;
			assert_usual_name();
			assert_int_equal(hello.wire_bytes, wire.length);
		}
	}
}

static void too_large_is_told_with_the_message_header(void **state)
{
	static const uint8_t start[] = {22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfd};
	static const uint8_t most[] = {22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff};
	static const uint8_t just[] = {22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc};

	(void)state;
	assert_verdict_with_last_byte(start, sizeof(start), HELLO_TOO_LARGE);
	assert_verdict_with_last_byte(most, sizeof(most), HELLO_TOO_LARGE);
	assert_verdict_with_last_byte(just, sizeof(just), HELLO_PARTIAL);
}

static void what_follows_the_hello_is_left_alone(void **state)
{
	static const uint8_t early[9000] = {0xee};
	size_t hello_bytes;

	(void)state;
	message_usual();
	wire_in_records_of(16384);
	hello_bytes = wire.length;
	put_record(20, (const uint8_t *)"\1", 1);
	put_record(23, early, sizeof(early));
	assert_int_equal(read_wire(), HELLO_OK);
	assert_int_equal(hello.wire_bytes, hello_bytes);
	assert_usual_name();

	wire.length = hello_bytes;
	put_fill(&wire, 100, 0xff); /* not even a record */
	assert_int_equal(read_wire(), HELLO_OK);
	assert_int_equal(hello.wire_bytes, hello_bytes);
}

static void asked_again_it_says_the_same(void **state)
{
	(void)state;
	message_usual();
	wire_in_records_of(10);
	assert_int_equal(read_wire(), HELLO_OK);
	memset(&hello, 0, sizeof(hello));
	assert_int_equal(read_more(wire.data, wire.length), HELLO_OK);
	assert_usual_name();
	assert_int_equal(hello.wire_bytes, wire.length);
}

static void result_is_written_only_when_ok(void **state)
{
	struct hello before;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	message_with(SUPPORTED_VERSIONS, "\2\3\4\0", 4);
	wire_in_records_of(16384);
	reader_reset();
	hello = before;
	assert_int_equal(read_more(wire.data, wire.length), HELLO_MALFORMED);
	assert_memory_equal(&hello, &before, sizeof(hello));
}

/* ---- what is no hello --------------------------------------------------- */

static void first_byte_alone_tells_what_is_not_tls(void **state)
{
	(void)state;
	assert_int_equal(read_bytes("", 0), HELLO_PARTIAL);
	for (unsigned first = 0; first < 256; first++) {
		uint8_t byte = (uint8_t)first;
		bool tls = first >= 20 && first <= 23;

		assert_int_equal(read_bytes(&byte, 1),
				 tls ? HELLO_PARTIAL : HELLO_NOT_TLS);
	}
}

static void ssh_http_and_proxy_headers_are_not_tls(void **state)
{
	(void)state;
	assert_int_equal(read_bytes("SSH-2.0-x\r\n", 11), HELLO_NOT_TLS);
	assert_int_equal(read_bytes("GET / HTTP/1.1\r\n", 16), HELLO_NOT_TLS);
	assert_int_equal(read_bytes("PROXY TCP4 ", 11), HELLO_NOT_TLS);
	assert_int_equal(read_bytes("\r\n\r\n\0\r\nQUIT\n", 12), HELLO_NOT_TLS);
}

static void sslv2_hello_is_not_tls(void **state)
{
	/* Two bytes of length, CLIENT-HELLO, TLS 1.0, lengths of the cipher
	 * specs, session id and challenge. */
	static const uint8_t sslv2[] = {0x80, 0x2e, 1, 3, 1,   0,
					0x15, 0,    0, 0, 0x10};

	(void)state;
	assert_int_equal(read_bytes(sslv2, sizeof(sslv2)), HELLO_NOT_TLS);
}

static void other_major_version_is_not_tls(void **state)
{
	(void)state;
	for (unsigned major = 0; major < 256; major++) {
		uint8_t start[] = {22, (uint8_t)major};

		assert_int_equal(read_bytes(start, 2),
				 major == 3 ? HELLO_PARTIAL : HELLO_NOT_TLS);
	}
}

static void record_of_another_type_is_malformed(void **state)
{
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 1, 0};
	static const uint8_t change_cipher_spec[] = {20, 3, 3, 0, 1, 1};
	static const uint8_t application_data[] = {23, 3, 3, 0, 1, 0};

	(void)state;
	assert_verdict_with_last_byte(alert, 2, HELLO_MALFORMED);
	assert_verdict_with_last_byte(change_cipher_spec, 2, HELLO_MALFORMED);
	assert_verdict_with_last_byte(application_data, 2, HELLO_MALFORMED);
	assert_int_equal(read_bytes(alert, sizeof(alert)), HELLO_MALFORMED);
}

static void record_of_another_type_inside_a_hello_is_malformed(void **state)
{
	static const uint8_t headers[][2] = {{20, 3}, {21, 3}, {23, 3},
					     {22, 2}, {0, 3},  {'G', 'E'}};

	(void)state;
	message_usual();
	for (size_t i = 0; i < COUNT(headers); i++) {
		wire.length = 0;
		put_record(22, message.data, 50);
		put_data(&wire, headers[i], 2);
		put(&wire, 2, 0x0100);
		assert_int_equal(read_bytes(wire.data, 55), HELLO_PARTIAL);
		assert_int_equal(read_more(wire.data, 57), HELLO_MALFORMED);
	}
}

static void impossible_record_length_is_refused_with_its_header(void **state)
{
	static const uint8_t empty[] = {22, 3, 1, 0, 0};
	static const uint8_t long_by_one[] = {22, 3, 1, 0x40, 1};
	static const uint8_t longest[] = {22, 3, 1, 0xff, 0xff};

	(void)state;
	assert_verdict_with_last_byte(empty, 5, HELLO_MALFORMED);
	assert_verdict_with_last_byte(long_by_one, 5, HELLO_MALFORMED);
	assert_verdict_with_last_byte(longest, 5, HELLO_MALFORMED);

	message_usual();
	wire.length = 0;
	put_record(22, message.data, 50);
	put_record(22, NULL, 0);
	assert_verdict_with_last_byte(wire.data, 60, HELLO_MALFORMED);
}

static void record_version_is_known_after_a_fault(void **state)
{
	static const uint8_t start[] = {22, 3, 3, 0, 100, 2};

	(void)state;
	assert_int_equal(read_bytes(start, 4), HELLO_PARTIAL);
	assert_int_equal(reader.record_version, 0);
	assert_int_equal(read_bytes(start, 6), HELLO_MALFORMED);
	assert_int_equal(reader.record_version, 0x0303);
}

static void record_version_is_that_of_the_first_record(void **state)
{
	(void)state;
	message_usual();
	wire_in_records_of(300);
	wire.data[5 + 300 + 2] = 3; /* the second one: TLS 1.2 */
	assert_int_equal(read_wire(), HELLO_OK);
	assert_int_equal(reader.record_version, 0x0301);
}

/* ---- alerts ------------------------------------------------------------- */

static void alert_is_a_fatal_one_in_a_record_of_its_own(void **state)
{
	/* Content type alert, version, length, level fatal, description. */
	static const uint8_t expected[] = {21, 3, 1, 0, 2, 2, 112};
	uint8_t record[HELLO_ALERT_BYTES];

	(void)state;
	hello_alert_record(HELLO_ALERT_UNRECOGNIZED_NAME, 0x0301, record);
	assert_memory_equal(record, expected, sizeof(expected));
	hello_alert_record(HELLO_ALERT_DECODE_ERROR, 0x0301, record);
	assert_int_equal(record[6], 50);
	hello_alert_record(HELLO_ALERT_INTERNAL_ERROR, 0x0301, record);
	assert_int_equal(record[6], 80);
}

static void alert_version_is_one_that_clients_know(void **state)
{
	static const struct {
		uint16_t client, alert;
	} versions[] = {{0, 0x0301},	  {0x0200, 0x0300}, {0x0300, 0x0300},
			{0x0302, 0x0302}, {0x0303, 0x0303}, {0x0304, 0x0303},
			{0x03ff, 0x0303}};
	uint8_t record[HELLO_ALERT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		hello_alert_record(HELLO_ALERT_DECODE_ERROR, versions[i].client,
				   record);
		assert_int_equal(record[1] << 8 | record[2], versions[i].alert);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_anywhere_is_partial),
		cmocka_unit_test(one_byte_at_a_time),
		cmocka_unit_test(two_segments_cut_anywhere),
		cmocka_unit_test(two_records_cut_anywhere),
		cmocka_unit_test(records_of_any_size),
		cmocka_unit_test(walked_records_are_not_walked_again),
		cmocka_unit_test(large_hellos),
		cmocka_unit_test(too_large_is_told_with_the_message_header),
		cmocka_unit_test(what_follows_the_hello_is_left_alone),
		cmocka_unit_test(asked_again_it_says_the_same),
		cmocka_unit_test(result_is_written_only_when_ok),
		cmocka_unit_test(first_byte_alone_tells_what_is_not_tls),
		cmocka_unit_test(ssh_http_and_proxy_headers_are_not_tls),
		cmocka_unit_test(sslv2_hello_is_not_tls),
		cmocka_unit_test(other_major_version_is_not_tls),
		cmocka_unit_test(record_of_another_type_is_malformed),
		cmocka_unit_test(
			record_of_another_type_inside_a_hello_is_malformed),
		cmocka_unit_test(
			impossible_record_length_is_refused_with_its_header),
		cmocka_unit_test(record_version_is_known_after_a_fault),
		cmocka_unit_test(record_version_is_that_of_the_first_record),
		cmocka_unit_test(alert_is_a_fatal_one_in_a_record_of_its_own),
		cmocka_unit_test(alert_version_is_one_that_clients_know),
	};

	return cmocka_run_group_tests_name("hello records", tests, NULL,
					   reader_done);
}
