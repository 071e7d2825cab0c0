/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A run of bytes that somebody else owns, and a cursor that cannot leave it. */
#ifndef SNICTL_SPAN_H
#define SNICTL_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct span - borrowed bytes; @data may be NULL only if @length is 0. */
struct span {
	const uint8_t *data;
	size_t length;
};

/**
 * span_take() - cut the first bytes off a span.
 * @from:     shortened by @length bytes, only on success.
 * @ret_head: the bytes cut off; written only on success.
 *
 * Return: false if @from is shorter than @length.
 */
static inline bool span_take(struct span *from, size_t length,
			     struct span *ret_head)
{
	if (from->length < length)
		return false;
	*ret_head = (struct span){from->data, length};
	from->data += length;
	from->length -= length;
	return true;
}

/** span_take_u8() - read one byte. Return: false if there is none. */
static inline bool span_take_u8(struct span *from, uint8_t *ret_value)
{
	struct span head;

	if (!span_take(from, 1, &head))
		return false;
	*ret_value = head.data[0];
	return true;
}

/** span_take_u16() - read two bytes, most significant first. */
static inline bool span_take_u16(struct span *from, uint16_t *ret_value)
{
	struct span head;

	if (!span_take(from, 2, &head))
		return false;
	*ret_value = (uint16_t)(head.data[0] << 8 | head.data[1]);
	return true;
}

/**
 * span_take_block() - read a block behind its own length.
 * @length_bytes: size of the length field, 1 to 3 bytes (a TLS vector).
 * @ret_block:    the block without the length field; written on success.
 *
 * Return: false, and @from unchanged, if the block does not fit.
 */
static inline bool span_take_block(struct span *from, unsigned length_bytes,
				   struct span *ret_block)
{
	struct span rest = *from, head;
	size_t length = 0;

	if (!span_take(&rest, length_bytes, &head))
		return false;
	for (unsigned i = 0; i < length_bytes; i++)
		length = length << 8 | head.data[i];
	if (!span_take(&rest, length, ret_block))
		return false;
	*from = rest;
	return true;
}

#endif
