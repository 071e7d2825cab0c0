// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is what a client sends. Beside not crashing: the verdict is the
 * same however the bytes arrive and however records cut the message. */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#define REQUIRE(truth)                                                         \
	do {                                                                   \
		if (!(truth))                                                  \
			abort();                                               \
	} while (0)

/* The input as far as it has arrived, and a message put together anew. */
static uint8_t arrived[128 * 1024];
static uint8_t recut[6 * HELLO_MAX_DEFAULT];

struct verdict {
	enum hello_status status;
	struct hello hello;
	struct hello_reader reader;
	size_t length; /* the bytes that it took */
	uint8_t message[HELLO_MAX_DEFAULT];
};

static struct verdict whole, other;

/* The same for the same input, so that a finding can be had again. */
static size_t next_random(uint32_t *seed, size_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 16) % below;
}

static uint32_t seed_of(struct span input)
{
	uint32_t seed = (uint32_t)input.length;

	for (size_t i = 0; i < input.length; i++)
		seed = (seed ^ input.data[i]) * 16777619;
	return seed;
}

static void verdict_reset(struct verdict *verdict)
{
	memset(&verdict->reader, 0, sizeof(verdict->reader));
	memset(&verdict->hello, 0, sizeof(verdict->hello));
}

static void read_more(struct verdict *verdict, struct span wire,
		      size_t max_bytes)
{
	verdict->status = hello_read(&verdict->reader, wire, max_bytes,
				     verdict->message, &verdict->hello);
	verdict->length = wire.length;
}

static void read_whole(struct verdict *verdict, struct span wire,
		       size_t max_bytes)
{
	verdict_reset(verdict);
	read_more(verdict, wire, max_bytes);
}

/* Pieces of at most so many bytes, until there is a verdict. What has not
 * arrived yet is poisoned: not a byte of it may be read. */
static void read_pieces(struct verdict *verdict, struct span wire, size_t most,
			uint32_t seed)
{
	struct span piece;

	verdict_reset(verdict);
	ASAN_POISON_MEMORY_REGION(arrived, sizeof(arrived));
	for (size_t length = 0; wire.length; length += piece.length) {
		size_t next = 1 + next_random(&seed, most);

		if (next > wire.length)
			next = wire.length;
		REQUIRE(span_take(&wire, next, &piece));
		ASAN_UNPOISON_MEMORY_REGION(arrived, length + piece.length);
		memcpy(arrived + length, piece.data, piece.length);
		read_more(verdict,
			  (struct span){arrived, length + piece.length},
			  HELLO_MAX_DEFAULT);
		if (verdict->status != HELLO_PARTIAL)
			break;
	}
	ASAN_UNPOISON_MEMORY_REGION(arrived, sizeof(arrived));
}

static bool span_inside(struct span inner, const uint8_t *data, size_t length)
{
	return !inner.length || (inner.data >= data &&
				 inner.data + inner.length <= data + length);
}

static void require_sound(const struct verdict *verdict, struct span wire)
{
	const struct hello *hello = &verdict->hello;
	const uint8_t *data = wire.data;
	size_t length = hello->wire_bytes;
	struct span list = hello->alpn, protocol;
	unsigned count = 0;

	REQUIRE(hello->wire_bytes <= wire.length);
	if (verdict->reader.records > 1) {
		data = verdict->message;
		length = verdict->reader.message_size;
	}
	REQUIRE(span_inside(hello->host_name, data, length));
	REQUIRE(span_inside(hello->alpn, data, length));
	for (; list.length; count++)
		REQUIRE(span_take_block(&list, 1, &protocol) &&
			protocol.length);
	REQUIRE(count == hello->alpn_count);
}

static bool span_equal(struct span a, struct span b)
{
	return a.length == b.length &&
	       (!a.length || !memcmp(a.data, b.data, a.length));
}

/* What does not depend on how the bytes came. */
static void require_same_hello(const struct hello *a, const struct hello *b)
{
	REQUIRE(a->legacy_version == b->legacy_version);
	REQUIRE(a->highest_version == b->highest_version);
	REQUIRE(a->ech == b->ech);
	REQUIRE(a->early_data == b->early_data);
	REQUIRE(a->alpn_count == b->alpn_count);
	REQUIRE(span_equal(a->alpn, b->alpn));
	REQUIRE(span_equal(a->host_name, b->host_name));
}

/* The verdict in pieces is that on the whole; and told with the first byte
 * that allows it, for a good hello with its last. */
static void check_pieces(struct span wire)
{
	uint32_t seed = seed_of(wire);

	for (size_t most = 1; most <= 4096; most *= 16) {
		read_pieces(&other, wire, most, seed);
		REQUIRE(other.status == whole.status);
		if (whole.status != HELLO_OK)
			continue;
		require_same_hello(&other.hello, &whole.hello);
		REQUIRE(other.hello.wire_bytes == whole.hello.wire_bytes);
		REQUIRE(most > 1 || other.length == whole.hello.wire_bytes);
	}
}

/* The cap counts the message: its size is enough, one byte less is not. */
static void check_cap(struct span wire)
{
	uint32_t size = whole.reader.message_size;

	read_whole(&other, wire, size);
	REQUIRE(other.status == HELLO_OK);
	read_whole(&other, wire, size - 1);
	REQUIRE(other.status == HELLO_TOO_LARGE);
}

/* The same message in other records is the same hello. */
static void check_records(struct span wire)
{
	struct span header,
		message = {whole.message, whole.reader.message_size};
	uint32_t seed = seed_of(wire);
	size_t most = 1 + next_random(&seed, message.length), length = 0;

	if (whole.reader.records == 1)
		REQUIRE(span_take(&wire, 5, &header) &&
			span_take(&wire, message.length, &message));
	while (message.length) {
		size_t next = 1 + next_random(&seed, most);
		struct span fragment;

		if (next > message.length)
			next = message.length;
		REQUIRE(span_take(&message, next, &fragment));
		recut[length++] = 22;
		recut[length++] = 3;
		recut[length++] = 1;
		recut[length++] = (uint8_t)(next >> 8);
		recut[length++] = (uint8_t)next;
		memcpy(recut + length, fragment.data, next);
		length += next;
	}
	read_whole(&other, (struct span){recut, length}, HELLO_MAX_DEFAULT);
	REQUIRE(other.status == HELLO_OK);
	REQUIRE(other.hello.wire_bytes == length);
	require_same_hello(&other.hello, &whole.hello);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct span wire = {data, length};

	if (length > sizeof(arrived))
		return 0;
	read_whole(&whole, wire, HELLO_MAX_DEFAULT);
	if (length)
		check_pieces(wire);
	if (whole.status == HELLO_OK) {
		require_sound(&whole, wire);
		check_cap(wire);
		check_records(wire);
	}
	return 0;
}
