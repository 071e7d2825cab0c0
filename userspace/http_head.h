/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Heads of HTTP/1 messages: bytes to what a router needs of them. Pure: no
 * I/O, no allocation, no clock.
 *
 * Strict where two readers of the same bytes might see two things: what is
 * not as RFC 9112 writes it down is refused, never repaired.
 */
#ifndef SNICTL_HTTP_HEAD_H
#define SNICTL_HTTP_HEAD_H

#include "http_body.h"
#include "span.h"

/* RFC 9112 section 3 recommends to take request-lines of 8000 octets. */
#define HTTP_LINE_MAX 8192
/* The whole head: default and highest cap, bytes. */
#define HTTP_HEAD_DEFAULT 32768
#define HTTP_HEAD_LIMIT 57344
#define HTTP_FIELDS_MAX 100

/** enum http_verdict - what is thought of a head: a status code, if ill. */
enum http_verdict {
	HTTP_OK,
	HTTP_PARTIAL, /* no fault so far, more bytes are needed */
	HTTP_BAD_REQUEST = 400,
	HTTP_URI_TOO_LONG = 414,
	HTTP_MISDIRECTED = 421, /* an https URI, in plain text */
	HTTP_HEAD_TOO_LARGE = 431,
	HTTP_NOT_IMPLEMENTED = 501, /* a transfer coding but chunked */
	HTTP_VERSION = 505
};

/**
 * struct http_scan - how far a head has been looked through for its end.
 * @offset: bytes.
 * @line:   where the line that @offset is in begins.
 * @lines:  that ended before.
 *
 * Zero-initialised at the first byte of a message.
 */
struct http_scan {
	uint32_t offset;
	uint32_t line;
	uint32_t lines;
};

/**
 * http_scan() - look for the end of a head.
 * @scan:  of this message; each byte is looked at once. After HTTP_OK its
 *         @offset is the length of the head, the empty line included.
 * @bytes: all that came, from the message's first byte on.
 * @max_bytes: cap on the head, at most HTTP_HEAD_LIMIT.
 *
 * CR without LF, LF without CR and NUL are ill at once.
 */
enum http_verdict http_scan(struct http_scan *scan, struct span bytes,
			    size_t max_bytes);

/** struct http_field - a field line; spans point into the head. */
struct http_field {
	struct span name;
	struct span value;
};

/**
 * http_field_next() - cut the next line off well-formed field lines.
 * Return: false behind the last.
 */
bool http_field_next(struct span *fields, struct http_field *ret_field);

/** http_field_is() - whether it has that name, whatever its case. */
bool http_field_is(const struct http_field *field, const char *name);

/**
 * http_list_has() - whether a list with commas has a token, whatever its
 * case: RFC 9110 section 5.6.1.
 */
bool http_list_has(struct span list, struct span token);

/** http_span() - a string as bytes. */
struct span http_span(const char *text);

/**
 * struct http_request - a request's head; spans point into it.
 * @method:    a token.
 * @authority: host and port as sent: of an absolute request target, else of
 *             the Host field; length 0: none.
 * @host:      @authority without its port.
 * @path:      path and query, beginning with '/', or "*".
 * @minor:     HTTP/1.@minor; 1 for all above.
 * @fields:    the field lines.
 * @body:      at its first byte.
 * @websocket: asks for that upgrade, RFC 6455 section 4.1.
 * @is_head:   the method is HEAD: no body in the response.
 */
struct http_request {
	struct span method;
	struct span authority;
	struct span host;
	struct span path;
	unsigned minor;
	struct span fields;
	struct http_body body;
	bool websocket;
	bool is_head;
};

/**
 * http_request_parse() - read a head that http_scan() has found the end of.
 * @head:        with its empty line.
 * @ret_request: written only on HTTP_OK.
 *
 * Ill is also: no Host in HTTP/1.1, several, one that is no host, one that is
 * not the absolute target's; two Content-Lengths, or one that is no number;
 * Transfer-Encoding beside Content-Length, in HTTP/1.0, or twice; a Connection
 * that names what frames or routes the message; a blank before a field's
 * colon or at the start of a line; CONNECT.
 *
 * Spec: RFC 9112 sections 2 to 6; RFC 9110 sections 5, 7.2 and 8.6.
 */
enum http_verdict http_request_parse(struct span head,
				     struct http_request *ret_request);

/**
 * struct http_response - a response's head; spans point into it.
 * @line:   the status line without its CRLF.
 * @status: 100..999.
 */
struct http_response {
	struct span line;
	unsigned status;
	struct span fields;
	struct http_body body;
};

/**
 * http_response_parse() - likewise, of what a backend answers.
 * @is_head:      the request was HEAD.
 * @ret_response: written only on success.
 *
 * Spec: RFC 9112 sections 4 and 6.3.
 * Return: false if it is ill.
 */
bool http_response_parse(struct span head, bool is_head,
			 struct http_response *ret_response);

/**
 * http_is_challenge() - whether a path is an ACME HTTP-01 challenge's.
 *
 * The token is of the base64url alphabet, and nothing follows it: what a
 * backend would make of "../" there is never asked.
 *
 * Spec: RFC 8555 section 8.3.
 */
bool http_is_challenge(struct span path);

/** http_looks_like() - whether a connection begins as an HTTP/1 request. */
bool http_looks_like(struct span bytes);

#endif
