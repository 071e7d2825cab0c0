/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the body of an HTTP/1 message ends. Pure: no I/O, no allocation, no
 * clock. */
#ifndef SNICTL_HTTP_BODY_H
#define SNICTL_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A chunk's first line with its extensions, and all trailers together. */
#define HTTP_CHUNK_LINE_MAX 256
#define HTTP_TRAILERS_MAX 8192

enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,     /* Content-Length */
	HTTP_BODY_CHUNKED,    /* Transfer-Encoding: chunked */
	HTTP_BODY_UNTIL_CLOSE /* responses only */
};

/**
 * struct http_body - a body on its way, walked once from its first byte.
 * @framing: enum http_framing.
 * @left:    of the length, or of the chunk.
 * @line:    bytes of the chunk's line, or of the trailers, so far.
 * @step:    private; where in the chunked coding.
 *
 * Zero-initialised but for @framing, and @left with HTTP_BODY_LENGTH.
 */
struct http_body {
	uint64_t left;
	uint32_t line;
	uint8_t framing;
	uint8_t step;
};

enum http_body_status {
	HTTP_BODY_MORE, /* no fault so far, and no end */
	HTTP_BODY_DONE,
	HTTP_BODY_MALFORMED
};

/**
 * http_body_walk() - how many of these bytes belong to the body.
 * @body:      advanced by them.
 * @ret_taken: always written; bytes from the first on that are the body's,
 *             its framing with it. With HTTP_BODY_MORE that is all of them.
 *
 * Chunk sizes of 1 to 15 hexadecimal digits, extensions without control
 * characters, CRLF and nothing else at the ends of lines; no blank at the
 * start of a trailer.
 *
 * Spec: RFC 9112 sections 6 and 7.1.
 */
enum http_body_status http_body_walk(struct http_body *body,
				     const uint8_t *bytes, size_t length,
				     size_t *ret_taken);

/** http_body_is_done() - whether nothing more is to come. */
bool http_body_is_done(const struct http_body *body);

#endif
