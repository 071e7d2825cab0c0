/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hello bytes made by a builder, and read by the reader under test. One message
 * and one wire at a time. */
#ifndef SNICTL_TESTS_HELLO_BYTES_H
#define SNICTL_TESTS_HELLO_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../userspace/hello.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A string literal as bytes and their number. */
#define BYTES(text) (text), sizeof(text) - 1
#define NAME "hello.example.com"

/* IANA, TLS ExtensionType Values. */
enum {
	SERVER_NAME = 0,
	ALPN = 16,
	PADDING = 21,
	EARLY_DATA = 42,
	SUPPORTED_VERSIONS = 43,
	ECH = 0xfe0d
};

/* ---- a builder for hello bytes ------------------------------------------ */

struct bytes {
	size_t length;
	uint8_t data[6 * (HELLO_MAX_LIMIT + 1) + 16384];
};

/* The handshake message, and the records that carry it. */
static struct bytes message, wire;

/* Where the message's length fields stand. */
static struct {
	size_t at;
	unsigned bytes;
} lengths[64];
static size_t length_count;

/* A number, most significant byte first. */
static inline void put(struct bytes *to, unsigned bytes, size_t value)
{
	while (bytes--)
		to->data[to->length++] = (uint8_t)(value >> 8 * bytes);
}

static inline void put_data(struct bytes *to, const void *data, size_t length)
{
	if (length)
		memcpy(to->data + to->length, data, length);
	to->length += length;
}

static inline void put_fill(struct bytes *to, size_t length, uint8_t fill)
{
	memset(to->data + to->length, fill, length);
	to->length += length;
}

/* A block behind its length. Return: where it stands, for block_end(). */
static inline size_t block_begin(unsigned length_bytes)
{
	size_t at = message.length;

	put(&message, length_bytes, 0);
	if (length_count < COUNT(lengths)) {
		lengths[length_count].at = at;
		lengths[length_count++].bytes = length_bytes;
	}
	return at;
}

static inline void block_end(size_t at, unsigned length_bytes)
{
	size_t end = message.length;

	message.length = at;
	put(&message, length_bytes, end - at - length_bytes);
	message.length = end;
}

/* A ClientHello up to its extensions (RFC 8446 section 4.1.2). */
static inline void fixed_part(uint16_t legacy_version)
{
	size_t block;

	message.length = 0;
	length_count = 0;
	put(&message, 1, 1); /* msg_type client_hello */
	block_begin(3);
	put(&message, 2, legacy_version);
	put_fill(&message, 32, 0xaa); /* random */
	block = block_begin(1);	      /* legacy_session_id */
	put_fill(&message, 32, 0xbb);
	block_end(block, 1);
	block = block_begin(2);	  /* cipher_suites */
	put(&message, 2, 0x1301); /* TLS_AES_128_GCM_SHA256 */
	put(&message, 2, 0x00ff); /* empty renegotiation info */
	block_end(block, 2);
	block = block_begin(1); /* legacy_compression_methods */
	put(&message, 1, 0);
	block_end(block, 1);
}

static inline size_t extensions_begin(void)
{
	fixed_part(0x0303);
	return block_begin(2);
}

static inline void message_end(void)
{
	block_end(1, 3);
}

static inline void extensions_end(size_t extensions)
{
	block_end(extensions, 2);
	message_end();
}

static inline size_t extension_begin(uint16_t type)
{
	put(&message, 2, type);
	return block_begin(2);
}

static inline void add_extension(uint16_t type, const void *data, size_t length)
{
	size_t extension = extension_begin(type);

	put_data(&message, data, length);
	block_end(extension, 2);
}

/* RFC 6066 section 3. */
static inline void add_server_name(const char *name, size_t length)
{
	size_t extension = extension_begin(SERVER_NAME);
	size_t list = block_begin(2);
	size_t host_name;

	put(&message, 1, 0); /* name_type host_name */
	host_name = block_begin(2);
	put_data(&message, name, length);
	block_end(host_name, 2);
	block_end(list, 2);
	block_end(extension, 2);
}

/* A whole message with one extension of these bytes. */
static inline void message_with(uint16_t type, const void *data, size_t length)
{
	size_t extensions = extensions_begin();

	add_extension(type, data, length);
	extensions_end(extensions);
}

/* What a client of today sends. The padding stands last, so that no length
 * made longer swallows its neighbours and makes another whole message. */
static inline void message_usual(void)
{
	size_t extensions = extensions_begin();
	size_t padding;

	add_server_name(NAME, strlen(NAME));
	add_extension(ALPN, BYTES("\0\x0c\2h2\10http/1.1"));
	add_extension(SUPPORTED_VERSIONS, BYTES("\4\3\4\3\3"));
	padding = extension_begin(PADDING);
	put_fill(&message, 300, 0);
	block_end(padding, 2);
	extensions_end(extensions);
}

/* The usual name in a message of so many bytes with the handshake header. */
static inline void message_of_size(size_t size)
{
	size_t extensions = extensions_begin();
	size_t padding;

	/* In front, so that the name is at the far end. */
	padding = extension_begin(PADDING);
	put_fill(&message, size - message.length - 9 - strlen(NAME), 0);
	block_end(padding, 2);
	add_server_name(NAME, strlen(NAME));
	extensions_end(extensions);
	assert_int_equal(message.length, size);
}

/* One record (RFC 8446 section 5.1). */
static inline void put_record(uint8_t type, const uint8_t *fragment,
			      size_t length)
{
	put(&wire, 1, type);
	put(&wire, 2, 0x0301);
	put(&wire, 2, length);
	put_data(&wire, fragment, length);
}

/* The message in records of at most so many bytes. */
static inline void wire_in_records_of(size_t most)
{
	wire.length = 0;
	for (size_t at = 0; at < message.length; at += most) {
		size_t left = message.length - at;

		put_record(22, message.data + at, left < most ? left : most);
	}
}

/* ---- reading it --------------------------------------------------------- */

static struct hello_reader reader;
static struct hello hello;
static uint8_t scratch[HELLO_MAX_LIMIT];
static uint8_t *copy;

/* What the reader says of these bytes: they lie in an allocation of just
 * their size, so that the address sanitizer sees a read outside. */
static inline enum hello_status read_capped(const void *data, size_t length,
					    size_t max_bytes)
{
	free(copy);
	copy = malloc(length ? length : 1);
	assert_non_null(copy);
	if (length)
		memcpy(copy, data, length);
	return hello_read(&reader, (struct span){copy, length}, max_bytes,
			  scratch, &hello);
}

static inline enum hello_status read_more(const void *data, size_t length)
{
	return read_capped(data, length, HELLO_MAX_DEFAULT);
}

static inline void reader_reset(void)
{
	memset(&reader, 0, sizeof(reader));
	memset(&hello, 0, sizeof(hello));
}

static inline enum hello_status read_bytes(const void *data, size_t length)
{
	reader_reset();
	return read_more(data, length);
}

static inline enum hello_status read_wire(void)
{
	return read_bytes(wire.data, wire.length);
}

/* The message in one record. */
static inline enum hello_status read_message(void)
{
	wire_in_records_of(16384);
	return read_wire();
}

static inline enum hello_status read_extension(uint16_t type, const void *data,
					       size_t length)
{
	message_with(type, data, length);
	return read_message();
}

static inline void assert_span(struct span span, const void *data,
			       size_t length)
{
	assert_int_equal(span.length, length);
	assert_memory_equal(span.data, data, length);
}

static inline void assert_usual_name(void)
{
	assert_span(hello.host_name, NAME, strlen(NAME));
}

/* PARTIAL for each shorter piece, and the verdict with the last byte. */
static inline void assert_verdict_with_last_byte(const void *data,
						 size_t length,
						 enum hello_status verdict)
{
	for (size_t i = 0; i < length; i++)
		assert_int_equal(read_bytes(data, i), HELLO_PARTIAL);
	assert_int_equal(read_bytes(data, length), verdict);
}

static inline int reader_done(void **state)
{
	(void)state;
	free(copy);
	return 0;
}

#endif
