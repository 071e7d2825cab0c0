// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "http_head.h"

#include <string.h>
#include <strings.h>
#include "addr.h"
#include "name.h"

/* Browsers name one or two fields there. A longer list would only serve to
 * make every look at a field expensive. */
#define CONNECTION_MAX 256
/* 10^18 bytes: what is counted never overflows. */
#define LENGTH_DIGITS_MAX 18

/* ---- the end of a head --------------------------------------------------- */

static enum http_verdict too_long(const struct http_scan *scan)
{
	return scan->lines ? HTTP_HEAD_TOO_LARGE : HTTP_URI_TOO_LONG;
}

/* The byte at @scan->offset; HTTP_OK at the end of the head. */
static enum http_verdict scan_byte(struct http_scan *scan, const uint8_t *bytes)
{
	uint32_t at = scan->offset;
	bool after_cr = at > scan->line && bytes[at - 1] == '\r';

	if (!bytes[at] || after_cr != (bytes[at] == '\n'))
		return HTTP_BAD_REQUEST;
	if (!after_cr)
		return scan->lines || at - scan->line < HTTP_LINE_MAX
			       ? HTTP_PARTIAL
			       : HTTP_URI_TOO_LONG;
	if (at - scan->line == 1)
		return scan->lines ? HTTP_OK : HTTP_BAD_REQUEST;
	scan->line = at + 1;
	return ++scan->lines > HTTP_FIELDS_MAX + 1 ? HTTP_HEAD_TOO_LARGE
						   : HTTP_PARTIAL;
}

enum http_verdict http_scan(struct http_scan *scan, struct span bytes,
			    size_t max_bytes)
{
	while (scan->offset < bytes.length) {
		enum http_verdict verdict;

		if (scan->offset >= max_bytes)
			return too_long(scan);
		verdict = scan_byte(scan, bytes.data);
		if (verdict != HTTP_PARTIAL && verdict != HTTP_OK)
			return verdict;
		scan->offset++;
		if (verdict == HTTP_OK)
			return HTTP_OK;
	}
	return HTTP_PARTIAL;
}

/* ---- bytes --------------------------------------------------------------- */

struct span http_span(const char *text)
{
	return (struct span){(const uint8_t *)text, strlen(text)};
}

static bool same(struct span a, struct span b)
{
	return a.length == b.length &&
	       (!a.length || !strncasecmp((const char *)a.data,
					  (const char *)b.data, a.length));
}

/* Methods are told apart by their case too, RFC 9110 section 9.1. */
static bool is(struct span text, const char *word)
{
	return text.length == strlen(word) &&
	       !memcmp(text.data, word, text.length);
}

/* RFC 9110 section 5.6.2. */
static bool is_token(struct span text)
{
	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = text.data[i];

		if (byte <= 0x20 || byte >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", byte))
			return false;
	}
	return text.length > 0;
}

static struct span strip(struct span text)
{
	while (text.length && (*text.data == ' ' || *text.data == '\t')) {
		text.data++;
		text.length--;
	}
	while (text.length && (text.data[text.length - 1] == ' ' ||
			       text.data[text.length - 1] == '\t'))
		text.length--;
	return text;
}

/* What stands before the next @separator, or all; false: there is nothing. */
static bool cut(struct span *from, uint8_t separator, struct span *ret_piece)
{
	const uint8_t *end;

	if (!from->data)
		return false;
	end = from->length ? memchr(from->data, separator, from->length) : NULL;
	*ret_piece = *from;
	if (!end) {
		*from = (struct span){NULL, 0};
		return true;
	}
	ret_piece->length = (size_t)(end - from->data);
	from->data = end + 1;
	from->length -= ret_piece->length + 1;
	return true;
}

static bool take_number(struct span digits, size_t most, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (!digits.length || digits.length > most)
		return false;
	for (size_t i = 0; i < digits.length; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
		value = value * 10 + (digits.data[i] - (uint64_t)'0');
	}
	*ret_value = value;
	return true;
}

bool http_list_has(struct span list, struct span token)
{
	struct span piece;

	while (cut(&list, ',', &piece)) {
		if (same(strip(piece), token))
			return true;
	}
	return false;
}

/* ---- fields -------------------------------------------------------------- */

/* A line without its CRLF, which well-formed heads have at every line. */
static bool take_line(struct span *lines, struct span *ret_line)
{
	if (!lines->length || !cut(lines, '\n', ret_line))
		return false;
	ret_line->length--;
	return true;
}

bool http_field_next(struct span *fields, struct http_field *ret_field)
{
	struct span line;

	if (!take_line(fields, &line))
		return false;
	cut(&line, ':', &ret_field->name);
	ret_field->value = strip(line);
	return true;
}

bool http_field_is(const struct http_field *field, const char *name)
{
	return same(field->name, http_span(name));
}

/* RFC 9110 section 5.5: neither the blank of an obsolete folding, nor one
 * before the colon, nor a control character. */
static bool is_field(struct span line)
{
	struct span name;

	if (!memchr(line.data, ':', line.length))
		return false;
	cut(&line, ':', &name);
	if (!is_token(name))
		return false;
	for (size_t i = 0; i < line.length; i++) {
		uint8_t byte = line.data[i];

		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return false;
	}
	return true;
}

/* The first line, and the field lines if all are well-formed. */
static bool take_apart(struct span head, struct span *ret_first,
		       struct span *ret_fields)
{
	struct span lines = head, line;

	/* The empty line is no field. */
	lines.length -= 2;
	if (!take_line(&lines, ret_first))
		return false;
	*ret_fields = lines;
	while (take_line(&lines, &line)) {
		if (!is_field(line))
			return false;
	}
	return true;
}

/* ---- what frames and routes a message ------------------------------------ */

/** struct framing - the fields that do, and how often each is there. */
struct framing {
	struct span host;
	struct span length;
	struct span coding;
	struct span upgrade;
	unsigned hosts;
	unsigned lengths;
	unsigned codings;
	size_t connection_bytes;
	bool connection_upgrade;
	bool connection_ill;
};

static void note_connection(struct framing *framing, struct span value)
{
	framing->connection_bytes += value.length;
	if (framing->connection_bytes > CONNECTION_MAX) {
		framing->connection_ill = true;
		return;
	}
	/* RFC 9110 section 7.6.1 forbids to name such fields, and whoever
	 * would take them out could no longer tell where the body ends. */
	framing->connection_ill |=
		http_list_has(value, http_span("host")) ||
		http_list_has(value, http_span("content-length")) ||
		http_list_has(value, http_span("transfer-encoding"));
	framing->connection_upgrade |=
		http_list_has(value, http_span("upgrade"));
}

static void note_fields(struct framing *framing, struct span fields)
{
	struct http_field field;

	while (http_field_next(&fields, &field)) {
		if (http_field_is(&field, "host")) {
			framing->hosts++;
			framing->host = field.value;
		} else if (http_field_is(&field, "content-length")) {
			framing->lengths++;
			framing->length = field.value;
		} else if (http_field_is(&field, "transfer-encoding")) {
			framing->codings++;
			framing->coding = field.value;
		} else if (http_field_is(&field, "connection")) {
			note_connection(framing, field.value);
		} else if (http_field_is(&field, "upgrade")) {
			framing->upgrade = field.value;
		}
	}
}

/* RFC 9112 section 6.3, without its repairs. */
static enum http_verdict frame(const struct framing *framing, unsigned minor,
			       struct http_body *body)
{
	if (framing->lengths + framing->codings > 1 || framing->connection_ill)
		return HTTP_BAD_REQUEST;
	if (framing->codings) {
		if (!minor)
			return HTTP_BAD_REQUEST;
		if (!same(framing->coding, http_span("chunked")))
			return HTTP_NOT_IMPLEMENTED;
		body->framing = HTTP_BODY_CHUNKED;
	}
	if (framing->lengths) {
		if (!take_number(framing->length, LENGTH_DIGITS_MAX,
				 &body->left))
			return HTTP_BAD_REQUEST;
		body->framing = HTTP_BODY_LENGTH;
	}
	return HTTP_OK;
}

/* ---- hosts --------------------------------------------------------------- */

static bool is_host(struct span host)
{
	char text[ADDR_TEXT_SIZE];
	struct abi_endpoint endpoint;
	struct name name;

	if (!host.length || host.data[0] != '[')
		return name_from_wire(host, &name) != NAME_MALFORMED;
	if (host.length >= sizeof(text) || host.data[host.length - 1] != ']')
		return false;
	memcpy(text, host.data, host.length);
	text[host.length] = '\0';
	return !addr_parse_endpoint(text, 80, &endpoint);
}

/* "HOST" or "HOST:PORT"; RFC 3986 section 3.2 allows an empty port. */
static bool take_authority(struct span authority, struct span *ret_host,
			   uint64_t *ret_port)
{
	struct span host = authority, port = {NULL, 0};
	const uint8_t *end = memrchr(host.data, ':', host.length);

	*ret_port = 80;
	if (end && host.data[host.length - 1] != ']') {
		port.data = end + 1;
		port.length = (size_t)(host.data + host.length - port.data);
		host.length = (size_t)(end - host.data);
	}
	*ret_host = host;
	return is_host(host) &&
	       (!port.length || (take_number(port, 5, ret_port) && *ret_port &&
				 *ret_port <= UINT16_MAX));
}

/* ---- requests ------------------------------------------------------------ */

static bool starts(struct span text, const char *with)
{
	size_t length = strlen(with);

	return text.length >= length &&
	       same((struct span){text.data, length}, http_span(with));
}

/* What may stand in a request target; RFC 3986 has no others. */
static bool is_target(struct span target)
{
	for (size_t i = 0; i < target.length; i++) {
		if (target.data[i] <= 0x20 || target.data[i] >= 0x7f ||
		    target.data[i] == '#')
			return false;
	}
	return target.length > 0;
}

/* RFC 9112 section 3.2. */
static enum http_verdict take_target(struct span target,
				     struct http_request *request)
{
	static const uint8_t root[] = "/";
	const size_t scheme = sizeof("http://") - 1;
	const uint8_t *slash;

	if (!is_target(target))
		return HTTP_BAD_REQUEST;
	request->path = target;
	if (target.data[0] == '/')
		return HTTP_OK;
	if (is(target, "*") && is(request->method, "OPTIONS"))
		return HTTP_OK;
	if (starts(target, "https://"))
		return HTTP_MISDIRECTED;
	if (!starts(target, "http://"))
		return HTTP_BAD_REQUEST;
	target.data += scheme;
	target.length -= scheme;
	slash = memchr(target.data, '/', target.length);
	request->authority = target;
	request->path = (struct span){root, 1};
	if (slash) {
		request->authority.length = (size_t)(slash - target.data);
		request->path.data = slash;
		request->path.length =
			target.length - request->authority.length;
	}
	return request->authority.length ? HTTP_OK : HTTP_BAD_REQUEST;
}

static enum http_verdict take_version(struct span version, unsigned *ret_minor)
{
	uint64_t major, minor;

	if (version.length != 8 || memcmp(version.data, "HTTP/", 5) ||
	    version.data[6] != '.' ||
	    !take_number((struct span){version.data + 5, 1}, 1, &major) ||
	    !take_number((struct span){version.data + 7, 1}, 1, &minor))
		return HTTP_BAD_REQUEST;
	*ret_minor = minor > 0;
	return major == 1 ? HTTP_OK : HTTP_VERSION;
}

static enum http_verdict take_request_line(struct span line,
					   struct http_request *request)
{
	struct span target;
	enum http_verdict verdict;

	if (!cut(&line, ' ', &request->method) || !is_token(request->method) ||
	    !cut(&line, ' ', &target) || !line.data)
		return HTTP_BAD_REQUEST;
	verdict = take_version(line, &request->minor);
	return verdict == HTTP_OK ? take_target(target, request) : verdict;
}

/* Several Hosts, or one that says other than the target, are two readings of
 * where the request goes. */
static enum http_verdict take_host(const struct framing *framing,
				   struct http_request *request)
{
	struct span host = framing->host;
	uint64_t port = 80, own_port;

	if (framing->hosts > 1 || (!framing->hosts && request->minor))
		return HTTP_BAD_REQUEST;
	if (framing->hosts && framing->host.length &&
	    !take_authority(framing->host, &host, &port))
		return HTTP_BAD_REQUEST;
	if (!request->authority.length) {
		request->authority = framing->host;
		request->host = host;
		return HTTP_OK;
	}
	if (!take_authority(request->authority, &request->host, &own_port))
		return HTTP_BAD_REQUEST;
	return framing->hosts &&
			       (!same(host, request->host) || port != own_port)
		       ? HTTP_BAD_REQUEST
		       : HTTP_OK;
}

enum http_verdict http_request_parse(struct span head,
				     struct http_request *ret_request)
{
	struct http_request request = {.minor = 1};
	struct framing framing = {.hosts = 0};
	enum http_verdict verdict;
	struct span line;

	if (!take_apart(head, &line, &request.fields))
		return HTTP_BAD_REQUEST;
	verdict = take_request_line(line, &request);
	if (verdict != HTTP_OK)
		return verdict;
	note_fields(&framing, request.fields);
	verdict = take_host(&framing, &request);
	if (verdict == HTTP_OK)
		verdict = frame(&framing, request.minor, &request.body);
	if (verdict != HTTP_OK)
		return verdict;
	request.is_head = is(request.method, "HEAD");
	request.websocket = request.minor && is(request.method, "GET") &&
			    framing.connection_upgrade &&
			    same(framing.upgrade, http_span("websocket")) &&
			    http_body_is_done(&request.body);
	*ret_request = request;
	return HTTP_OK;
}

/* ---- responses ----------------------------------------------------------- */

static bool take_status_line(struct span line, struct http_response *response)
{
	struct span rest = line, version;
	uint64_t status;
	unsigned minor;

	if (!cut(&rest, ' ', &version) || !rest.data || rest.length < 3 ||
	    take_version(version, &minor) != HTTP_OK ||
	    !take_number((struct span){rest.data, 3}, 3, &status) ||
	    status < 100 || (rest.length > 3 && rest.data[3] != ' '))
		return false;
	for (size_t i = 0; i < line.length; i++) {
		if ((line.data[i] < 0x20 && line.data[i] != '\t') ||
		    line.data[i] == 0x7f)
			return false;
	}
	response->line = line;
	response->status = (unsigned)status;
	return true;
}

bool http_response_parse(struct span head, bool is_head,
			 struct http_response *ret_response)
{
	struct http_response response = {.body.framing = HTTP_BODY_UNTIL_CLOSE};
	struct framing framing = {.hosts = 0};
	struct span line;

	if (!take_apart(head, &line, &response.fields) ||
	    !take_status_line(line, &response))
		return false;
	note_fields(&framing, response.fields);
	if (frame(&framing, 1, &response.body) != HTTP_OK)
		return false;
	if (is_head || response.status < 200 || response.status == 204 ||
	    response.status == 304)
		response.body = (struct http_body){.framing = HTTP_BODY_NONE};
	*ret_response = response;
	return true;
}

/* ---- what a request is for ----------------------------------------------- */

bool http_is_challenge(struct span path)
{
	static const char prefix[] = "/.well-known/acme-challenge/";
	const size_t length = sizeof(prefix) - 1;

	if (path.length <= length || memcmp(path.data, prefix, length) != 0)
		return false;
	for (size_t i = length; i < path.length; i++) {
		uint8_t byte = path.data[i];

		if (!(byte >= '0' && byte <= '9') && byte != '-' &&
		    byte != '_' &&
		    !((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z'))
			return false;
	}
	return true;
}

bool http_looks_like(struct span bytes)
{
	static const char *const methods[] = {
		"GET ",	   "HEAD ",	"POST ",    "PUT ",   "DELETE ",
		"PATCH ",  "OPTIONS ",	"CONNECT ", "TRACE ", "PRI ",
		"REPORT ", "PROPFIND ", "MKCOL ",   "COPY ",  "MOVE ",
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (bytes.length >= strlen(methods[i]) &&
		    !memcmp(bytes.data, methods[i], strlen(methods[i])))
			return true;
	}
	return false;
}
