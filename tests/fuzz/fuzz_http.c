// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is what a client sends, and again what a backend answers, and a
 * chunked body. Beside not crashing: a verdict does not depend on how the
 * bytes are cut; what goes to a backend is read there as the same request,
 * with one Host, one framing, and nothing behind its head. */
#include <stdlib.h>
#include <string.h>

#include "../../userspace/addr.h"
#include "../../userspace/http_forward.h"
#include "require.h"

static enum http_verdict scan_cut(struct span input, size_t piece,
				  struct http_scan *scan)
{
	enum http_verdict verdict = HTTP_PARTIAL;

	*scan = (struct http_scan){0};
	for (size_t length = 0;
	     verdict == HTTP_PARTIAL && length < input.length;) {
		length += piece;
		if (length > input.length)
			length = input.length;
		verdict = http_scan(scan, (struct span){input.data, length},
				    HTTP_HEAD_LIMIT);
	}
	return verdict;
}

static bool same(struct span a, struct span b)
{
	return a.length == b.length &&
	       (!a.length || !memcmp(a.data, b.data, a.length));
}

static bool same_body(const struct http_body *a, const struct http_body *b)
{
	return a->framing == b->framing && a->left == b->left;
}

/* What the backend makes of what it is sent. */
static void check_forwarded(const struct http_request *request,
			    const uint8_t *head, size_t length)
{
	struct http_scan scan = {0};
	struct http_request again;
	enum http_verdict verdict =
		http_scan(&scan, (struct span){head, length}, length);

	REQUIRE(verdict == HTTP_OK || verdict == HTTP_HEAD_TOO_LARGE ||
		verdict == HTTP_URI_TOO_LONG);
	if (verdict != HTTP_OK)
		return;
	REQUIRE(scan.offset == length);
	REQUIRE(http_request_parse((struct span){head, length}, &again) ==
		HTTP_OK);
	REQUIRE(same(request->method, again.method));
	REQUIRE(same(request->path, again.path));
	REQUIRE(same(request->authority, again.authority));
	REQUIRE(request->minor == again.minor);
	REQUIRE(request->websocket == again.websocket);
	REQUIRE(same_body(&request->body, &again.body));
}

static void check_request(struct span input)
{
	static uint8_t head[HTTP_HEAD_LIMIT + 8192];
	struct abi_endpoint client;
	struct http_request request;
	struct http_scan scan, other;
	enum http_verdict verdict = scan_cut(input, input.length + 1, &scan);

	REQUIRE(scan_cut(input, 1, &other) == verdict);
	REQUIRE(other.offset == scan.offset);
	if (verdict != HTTP_OK)
		return;
	if (http_request_parse((struct span){input.data, scan.offset},
			       &request) != HTTP_OK)
		return;
	REQUIRE(request.path.length &&
		(request.path.data[0] == '/' || request.path.length == 1));
	addr_parse_endpoint("2001:db8::1", 1, &client);
	for (unsigned i = 0; i < 8; i++) {
		struct http_forward how = {&client, i & 1, i & 2, i & 4};
		size_t length = http_forward_request(&request, &how, head,
						     sizeof(head));

		if (length)
			check_forwarded(&request, head, length);
	}
}

static void check_response(struct span input)
{
	static uint8_t head[HTTP_HEAD_LIMIT + 8192];
	struct http_response response, again;
	struct http_scan scan;
	size_t length;

	if (scan_cut(input, 7, &scan) != HTTP_OK ||
	    !http_response_parse((struct span){input.data, scan.offset}, false,
				 &response))
		return;
	length = http_forward_response(&response, head, sizeof(head));
	REQUIRE(length);
	if (scan_cut((struct span){head, length}, length, &scan) != HTTP_OK)
		return;
	REQUIRE(scan.offset == length);
	REQUIRE(http_response_parse((struct span){head, length}, false,
				    &again));
	REQUIRE(response.status == again.status);
	REQUIRE(same_body(&response.body, &again.body));
}

static enum http_body_status walk_cut(struct span input, size_t piece,
				      size_t *ret_taken)
{
	struct http_body body = {.framing = HTTP_BODY_CHUNKED};
	enum http_body_status status = HTTP_BODY_MORE;
	size_t taken = 0;

	for (*ret_taken = 0;
	     status == HTTP_BODY_MORE && *ret_taken < input.length;
	     *ret_taken += taken) {
		size_t left = input.length - *ret_taken;

		status = http_body_walk(&body, input.data + *ret_taken,
					left < piece ? left : piece, &taken);
	}
	REQUIRE((status == HTTP_BODY_DONE) == http_body_is_done(&body));
	return status;
}

static void check_body(struct span input)
{
	size_t whole, pieces;
	enum http_body_status status =
		walk_cut(input, input.length + 1, &whole);

	REQUIRE(whole <= input.length);
	for (size_t piece = 1; piece < 6; piece++) {
		REQUIRE(walk_cut(input, piece, &pieces) == status);
		REQUIRE(pieces == whole);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct span input = {data, length};

	check_request(input);
	check_response(input);
	check_body(input);
	http_is_challenge(input);
	http_looks_like(input);
	return 0;
}
