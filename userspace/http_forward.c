// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "http_forward.h"

#include <stdio.h>
#include <string.h>
#include "addr.h"

/** struct text - bytes on their way out; @length is over @size if cut. */
struct text {
	uint8_t *data;
	size_t size;
	size_t length;
};

static void put(struct text *text, struct span bytes)
{
	if (text->length <= text->size &&
	    bytes.length <= text->size - text->length) {
		if (bytes.length)
			memcpy(text->data + text->length, bytes.data,
			       bytes.length);
		text->length += bytes.length;
	} else {
		text->length = text->size + 1;
	}
}

static void put_text(struct text *text, const char *string)
{
	put(text, http_span(string));
}

static void put_field(struct text *text, const struct http_field *field)
{
	put(text, field->name);
	put_text(text, ": ");
	put(text, field->value);
	put_text(text, "\r\n");
}

static size_t finish(struct text *text)
{
	put_text(text, "\r\n");
	return text->length <= text->size ? text->length : 0;
}

/* ---- which fields stay --------------------------------------------------- */

static bool is_named_by_connection(struct span fields,
				   const struct http_field *field)
{
	struct http_field one;

	while (http_field_next(&fields, &one)) {
		if (http_field_is(&one, "connection") &&
		    http_list_has(one.value, field->name))
			return true;
	}
	return false;
}

/* RFC 9110 section 7.6.1; the transfer coding goes on as it is. HTTP2-Settings
 * belongs to an upgrade that is never passed on. */
static bool is_of_one_hop(struct span fields, const struct http_field *field)
{
	static const char *const names[] = {
		"connection", "keep-alive", "proxy-connection",
		"te",	      "upgrade",    "http2-settings",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (http_field_is(field, names[i]))
			return true;
	}
	return is_named_by_connection(fields, field);
}

/* CGI makes '_' of '-': to many an application both are the same field. */
static bool is_like(const struct http_field *field, const char *name,
		    bool prefix)
{
	size_t length = strlen(name);

	if (prefix ? field->name.length < length : field->name.length != length)
		return false;
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = field->name.data[i];

		if (byte == '_')
			byte = '-';
		if (byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		if (byte != (uint8_t)name[i])
			return false;
	}
	return true;
}

static bool tells_of_client(const struct http_field *field)
{
	return is_like(field, "x-forwarded-", true) ||
	       is_like(field, "x-real-ip", false) ||
	       is_like(field, "forwarded", false);
}

static bool has(const struct http_request *request, const char *name)
{
	struct span fields = request->fields;
	struct http_field field;

	while (http_field_next(&fields, &field)) {
		if (http_field_is(&field, name))
			return true;
	}
	return false;
}

/* ---- requests ------------------------------------------------------------ */

/* The fields of that name as one list, to be continued. */
static void put_list(struct text *text, const struct http_request *request,
		     const char *name)
{
	struct span fields = request->fields;
	struct http_field field;

	while (http_field_next(&fields, &field)) {
		if (!http_field_is(&field, name) || !field.value.length)
			continue;
		put(text, field.value);
		put_text(text, ", ");
	}
}

static void put_forwarded(struct text *text, const struct http_request *request,
			  const struct http_forward *how)
{
	bool v6 = how->client->family == AF_INET6;
	char ip[ADDR_TEXT_SIZE], node[ADDR_TEXT_SIZE + 16];

	snprintf(node, sizeof(node), v6 ? "for=\"[%s]\"" : "for=%s",
		 addr_format_ip(how->client, ip));
	put_text(text, "Forwarded: ");
	if (how->trusted)
		put_list(text, request, "forwarded");
	put_text(text, node);
	if (request->authority.length) {
		put_text(text, ";host=\"");
		put(text, request->authority);
		put_text(text, "\"");
	}
	put_text(text, ";proto=http\r\n");
}

static void put_client(struct text *text, const struct http_request *request,
		       const struct http_forward *how)
{
	char ip[ADDR_TEXT_SIZE];

	addr_format_ip(how->client, ip);
	put_text(text, "X-Forwarded-For: ");
	if (how->trusted)
		put_list(text, request, "x-forwarded-for");
	put_text(text, ip);
	put_text(text, "\r\n");
	if (!how->trusted || !has(request, "x-real-ip")) {
		put_text(text, "X-Real-IP: ");
		put_text(text, ip);
		put_text(text, "\r\n");
	}
	if (!how->trusted || !has(request, "x-forwarded-proto"))
		put_text(text, "X-Forwarded-Proto: http\r\n");
	if (request->authority.length &&
	    (!how->trusted || !has(request, "x-forwarded-host"))) {
		put_text(text, "X-Forwarded-Host: ");
		put(text, request->authority);
		put_text(text, "\r\n");
	}
	if (how->forwarded)
		put_forwarded(text, request, how);
}

/* Whether a field goes on as it came. */
static bool stays(const struct http_request *request,
		  const struct http_forward *how,
		  const struct http_field *field)
{
	if (http_field_is(field, "host") ||
	    is_of_one_hop(request->fields, field))
		return false;
	if (!tells_of_client(field))
		return true;
	/* What is appended to is written again. */
	return how->trusted &&
	       !(how->tell && http_field_is(field, "x-forwarded-for")) &&
	       !(how->tell && how->forwarded &&
		 http_field_is(field, "forwarded"));
}

size_t http_forward_request(const struct http_request *request,
			    const struct http_forward *how, uint8_t *head,
			    size_t size)
{
	struct text text = {head, size, 0};
	struct span fields = request->fields;
	struct http_field field;

	put(&text, request->method);
	put_text(&text, " ");
	put(&text, request->path);
	put_text(&text, request->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
	if (request->authority.length || request->minor) {
		put_text(&text, "Host: ");
		put(&text, request->authority);
		put_text(&text, "\r\n");
	}
	while (http_field_next(&fields, &field)) {
		if (stays(request, how, &field))
			put_field(&text, &field);
	}
	if (how->tell)
		put_client(&text, request, how);
	put_text(&text, request->websocket ? "Connection: Upgrade\r\n"
					     "Upgrade: websocket\r\n"
					   : "Connection: close\r\n");
	return finish(&text);
}

/* ---- responses ----------------------------------------------------------- */

size_t http_forward_response(const struct http_response *response,
			     uint8_t *head, size_t size)
{
	struct text text = {head, size, 0};
	struct span fields = response->fields;
	bool upgrade = response->status == 101;
	struct http_field field;

	put(&text, response->line);
	put_text(&text, "\r\n");
	while (http_field_next(&fields, &field)) {
		if ((upgrade && http_field_is(&field, "upgrade")) ||
		    !is_of_one_hop(response->fields, &field))
			put_field(&text, &field);
	}
	if (upgrade)
		put_text(&text, "Connection: Upgrade\r\n");
	else if (response->status >= 200)
		put_text(&text, "Connection: close\r\n");
	return finish(&text);
}

/* ---- answers ------------------------------------------------------------- */

static const struct {
	unsigned status;
	const char *reason;
	const char *sentence;
} answers[] = {
	{301, "Moved Permanently", "This is served over https."},
	{308, "Permanent Redirect", "This is served over https."},
	{400, "Bad Request", "The request is not well-formed HTTP/1.1."},
	{404, "Not Found", "Nothing is served here by this name."},
	{408, "Request Timeout", "The request took too long to arrive."},
	{414, "URI Too Long", "The request line is too long."},
	{421, "Misdirected Request", "https is served on another port."},
	{HTTP_ANSWER_PLAIN, "Bad Request",
	 "This port speaks TLS, and this was plain HTTP: use https://"},
	{431, "Request Header Fields Too Large", "The header is too large."},
	{501, "Not Implemented", "The transfer coding is not supported."},
	{502, "Bad Gateway", "The server behind this one gave no answer."},
	{504, "Gateway Timeout", "The server behind this one is too slow."},
	{505, "HTTP Version Not Supported", "This speaks HTTP/1.1."},
};

/* RFC 9110 section 5.6.7, in English whatever the locale. */
static void put_date(struct text *text, time_t now)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char line[64];
	struct tm date;

	gmtime_r(&now, &date);
	snprintf(line, sizeof(line),
		 "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
		 days + 3 * date.tm_wday, date.tm_mday,
		 months + 3 * date.tm_mon, 1900 + date.tm_year, date.tm_hour,
		 date.tm_min, date.tm_sec);
	put_text(text, line);
}

static void put_location(struct text *text, const struct http_answer *answer)
{
	put_text(text, "Location: https://");
	put(text, answer->host);
	if (!answer->path.length || answer->path.data[0] != '/')
		put_text(text, "/");
	else
		put(text, answer->path);
	put_text(text, "\r\n");
}

size_t http_answer_build(const struct http_answer *answer, uint8_t *bytes,
			 size_t size)
{
	struct text text = {bytes, size, 0};
	char line[128];
	size_t i = 0;

	while (answers[i].status != answer->status)
		i++;
	snprintf(line, sizeof(line), "HTTP/1.1 %u %s\r\n",
		 answer->status == HTTP_ANSWER_PLAIN ? 400 : answer->status,
		 answers[i].reason);
	put_text(&text, line);
	put_date(&text, answer->now);
	if (answer->host.length)
		put_location(&text, answer);
	snprintf(line, sizeof(line),
		 "Content-Type: text/plain\r\nContent-Length: %zu\r\n"
		 "Connection: close\r\n\r\n",
		 strlen(answers[i].sentence) + 1);
	put_text(&text, line);
	if (!answer->is_head) {
		put_text(&text, answers[i].sentence);
		put_text(&text, "\n");
	}
	return text.length <= text.size ? text.length : 0;
}
