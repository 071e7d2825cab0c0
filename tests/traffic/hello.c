// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ClientHello: one that any TLS server would read (RFC 8446 section
 * 4.1.2), with the pact in a private extension and, in legacy_session_id, a
 * hash over the whole message.
 */
#include "traffic.h"

#include <stdio.h>
#include <string.h>

/* RFC 8447 section 7: first byte 255 is reserved for private use. */
#define EXTENSION_PACT 0xff53
#define PACT_BYTES (8 + 8 + 2 * 34 + 2 * 18 + 4 + 4)
/* Behind type, length, legacy_version, random and the session id's length. */
#define HASH_OFFSET (4 + 2 + 32 + 1)
#define HASH_BYTES 8
#define RECORD_HEADER 5
#define RECORD_MAX 16384

struct writer {
	uint8_t *data;
	size_t length;
};

static void put(struct writer *writer, uint64_t value, unsigned bytes)
{
	while (bytes--)
		writer->data[writer->length++] = (uint8_t)(value >> 8 * bytes);
}

static void put_bytes(struct writer *writer, const void *data, size_t length)
{
	memcpy(writer->data + writer->length, data, length);
	writer->length += length;
}

/* A length field of @bytes: reserved here, filled by put_end(). */
static size_t put_begin(struct writer *writer, unsigned bytes)
{
	put(writer, 0, bytes);
	return writer->length;
}

static void put_end(struct writer *writer, size_t begin, unsigned bytes)
{
	struct writer field = {writer->data, begin - bytes};

	put(&field, writer->length - begin, bytes);
}

struct reader {
	const uint8_t *data;
	size_t length;
};

static uint64_t get(struct reader *reader, unsigned bytes)
{
	uint64_t value = 0;

	if (reader->length < bytes) {
		reader->length = 0;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | reader->data[i];
	reader->data += bytes;
	reader->length -= bytes;
	return value;
}

static struct reader get_block(struct reader *reader, unsigned bytes)
{
	size_t length = get(reader, bytes);
	struct reader block = {reader->data, length};

	if (length > reader->length)
		block.length = length = 0;
	reader->data += length;
	reader->length -= length;
	return block;
}

static void put_plan(struct writer *writer, const struct plan *plan)
{
	put(writer, plan->bytes, 8);
	put(writer, plan->stall_at, 8);
	put(writer, plan->stall_ms, 4);
	put(writer, plan->chunk, 4);
	put(writer, plan->pace_us, 4);
	put(writer, plan->message, 4);
	put(writer, plan->start, 1);
	put(writer, plan->end, 1);
}

static void get_plan(struct reader *reader, struct plan *ret_plan)
{
	ret_plan->bytes = get(reader, 8);
	ret_plan->stall_at = get(reader, 8);
	ret_plan->stall_ms = (uint32_t)get(reader, 4);
	ret_plan->chunk = (uint32_t)get(reader, 4);
	ret_plan->pace_us = (uint32_t)get(reader, 4);
	ret_plan->message = (uint32_t)get(reader, 4);
	ret_plan->start = (uint8_t)get(reader, 1);
	ret_plan->end = (uint8_t)get(reader, 1);
}

static void put_place(struct writer *writer, const struct place *place)
{
	put_bytes(writer, &place->address, sizeof(place->address));
	put(writer, place->port, 2);
}

static void get_place(struct reader *reader, struct place *ret_place)
{
	for (unsigned i = 0; i < sizeof(ret_place->address); i++)
		ret_place->address.s6_addr[i] = (uint8_t)get(reader, 1);
	ret_place->port = (uint16_t)get(reader, 2);
}

/* FNV-1a, 64 bits, with the hash's own place taken as zeros. */
static uint64_t hash_message(const uint8_t *message, size_t length)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < length; i++) {
		bool own = i >= HASH_OFFSET && i < HASH_OFFSET + HASH_BYTES;

		hash = (hash ^ (own ? 0 : message[i])) * 0x100000001b3ULL;
	}
	return hash;
}

static void put_random(struct writer *writer, uint64_t key, unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		put(writer, pattern_mix(key, i), 8);
}

static void put_server_name(struct writer *writer, const char *name)
{
	size_t extension, list, host;

	put(writer, 0, 2);
	extension = put_begin(writer, 2);
	list = put_begin(writer, 2);
	put(writer, 0, 1);
	host = put_begin(writer, 2);
	put_bytes(writer, name, strlen(name));
	put_end(writer, host, 2);
	put_end(writer, list, 2);
	put_end(writer, extension, 2);
}

static void put_alpn(struct writer *writer, const struct options *options)
{
	size_t extension, list, protocol;

	put(writer, 16, 2);
	extension = put_begin(writer, 2);
	list = put_begin(writer, 2);
	for (unsigned i = 0; i < options->alpn_count; i++) {
		protocol = put_begin(writer, 1);
		put_bytes(writer, options->alpn[i], strlen(options->alpn[i]));
		put_end(writer, protocol, 1);
	}
	put_end(writer, list, 2);
	put_end(writer, extension, 2);
}

static void put_tls13(struct writer *writer, uint64_t key)
{
	static const uint8_t fixed[] = {
		/* supported_versions: 1.3, 1.2 */
		0, 43, 0, 5, 4, 3, 4, 3, 3,
		/* supported_groups: x25519, secp256r1 */
		0, 10, 0, 6, 0, 4, 0, 29, 0, 23,
		/* signature_algorithms */
		0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 8, 7,
		/* key_share: x25519, 32 bytes follow */
		0, 51, 0, 38, 0, 36, 0, 29, 0, 32};

	put_bytes(writer, fixed, sizeof(fixed));
	put_random(writer, key, 4);
}

static void put_padding(struct writer *writer, size_t length)
{
	put(writer, 21, 2);
	put(writer, length, 2);
	memset(writer->data + writer->length, 0, length);
	writer->length += length;
}

static void put_extensions(struct writer *writer, const struct options *options,
			   const struct pact *pact, const char *name,
			   size_t records)
{
	uint64_t key = pattern_mix(pact->seed, pact->id);
	/* What put_server_name() will take. */
	size_t late = options->name_last && *name ? 9 + strlen(name) : 0;
	size_t used;

	if (*name && !late)
		put_server_name(writer, name);
	put_tls13(writer, key);
	if (options->alpn_count)
		put_alpn(writer, options);
	put(writer, EXTENSION_PACT, 2);
	put(writer, PACT_BYTES, 2);
	put(writer, pact->seed, 8);
	put(writer, pact->id, 8);
	put_plan(writer, &pact->client);
	put_plan(writer, &pact->server);
	put_place(writer, &pact->source);
	put_place(writer, &pact->destination);
	put(writer, records, 4);
	put(writer, 0, 4);
	used = writer->length + late + 4;
	if (options->hello_bytes >= used)
		put_padding(writer, options->hello_bytes - used);
	if (late)
		put_server_name(writer, name);
}

static void build_message(struct writer *writer, const struct options *options,
			  const struct pact *pact, const char *name,
			  size_t records)
{
	/* Three suites of TLS 1.3 and two of 1.2; no compression. */
	static const uint8_t suites[] = {0, 10,	  0x13, 1,    0x13, 2, 0x13,
					 3, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0};
	uint64_t key = pattern_mix(pact->id, pact->seed);
	struct writer hash = {writer->data, HASH_OFFSET};
	size_t message, extensions;

	put(writer, 1, 1);
	message = put_begin(writer, 3);
	put(writer, 0x0303, 2);
	put_random(writer, key, 4);
	put(writer, 32, 1);
	put_random(writer, ~key, 4);
	put_bytes(writer, suites, sizeof(suites));
	extensions = put_begin(writer, 2);
	put_extensions(writer, options, pact, name, records);
	put_end(writer, extensions, 2);
	put_end(writer, message, 3);
	put(&hash, hash_message(writer->data, writer->length), HASH_BYTES);
}

size_t preface_build(const struct options *options, const struct pact *pact,
		     const char *name, uint8_t *buffer)
{
	static uint8_t message[65536 + 4096];
	struct writer hello = {message, 0}, wire = {buffer, 0};
	size_t records = options->records, piece;

	if (options->proxy_version)
		wire.length = proxy_write(options->proxy_version, &pact->source,
					  &pact->destination, buffer);
	build_message(&hello, options, pact, name, 0);
	if (records > hello.length)
		records = hello.length;
	if (records * RECORD_MAX < hello.length)
		records = (hello.length + RECORD_MAX - 1) / RECORD_MAX;
	hello.length = 0;
	build_message(&hello, options, pact, name, records);
	for (size_t i = 0, done = 0; i < records; i++, done += piece) {
		piece = hello.length * (i + 1) / records - done;
		put(&wire, 22, 1);
		put(&wire, 0x0301, 2);
		put(&wire, piece, 2);
		put_bytes(&wire, message + done, piece);
	}
	return wire.length;
}

static bool read_pact(struct reader extension, struct pact *ret_pact,
		      size_t *ret_records)
{
	if (extension.length != PACT_BYTES)
		return false;
	ret_pact->seed = get(&extension, 8);
	ret_pact->id = get(&extension, 8);
	get_plan(&extension, &ret_pact->client);
	get_plan(&extension, &ret_pact->server);
	get_place(&extension, &ret_pact->source);
	get_place(&extension, &ret_pact->destination);
	*ret_records = get(&extension, 4);
	return true;
}

static const char *read_message(const uint8_t *data, size_t length,
				size_t records, struct pact *ret_pact,
				char *ret_name)
{
	struct reader message = {data, length};
	struct reader hash = {data + HASH_OFFSET, HASH_BYTES};
	struct reader extensions;
	size_t records_sent = 0;
	bool found = false;

	*ret_name = '\0';
	if (length < HASH_OFFSET + HASH_BYTES ||
	    get(&hash, HASH_BYTES) != hash_message(data, length))
		return "it is not the message that was sent";
	get(&message, 4);
	get(&message, 2);
	for (int i = 0; i < 4; i++)
		get(&message, 8);
	get_block(&message, 1);
	get_block(&message, 2);
	get_block(&message, 1);
	extensions = get_block(&message, 2);
	while (extensions.length) {
		uint64_t type = get(&extensions, 2);
		struct reader extension = get_block(&extensions, 2);

		if (type == EXTENSION_PACT)
			found = read_pact(extension, ret_pact, &records_sent);
		if (!type && extension.length > 5 && extension.length < 256)
			snprintf(ret_name, 256, "%.*s",
				 (int)extension.length - 5,
				 (const char *)extension.data + 5);
	}
	if (!found)
		return "it carries no pact";
	return records == records_sent ? NULL : "it came in other records";
}

ptrdiff_t hello_check(const uint8_t *data, size_t length, struct pact *ret_pact,
		      char *ret_name, const char **ret_fault)
{
	static uint8_t message[65536 + 4096];
	struct reader wire = {data, length};
	size_t collected = 0, records = 0, size = 4;

	while (collected < size) {
		struct reader header = wire;
		uint64_t type = get(&header, 1);
		struct reader record;

		if (wire.length && type != 22) {
			*ret_fault = "its first byte is no handshake record's";
			return -1;
		}
		get(&header, 2);
		if (wire.length < RECORD_HEADER ||
		    (size_t)(wire.data[3] << 8 | wire.data[4]) >
			    wire.length - RECORD_HEADER)
			return 0;
		record = get_block(&header, 2);
		if (!record.length || record.length > RECORD_MAX ||
		    collected + record.length > sizeof(message)) {
			*ret_fault = "a record is empty or too long";
			return -1;
		}
		memcpy(message + collected, record.data, record.length);
		collected += record.length;
		records++;
		wire = header;
		if (collected >= 4)
			size = 4 + (size_t)(message[1] << 16 | message[2] << 8 |
					    message[3]);
	}
	*ret_fault =
		read_message(message, collected, records, ret_pact, ret_name);
	return *ret_fault ? -1 : (ptrdiff_t)(length - wire.length);
}
