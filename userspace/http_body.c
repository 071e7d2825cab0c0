// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "http_body.h"

/* 60 bits: what is added to a size of so many digits never overflows. */
#define CHUNK_DIGITS_MAX 15

enum step {
	STEP_FIRST_DIGIT,
	STEP_DIGITS,
	STEP_EXTENSION,
	STEP_SIZE_LF,
	STEP_DATA,
	STEP_DATA_CR,
	STEP_DATA_LF,
	STEP_TRAILER_START, /* of a line */
	STEP_TRAILER,
	STEP_TRAILER_LF,
	STEP_LAST_LF,
	STEP_END
};

static int digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* What a line may hold between its ends: RFC 9110 section 5.5. */
static bool is_text(uint8_t byte)
{
	return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static bool expect(struct http_body *body, uint8_t byte, uint8_t wanted,
		   enum step next)
{
	if (byte != wanted)
		return false;
	body->step = (uint8_t)next;
	return true;
}

static bool size_line(struct http_body *body, uint8_t byte)
{
	int value = digit(byte);

	body->line++;
	if (body->step != STEP_EXTENSION && value >= 0) {
		body->left = body->left << 4 | (uint64_t)value;
		body->step = STEP_DIGITS;
		return body->line <= CHUNK_DIGITS_MAX;
	}
	if (body->step == STEP_FIRST_DIGIT)
		return false;
	if (byte == '\r') {
		body->step = STEP_SIZE_LF;
		return true;
	}
	if (body->step == STEP_DIGITS && byte != ';')
		return false;
	body->step = STEP_EXTENSION;
	return is_text(byte) && body->line <= HTTP_CHUNK_LINE_MAX;
}

static bool trailer(struct http_body *body, uint8_t byte)
{
	bool starts = body->step == STEP_TRAILER_START;

	if (++body->line > HTTP_TRAILERS_MAX)
		return false;
	if (byte == '\r') {
		body->step = starts ? STEP_LAST_LF : STEP_TRAILER_LF;
		return true;
	}
	body->step = STEP_TRAILER;
	/* A blank at the start would go on with the line before. */
	return is_text(byte) && !(starts && (byte == ' ' || byte == '\t'));
}

/* One byte of the chunked coding that is not data; false: malformed. */
static bool chunk_step(struct http_body *body, uint8_t byte)
{
	switch ((enum step)body->step) {
	case STEP_FIRST_DIGIT:
	case STEP_DIGITS:
	case STEP_EXTENSION:
		return size_line(body, byte);
	case STEP_SIZE_LF:
		body->line = 0;
		return expect(body, byte, '\n',
			      body->left ? STEP_DATA : STEP_TRAILER_START);
	case STEP_DATA_CR:
		return expect(body, byte, '\r', STEP_DATA_LF);
	case STEP_DATA_LF:
		return expect(body, byte, '\n', STEP_FIRST_DIGIT);
	case STEP_TRAILER_START:
	case STEP_TRAILER:
		return trailer(body, byte);
	case STEP_TRAILER_LF:
		return expect(body, byte, '\n', STEP_TRAILER_START);
	case STEP_LAST_LF:
		return expect(body, byte, '\n', STEP_END);
	case STEP_DATA:
	case STEP_END:
		break;
	}
	return false;
}

/* Data goes by without a look. */
static size_t skip(struct http_body *body, size_t length)
{
	size_t taken = body->left < length ? (size_t)body->left : length;

	body->left -= taken;
	return taken;
}

static enum http_body_status walk_chunks(struct http_body *body,
					 const uint8_t *bytes, size_t length,
					 size_t *ret_taken)
{
	size_t at = 0;

	while (at < length && body->step != STEP_END) {
		if (body->step == STEP_DATA) {
			at += skip(body, length - at);
			if (!body->left)
				body->step = STEP_DATA_CR;
			continue;
		}
		if (!chunk_step(body, bytes[at])) {
			*ret_taken = at;
			return HTTP_BODY_MALFORMED;
		}
		at++;
	}
	*ret_taken = at;
	return body->step == STEP_END ? HTTP_BODY_DONE : HTTP_BODY_MORE;
}

enum http_body_status http_body_walk(struct http_body *body,
				     const uint8_t *bytes, size_t length,
				     size_t *ret_taken)
{
	*ret_taken = 0;
	switch ((enum http_framing)body->framing) {
	case HTTP_BODY_NONE:
		return HTTP_BODY_DONE;
	case HTTP_BODY_LENGTH:
		*ret_taken = skip(body, length);
		return body->left ? HTTP_BODY_MORE : HTTP_BODY_DONE;
	case HTTP_BODY_CHUNKED:
		return walk_chunks(body, bytes, length, ret_taken);
	case HTTP_BODY_UNTIL_CLOSE:
		break;
	}
	*ret_taken = length;
	return HTTP_BODY_MORE;
}

bool http_body_is_done(const struct http_body *body)
{
	return body->framing == HTTP_BODY_NONE ||
	       (body->framing == HTTP_BODY_LENGTH && !body->left) ||
	       (body->framing == HTTP_BODY_CHUNKED && body->step == STEP_END);
}
