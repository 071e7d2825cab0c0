/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Heads of HTTP/1 messages for the next hop, and answers of our own. Pure. */
#ifndef SNICTL_HTTP_FORWARD_H
#define SNICTL_HTTP_FORWARD_H

#include <time.h>
#include "../bpf/abi.h"
#include "http_head.h"

/**
 * struct http_forward - what the backend is told beside the request.
 * @client:    who asks.
 * @tell:      by X-Forwarded-* and X-Real-IP; else nothing is added.
 * @forwarded: by Forwarded as well, RFC 7239.
 * @trusted:   what the client says of others before it is kept, and appended
 *             to; else it is taken out, in whatever spelling.
 */
struct http_forward {
	const struct abi_endpoint *client;
	bool tell;
	bool forwarded;
	bool trusted;
};

/**
 * http_forward_request() - a request's head for a backend that gets no other.
 * @head: where to, @size bytes.
 *
 * Origin-form, the authority as Host, without what belongs to one hop (RFC
 * 9110 section 7.6.1), with "Connection: close", or the upgrade to WebSocket.
 *
 * Return: bytes written, 0 where they do not fit.
 */
size_t http_forward_request(const struct http_request *request,
			    const struct http_forward *how, uint8_t *head,
			    size_t size);

/**
 * http_forward_response() - a response's head for the client.
 * Return: bytes written, 0 where they do not fit.
 */
size_t http_forward_response(const struct http_response *response,
			     uint8_t *head, size_t size);

/* The answer 400 to plain HTTP on a port that speaks TLS: no status code, it
 * only has a sentence of its own. */
#define HTTP_ANSWER_PLAIN 1000

/**
 * struct http_answer - what we answer ourselves.
 * @status:     one that http_answer_build() knows, 301 and 308 among them.
 * @host, @path: of the redirection.
 * @is_head:    the request was HEAD: no body.
 * @now:        for the Date field.
 */
struct http_answer {
	unsigned status;
	struct span host;
	struct span path;
	bool is_head;
	time_t now;
};

/**
 * http_answer_build() - as above. @bytes: where to, @size bytes.
 * Return: bytes written, 0 where they do not fit.
 */
size_t http_answer_build(const struct http_answer *answer, uint8_t *bytes,
			 size_t size);

#endif
