// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What heads and bodies of HTTP/1 are read as, and what becomes of them on the
 * next hop. The rows of the table are requests that two readers could take for
 * two things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../userspace/addr.h"
#include "../../userspace/cleanup.h"
#include "../../userspace/http_forward.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An exact copy on the heap, so that a sanitizer sees a byte too far. */
static uint8_t *copy_of(const char *text, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, text, length);
	return copy;
}

static enum http_verdict read_request(const uint8_t *bytes, size_t length,
				      struct http_request *request)
{
	struct http_scan scan = {0};
	enum http_verdict verdict = http_scan(
		&scan, (struct span){bytes, length}, HTTP_HEAD_DEFAULT);

	if (verdict != HTTP_OK)
		return verdict;
	return http_request_parse((struct span){bytes, scan.offset}, request);
}

static void expect_verdict(const char *text, enum http_verdict wanted)
{
	AUTO_FREE uint8_t *bytes = copy_of(text, strlen(text));
	struct http_request request;
	enum http_verdict got = read_request(bytes, strlen(text), &request);

	if (got != wanted)
		fail_msg("%d instead of %d: %s", (int)got, (int)wanted, text);
}

static void assert_span(struct span got, const char *wanted)
{
	if (got.length != strlen(wanted) ||
	    (got.length && memcmp(got.data, wanted, got.length) != 0))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)got.length,
			 (const char *)got.data, wanted);
}

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a.test\r\n"

/* Each is a way to smuggle a request, or a piece of one. */
static const struct {
	const char *what;
	const char *head;
	enum http_verdict verdict;
} ill[] = {
	{"no Host", GET "\r\n", HTTP_BAD_REQUEST},
	{"two Hosts", GET HOST "Host: b.test\r\n\r\n", HTTP_BAD_REQUEST},
	{"the same Host twice", GET HOST HOST "\r\n", HTTP_BAD_REQUEST},
	{"Host in another case twice", GET HOST "hOST: a.test\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Host with a path", GET "Host: a.test/b\r\n\r\n", HTTP_BAD_REQUEST},
	{"Host with a user", GET "Host: u@a.test\r\n\r\n", HTTP_BAD_REQUEST},
	{"two hosts in one", GET "Host: a.test, b.test\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Host with a bad port", GET "Host: a.test:x\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Host with port 0", GET "Host: a.test:0\r\n\r\n", HTTP_BAD_REQUEST},
	{"Host with a port too large", GET "Host: a.test:65536\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Host that is a port", GET "Host: :80\r\n\r\n", HTTP_BAD_REQUEST},
	{"Host with an open bracket", GET "Host: [::1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Host with a star", GET "Host: *.a.test\r\n\r\n", HTTP_BAD_REQUEST},
	{"absolute target, other Host",
	 "GET http://b.test/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"absolute target, other port",
	 "GET http://a.test:81/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"absolute target without host",
	 "GET http:/// HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"absolute target of https",
	 "GET https://a.test/ HTTP/1.1\r\n" HOST "\r\n", HTTP_MISDIRECTED},
	{"absolute target of another scheme",
	 "GET ftp://a.test/ HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"CONNECT", "CONNECT a.test:443 HTTP/1.1\r\n" HOST "\r\n",
	 HTTP_BAD_REQUEST},
	{"a star for GET", "GET * HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"a fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"two lengths",
	 GET HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"the same length twice",
	 GET HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"two lengths in one", GET HOST "Content-Length: 1, 1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"length with a sign", GET HOST "Content-Length: +1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"negative length", GET HOST "Content-Length: -1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"hexadecimal length", GET HOST "Content-Length: 0x1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"empty length", GET HOST "Content-Length:\r\n\r\n", HTTP_BAD_REQUEST},
	{"length of 19 digits",
	 GET HOST "Content-Length: 1000000000000000000\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"length and coding",
	 GET HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"coding and length",
	 GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"two codings",
	 GET HOST "Transfer-Encoding: chunked\r\n"
		  "Transfer-Encoding: identity\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"coding that is none", GET HOST "Transfer-Encoding: xchunked\r\n\r\n",
	 HTTP_NOT_IMPLEMENTED},
	{"coding before chunked",
	 GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
	 HTTP_NOT_IMPLEMENTED},
	{"chunked, then another",
	 GET HOST "Transfer-Encoding: chunked, identity\r\n\r\n",
	 HTTP_NOT_IMPLEMENTED},
	{"coding with a vertical tab",
	 GET HOST "Transfer-Encoding: \vchunked\r\n\r\n", HTTP_BAD_REQUEST},
	{"coding in HTTP/1.0",
	 "GET / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"blank before the colon", GET HOST "Content-Length : 1\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"tab before the colon",
	 GET HOST "Transfer-Encoding\t: chunked\r\n\r\n", HTTP_BAD_REQUEST},
	{"folded line", GET HOST "X: 1\r\n 2\r\n\r\n", HTTP_BAD_REQUEST},
	{"folded first line", GET " X: 1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"folding with a tab", GET HOST "X: 1\r\n\t2\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"line without a colon", GET HOST "X\r\n\r\n", HTTP_BAD_REQUEST},
	{"field without a name", GET HOST ": 1\r\n\r\n", HTTP_BAD_REQUEST},
	{"bare CR in a value", GET HOST "X: 1\rY: 2\r\n\r\n", HTTP_BAD_REQUEST},
	{"bare CR at the end", GET HOST "X: 1\r\r\n\r\n", HTTP_BAD_REQUEST},
	{"bare LF", GET HOST "X: 1\nY: 2\r\n\r\n", HTTP_BAD_REQUEST},
	{"bare LFs", "GET / HTTP/1.1\nHost: a.test\n\n", HTTP_BAD_REQUEST},
	{"LF CR", GET HOST "X: 1\n\r\r\n\r\n", HTTP_BAD_REQUEST},
	{"control character", GET HOST "X: \001\r\n\r\n", HTTP_BAD_REQUEST},
	{"empty line first", "\r\n" GET HOST "\r\n", HTTP_BAD_REQUEST},
	{"no version", "GET /\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"version of one digit", "GET / HTTP/1\r\n" HOST "\r\n",
	 HTTP_BAD_REQUEST},
	{"version in lower case", "GET / http/1.1\r\n" HOST "\r\n",
	 HTTP_BAD_REQUEST},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", HTTP_VERSION},
	{"two blanks", "GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"blank in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n",
	 HTTP_BAD_REQUEST},
	{"blank at the end", "GET / HTTP/1.1 \r\n" HOST "\r\n",
	 HTTP_BAD_REQUEST},
	{"tab for a blank", "GET\t/ HTTP/1.1\r\n" HOST "\r\n",
	 HTTP_BAD_REQUEST},
	{"blank first", " GET / HTTP/1.1\r\n" HOST "\r\n", HTTP_BAD_REQUEST},
	{"Connection names the length",
	 GET HOST "Content-Length: 1\r\nConnection: content-length\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Connection names the coding",
	 GET HOST "Connection: close, Transfer-Encoding\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
	 HTTP_BAD_REQUEST},
	{"Connection names Host", GET HOST "Connection: host\r\n\r\n",
	 HTTP_BAD_REQUEST},
};

static void test_what_could_be_read_in_two_ways_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ill); i++) {
		AUTO_FREE uint8_t *bytes =
			copy_of(ill[i].head, strlen(ill[i].head));
		struct http_request request;
		enum http_verdict got =
			read_request(bytes, strlen(ill[i].head), &request);

		if (got != ill[i].verdict)
			fail_msg("%s: %d instead of %d", ill[i].what, (int)got,
				 (int)ill[i].verdict);
	}
}

static void test_NUL_is_refused(void **state)
{
	static const char head[] = GET HOST "X: a\0b\r\n\r\n";
	struct http_request request;

	(void)state;
	assert_int_equal(
		read_request((const uint8_t *)head, sizeof(head) - 1, &request),
		HTTP_BAD_REQUEST);
}

static void test_a_request_in_any_pieces(void **state)
{
	static const char text[] =
		"POST http://A.test:80/x/y?z=%20 HTTP/1.1\r\n"
		"host: a.TEST\r\ncontent-length: 5\r\nX:\t \r\n\r\nhello";
	struct span bytes = {(const uint8_t *)text, sizeof(text) - 1};
	struct http_scan scan = {0};
	struct http_request request;

	(void)state;
	for (size_t cut = 0; cut < bytes.length - 5; cut++)
		assert_int_equal(http_scan(&scan,
					   (struct span){bytes.data, cut},
					   HTTP_HEAD_DEFAULT),
				 HTTP_PARTIAL);
	assert_int_equal(http_scan(&scan, bytes, HTTP_HEAD_DEFAULT), HTTP_OK);
	assert_int_equal(scan.offset, bytes.length - 5);
	bytes.length = scan.offset;
	assert_int_equal(http_request_parse(bytes, &request), HTTP_OK);
	assert_span(request.method, "POST");
	assert_span(request.authority, "A.test:80");
	assert_span(request.host, "A.test");
	assert_span(request.path, "/x/y?z=%20");
	assert_int_equal(request.minor, 1);
	assert_int_equal(request.body.framing, HTTP_BODY_LENGTH);
	assert_int_equal(request.body.left, 5);
	assert_false(request.is_head);
	assert_false(request.websocket);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *head;
		const char *authority;
		const char *host;
		const char *path;
	} rows[] = {
		{GET HOST "\r\n", "a.test", "a.test", "/"},
		{GET "Host: a.test.:8080\r\n\r\n", "a.test.:8080", "a.test.",
		 "/"},
		{GET "Host: a.test:\r\n\r\n", "a.test:", "a.test", "/"},
		{GET "Host: 192.0.2.1\r\n\r\n", "192.0.2.1", "192.0.2.1", "/"},
		{GET "Host: [2001:db8::1]:80\r\n\r\n", "[2001:db8::1]:80",
		 "[2001:db8::1]", "/"},
		{GET "Host: [2001:db8::1]\r\n\r\n", "[2001:db8::1]",
		 "[2001:db8::1]", "/"},
		{GET "Host:\r\n\r\n", "", "", "/"},
		{"GET / HTTP/1.0\r\n\r\n", "", "", "/"},
		{"GET http://a.test HTTP/1.0\r\n\r\n", "a.test", "a.test", "/"},
		{"GET HTTP://a.test/b HTTP/1.1\r\n" HOST "\r\n", "a.test",
		 "a.test", "/b"},
		{"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "a.test", "a.test", "*"},
		{"GET //b.test/ HTTP/1.9\r\n" HOST "\r\n", "a.test", "a.test",
		 "//b.test/"},
	};
	struct http_request request;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const uint8_t *bytes = (const uint8_t *)rows[i].head;

		assert_int_equal(
			read_request(bytes, strlen(rows[i].head), &request),
			HTTP_OK);
		assert_span(request.authority, rows[i].authority);
		assert_span(request.host, rows[i].host);
		assert_span(request.path, rows[i].path);
	}
}

static void test_limits_of_a_head(void **state)
{
	AUTO_FREE char *text = malloc(HTTP_HEAD_DEFAULT + 100);
	size_t line = sizeof(GET HOST) - 1;

	(void)state;
	assert_non_null(text);
	/* A request line of the limit, and of a byte more. */
	memset(text, 'a', HTTP_HEAD_DEFAULT + 100);
	memcpy(text, "GET /", 5);
	strcpy(text + HTTP_LINE_MAX - 10, " HTTP/1.1\r\n" HOST "\r\n");
	expect_verdict(text, HTTP_OK);
	memset(text + HTTP_LINE_MAX - 10, 'a', 100);
	strcpy(text + HTTP_LINE_MAX - 9, " HTTP/1.1\r\n" HOST "\r\n");
	expect_verdict(text, HTTP_URI_TOO_LONG);
	/* A whole head of the limit, and of a byte more. */
	memset(text, 'a', HTTP_HEAD_DEFAULT + 100);
	memcpy(text, GET HOST "X:", line + 2);
	strcpy(text + HTTP_HEAD_DEFAULT - 4, "\r\n\r\n");
	expect_verdict(text, HTTP_OK);
	memset(text + HTTP_HEAD_DEFAULT - 4, 'a', 8);
	strcpy(text + HTTP_HEAD_DEFAULT - 3, "\r\n\r\n");
	expect_verdict(text, HTTP_HEAD_TOO_LARGE);
	/* Many small ones. */
	strcpy(text, GET HOST);
	for (unsigned i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		strcat(text, "X:\r\n");
	strcat(text, "\r\n");
	expect_verdict(text, HTTP_OK);
	strcpy(text + strlen(text) - 2, "X:\r\n\r\n");
	expect_verdict(text, HTTP_HEAD_TOO_LARGE);
}

/* ---- bodies -------------------------------------------------------------- */

static enum http_body_status walk(struct http_body *body, const char *text,
				  size_t piece, size_t *ret_taken)
{
	size_t length = strlen(text), taken = 0;
	enum http_body_status status = HTTP_BODY_MORE;

	for (*ret_taken = 0; status == HTTP_BODY_MORE && *ret_taken < length;
	     *ret_taken += taken) {
		size_t left = length - *ret_taken;

		status =
			http_body_walk(body, (const uint8_t *)text + *ret_taken,
				       left < piece ? left : piece, &taken);
	}
	return status;
}

static void test_chunked_bodies_end_where_they_end(void **state)
{
	static const struct {
		const char *text;
		size_t end;
	} rows[] = {
		{"0\r\n\r\nGET", 5},
		{"5\r\nhello\r\n0\r\n\r\nGET", 15},
		{"00005\r\nhello\r\n000\r\n\r\nX", 21},
		{"a;b=c;d=\"e\"\r\n0123456789\r\n0;x\r\n\r\nX", 32},
		{"A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\nX: y\r\nZ:\r\n\r\nX", 30},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t piece = 1; piece < 40; piece++) {
			struct http_body body = {.framing = HTTP_BODY_CHUNKED};
			size_t taken;

			assert_int_equal(
				walk(&body, rows[i].text, piece, &taken),
				HTTP_BODY_DONE);
			assert_int_equal(taken, rows[i].end);
			assert_true(http_body_is_done(&body));
		}
	}
}

static void test_odd_chunks_are_refused(void **state)
{
	static const char *const rows[] = {
		"\r\n",
		"x\r\n",
		" 5\r\nhello\r\n",
		"5 \r\nhello\r\n",
		"5 ;a\r\nhello\r\n",
		"+5\r\nhello\r\n",
		"-5\r\nhello\r\n",
		"0x5\r\nhello\r\n",
		"5\nhello\r\n",
		"5\rhello\r\n",
		"5\r\nhello0\r\n",
		"5\r\nhello\n0\r\n",
		"5\r\nhello\r0\r\n",
		"5;a\nb\r\nhello\r\n",
		"5;\001\r\nhello\r\n",
		"1000000000000000\r\n",
		"0000000000000005\r\nhello\r\n",
		"0\r\n folded\r\n\r\n",
		"0\r\nX: a\nY: b\r\n\r\n",
		"0\r\nX: a\rY: b\r\n\r\n",
		"0\r\n\rX",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_body body = {.framing = HTTP_BODY_CHUNKED};
		size_t taken;

		if (walk(&body, rows[i], 1, &taken) != HTTP_BODY_MALFORMED)
			fail_msg("taken: %s", rows[i]);
	}
}

static void test_endless_chunk_lines_and_trailers(void **state)
{
	struct http_body body = {.framing = HTTP_BODY_CHUNKED};
	AUTO_FREE char *text = calloc(1, HTTP_TRAILERS_MAX + 16);
	size_t taken;

	(void)state;
	assert_non_null(text);
	memcpy(text, "5;", 2);
	memset(text + 2, 'a', HTTP_CHUNK_LINE_MAX);
	assert_int_equal(walk(&body, text, 64, &taken), HTTP_BODY_MALFORMED);
	body = (struct http_body){.framing = HTTP_BODY_CHUNKED};
	memcpy(text, "0\r\n", 3);
	memset(text + 3, 'a', HTTP_TRAILERS_MAX + 1);
	assert_int_equal(walk(&body, text, 64, &taken), HTTP_BODY_MALFORMED);
}

static void test_bodies_of_a_length(void **state)
{
	struct http_body body = {.framing = HTTP_BODY_LENGTH, .left = 5};
	size_t taken;

	(void)state;
	assert_int_equal(walk(&body, "helloGET", 3, &taken), HTTP_BODY_DONE);
	assert_int_equal(taken, 5);
	body = (struct http_body){.framing = HTTP_BODY_NONE};
	assert_int_equal(walk(&body, "GET", 3, &taken), HTTP_BODY_DONE);
	assert_int_equal(taken, 0);
}

/* ---- the next hop -------------------------------------------------------- */

static void expect_forwarded(const char *head, struct http_forward how,
			     const char *wanted)
{
	struct http_request request;
	uint8_t out[2048];
	size_t length;

	assert_int_equal(
		read_request((const uint8_t *)head, strlen(head), &request),
		HTTP_OK);
	length = http_forward_request(&request, &how, out, sizeof(out));
	assert_true(length > 0);
	assert_span((struct span){out, length}, wanted);
	/* Cut anywhere, it is not sent at all. */
	for (size_t size = 0; size < length; size++)
		assert_int_equal(
			http_forward_request(&request, &how, out, size), 0);
}

static void test_the_client_is_told_and_no_forgery(void **state)
{
	struct abi_endpoint client;

	(void)state;
	addr_parse_endpoint("192.0.2.10", 1, &client);
	expect_forwarded("GET http://a.test/x HTTP/1.1\r\n" HOST
			 "X-Forwarded-For: 1.1.1.1\r\nX_REAL_IP: 1.1.1.1\r\n"
			 "Forwarded: for=1.1.1.1\r\nX-Forwarded-Port: 443\r\n"
			 "Cookie: a\r\n\r\n",
			 (struct http_forward){.client = &client, .tell = true},
			 "GET /x HTTP/1.1\r\nHost: a.test\r\nCookie: a\r\n"
			 "X-Forwarded-For: 192.0.2.10\r\n"
			 "X-Real-IP: 192.0.2.10\r\nX-Forwarded-Proto: http\r\n"
			 "X-Forwarded-Host: a.test\r\nConnection: close\r\n"
			 "\r\n");
	expect_forwarded(GET HOST "X-Forwarded-For: 1.1.1.1\r\n\r\n",
			 (struct http_forward){.client = &client},
			 GET HOST "Connection: close\r\n\r\n");
}

static void test_what_a_trusted_client_says_is_appended_to(void **state)
{
	struct abi_endpoint client;

	(void)state;
	addr_parse_endpoint("2001:db8::1", 1, &client);
	expect_forwarded(
		"GET / HTTP/1.1\r\nHost: a.test:80\r\n"
		"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n"
		"X-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\n\r\n",
		(struct http_forward){.client = &client,
				      .tell = true,
				      .forwarded = true,
				      .trusted = true},
		"GET / HTTP/1.1\r\nHost: a.test:80\r\n"
		"X-Forwarded-Proto: https\r\n"
		"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 2001:db8::1\r\n"
		"X-Real-IP: 2001:db8::1\r\nX-Forwarded-Host: a.test:80\r\n"
		"Forwarded: for=1.1.1.1, for=\"[2001:db8::1]\";"
		"host=\"a.test:80\";proto=http\r\nConnection: close\r\n\r\n");
}

static void test_hop_by_hop_fields_end_here(void **state)
{
	struct abi_endpoint client;

	(void)state;
	addr_parse_endpoint("192.0.2.10", 1, &client);
	expect_forwarded(GET HOST
			 "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
			 "Keep-Alive: timeout=5\r\nTE: trailers\r\n"
			 "Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
			 "HTTP2-Settings: AAAA\r\nX-Hop-2: 1\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n",
			 (struct http_forward){.client = &client},
			 GET HOST "X-Hop-2: 1\r\nTransfer-Encoding: chunked\r\n"
				  "Connection: close\r\n\r\n");
	expect_forwarded(GET HOST "Connection: Upgrade\r\n"
				  "Upgrade: WebSocket\r\n"
				  "Sec-WebSocket-Version: 13\r\n\r\n",
			 (struct http_forward){.client = &client},
			 GET HOST "Sec-WebSocket-Version: 13\r\n"
				  "Connection: Upgrade\r\n"
				  "Upgrade: websocket\r\n\r\n");
}

static void expect_response(const char *head, bool is_head,
			    enum http_framing framing, const char *wanted)
{
	struct span bytes = http_span(head);
	struct http_response response;
	uint8_t out[512];
	size_t length;

	assert_true(http_response_parse(bytes, is_head, &response));
	assert_int_equal(response.body.framing, framing);
	length = http_forward_response(&response, out, sizeof(out));
	assert_span((struct span){out, length}, wanted);
}

static void test_responses(void **state)
{
	struct http_response response;

	(void)state;
	expect_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
			"Connection: keep-alive, x\r\nX: 1\r\n\r\n",
			false, HTTP_BODY_LENGTH,
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
			"Connection: close\r\n\r\n");
	expect_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true,
			HTTP_BODY_NONE,
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
			"Connection: close\r\n\r\n");
	expect_response("HTTP/1.0 200 OK\r\n\r\n", false, HTTP_BODY_UNTIL_CLOSE,
			"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n");
	expect_response("HTTP/1.1 304\r\n\r\n", false, HTTP_BODY_NONE,
			"HTTP/1.1 304\r\nConnection: close\r\n\r\n");
	expect_response("HTTP/1.1 100 Continue\r\n\r\n", false, HTTP_BODY_NONE,
			"HTTP/1.1 100 Continue\r\n\r\n");
	expect_response("HTTP/1.1 101 Switching Protocols\r\n"
			"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
			false, HTTP_BODY_NONE,
			"HTTP/1.1 101 Switching Protocols\r\n"
			"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
	expect_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			false, HTTP_BODY_CHUNKED,
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
			"Connection: close\r\n\r\n");
	assert_false(http_response_parse(http_span("HTTP/1.1 20 OK\r\n\r\n"),
					 false, &response));
	assert_false(http_response_parse(http_span("HTTP/1.1 200OK\r\n\r\n"),
					 false, &response));
	assert_false(http_response_parse(
		http_span("HTTP/1.1 200 OK\r\nX : 1\r\n\r\n"), false,
		&response));
}

static void test_challenges(void **state)
{
#define ACME "/.well-known/acme-challenge/"
	static const char *const no[] = {
		"/",
		ACME,
		ACME "../../admin",
		ACME "a/b",
		ACME "a?b",
		ACME "%61",
		"/.well-known/acme-challengeX",
		"/.Well-Known/acme-challenge/a",
	};

	(void)state;
	assert_true(http_is_challenge(http_span(ACME "aZ09-_")));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(http_is_challenge(http_span(no[i])));
}

static void test_a_redirection(void **state)
{
	struct http_answer answer = {.status = 308,
				     .host = http_span("a.test"),
				     .path = http_span("/x?y"),
				     .is_head = true};
	uint8_t out[512];
	size_t length = http_answer_build(&answer, out, sizeof(out));

	(void)state;
	assert_span((struct span){out, length},
		    "HTTP/1.1 308 Permanent Redirect\r\n"
		    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
		    "Location: https://a.test/x?y\r\n"
		    "Content-Type: text/plain\r\nContent-Length: 27\r\n"
		    "Connection: close\r\n\r\n");
	assert_int_equal(http_answer_build(&answer, out, length - 1), 0);
}

static void test_what_looks_like_a_request(void **state)
{
	(void)state;
	assert_true(http_looks_like(http_span("GET / HTTP/1.1\r\n")));
	assert_true(http_looks_like(http_span("POST /")));
	assert_false(http_looks_like(http_span("GET")));
	assert_false(http_looks_like(http_span("SSH-2.0-x\r\n")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_what_could_be_read_in_two_ways_is_refused),
		cmocka_unit_test(test_NUL_is_refused),
		cmocka_unit_test(test_a_request_in_any_pieces),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_limits_of_a_head),
		cmocka_unit_test(test_chunked_bodies_end_where_they_end),
		cmocka_unit_test(test_odd_chunks_are_refused),
		cmocka_unit_test(test_endless_chunk_lines_and_trailers),
		cmocka_unit_test(test_bodies_of_a_length),
		cmocka_unit_test(test_the_client_is_told_and_no_forgery),
		cmocka_unit_test(
			test_what_a_trusted_client_says_is_appended_to),
		cmocka_unit_test(test_hop_by_hop_fields_end_here),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_a_redirection),
		cmocka_unit_test(test_what_looks_like_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
