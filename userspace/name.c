// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>
#include "addr.h"
#include "cleanup.h"

/* RFC 1035 section 2.3.4. */
#define LABEL_MAX 63
/* A longer text gives no name: each character is at most four bytes of UTF-8,
 * and becomes at least one letter. */
#define UTF8_MAX (4 * (ABI_NAME_MAX + 1))

/* What a byte of a host name becomes; 0: no host name has it. RFC 952 and 1123
 * have no '_', the names in use do (RFC 8552). */
static const char normal[256] = {
	['-'] = '-', ['.'] = '.', ['_'] = '_', ['0'] = '0', ['1'] = '1',
	['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
	['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b',
	['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g',
	['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l',
	['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
	['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v',
	['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a',
	['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f',
	['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
	['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p',
	['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
	['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

/* "2001:db8::1" and "[2001:db8::1]". */
static bool is_ipv6(struct span raw)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ipv6;

	if (raw.length > 2 && raw.data[0] == '[' &&
	    raw.data[raw.length - 1] == ']')
		raw = (struct span){raw.data + 1, raw.length - 2};
	if (raw.length >= sizeof(text) || memchr(raw.data, 0, raw.length))
		return false;
	memcpy(text, raw.data, raw.length);
	text[raw.length] = '\0';
	return inet_pton(AF_INET6, text, &ipv6) == 1;
}

/* Only a name that begins and ends with a digit is worth the closer look. */
static bool is_ipv4(const struct name *name)
{
	struct in_addr ipv4;

	return name->text[0] <= '9' && name->text[name->length - 1] <= '9' &&
	       inet_pton(AF_INET, name->text, &ipv4) == 1;
}

enum name_status name_from_wire(struct span raw, struct name *ret_name)
{
	struct name name = {0};
	size_t length = raw.length, label = 0;

	if (length && raw.data[length - 1] == '.')
		length--;
	if (!length || length > ABI_NAME_MAX)
		return NAME_MALFORMED;
	for (size_t i = 0; i < length; i++) {
		char character = normal[raw.data[i]];

		if (!character)
			return is_ipv6(raw) ? NAME_IP_LITERAL : NAME_MALFORMED;
		if (character != '.') {
			if (++label > LABEL_MAX)
				return NAME_MALFORMED;
		} else if (label) {
			label = 0;
		} else {
			return NAME_MALFORMED;
		}
		name.text[i] = character;
	}
	if (!label)
		return NAME_MALFORMED;
	name.length = (uint8_t)length;
	if (is_ipv4(&name))
		return NAME_IP_LITERAL;
	*ret_name = name;
	return NAME_OK;
}

unsigned name_labels(const struct name *name)
{
	unsigned labels = 1;

	for (unsigned i = 0; i < name->length; i++)
		labels += name->text[i] == '.';
	return labels;
}

static const struct keyword {
	const char *word;
	enum abi_route_kind kind;
} keywords[] = {
	{"none", ABI_ROUTE_NONE},
	{"default", ABI_ROUTE_DEFAULT},
	{"other", ABI_ROUTE_OTHER},
};

#define KEYWORDS (sizeof(keywords) / sizeof(keywords[0]))

static const struct keyword *find_keyword(const char *text)
{
	for (size_t i = 0; i < KEYWORDS; i++) {
		if (!strcasecmp(text, keywords[i].word))
			return &keywords[i];
	}
	return NULL;
}

/* Why an ASCII text, of which name_from_wire() made no name, is none. */
static const char *explain(const char *text)
{
	size_t label;

	if (strchr(text, '*'))
		return "'*' may only be the whole first label";
	for (const char *at = text; *at; at++) {
		if (!normal[(uint8_t)*at])
			return "only letters, digits, '-', '_' and '.' "
			       "may be in it";
	}
	do {
		label = strcspn(text, ".");
		if (!label)
			return "a label is empty";
		if (label > LABEL_MAX)
			return "a label is longer than 63 characters";
		text += label;
	} while (*text++ == '.' && *text);
	return "it is longer than 253 characters";
}

static const char is_address[] = "it is an IP address, and TLS asks for names "
				 "only: use none or default";

/* What people give for a name that is something else. */
static const char *explain_other(const char *text)
{
	struct abi_endpoint endpoint;

	if (!*text)
		return "it is empty";
	if (!strcmp(text, "*"))
		return "'*' alone is no pattern: use default";
	if (strstr(text, "://"))
		return "it is a URL: give the host name in it";
	if (addr_parse_endpoint(text, 1, &endpoint) != -EINVAL)
		return is_address;
	if (strchr(text, '/'))
		return "it has a path: give the host name before it";
	if (strchr(text, '@'))
		return "it is a mail address: give the host name behind '@'";
	if (strchr(text, ','))
		return "it is a list: each name has a route of its own";
	if (strchr(text, ':'))
		return "it has a port: ports belong to listeners";
	return NULL;
}

static const char *explain_idn(int error)
{
	switch (error) {
	case IDN2_TOO_BIG_LABEL:
	case IDN2_PUNYCODE_BIG_OUTPUT:
		return "a label is longer than 63 characters";
	case IDN2_TOO_BIG_DOMAIN:
		return "it is longer than 253 characters";
	case IDN2_ENCODING_ERROR:
		return "it is not UTF-8";
	default:
		return idn2_strerror(error);
	}
}

static bool is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

/* Return: NULL, or why not. */
static const char *parse_name(const char *text, struct name *ret_name)
{
	AUTO_FREE char *ascii = NULL;
	struct span raw;
	int error;

	if (strlen(text) > UTF8_MAX)
		return "it is longer than 253 characters";
	/* ASCII passes as it is: libidn2 would refuse labels in use, such as
	 * "r3---sn". */
	if (!is_ascii(text)) {
		error = idn2_to_ascii_8z(text, &ascii,
					 IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
		if (error)
			return explain_idn(error);
		text = ascii;
	}
	raw = (struct span){(const uint8_t *)text, strlen(text)};
	switch (name_from_wire(raw, ret_name)) {
	case NAME_OK:
		return NULL;
	case NAME_IP_LITERAL:
		return is_address;
	case NAME_MALFORMED:
		break;
	}
	return explain(text);
}

int pattern_parse(const char *text, struct pattern *ret_pattern,
		  const char **ret_reason)
{
	const struct keyword *keyword = find_keyword(text);
	struct pattern pattern = {.kind = ABI_ROUTE_EXACT};
	const char *reason;

	if (keyword) {
		pattern.kind = (uint8_t)keyword->kind;
		*ret_pattern = pattern;
		return 0;
	}
	reason = explain_other(text);
	if (!reason) {
		if (!strncmp(text, "*.", 2) || text[0] == '.')
			pattern.kind = ABI_ROUTE_WILDCARD;
		pattern.apex = text[0] == '.';
		if (pattern.kind == ABI_ROUTE_WILDCARD)
			text = strchr(text, '.') + 1;
		reason = parse_name(text, &pattern.name);
	}
	if (reason) {
		*ret_reason = reason;
		return -EINVAL;
	}
	*ret_pattern = pattern;
	return 0;
}

const char *pattern_format(const struct pattern *pattern, char *text)
{
	const char *name = pattern->name.text;

	if (pattern->kind == ABI_ROUTE_EXACT) {
		/* The dot keeps a host called "none" apart from the word. */
		snprintf(text, PATTERN_TEXT_SIZE, "%s%s", name,
			 find_keyword(name) ? "." : "");
		return text;
	}
	for (size_t i = 0; i < KEYWORDS; i++) {
		if (pattern->kind == keywords[i].kind) {
			memcpy(text, keywords[i].word,
			       strlen(keywords[i].word) + 1);
			return text;
		}
	}
	snprintf(text, PATTERN_TEXT_SIZE, "%s%s", pattern->apex ? "." : "*.",
		 name);
	return text;
}
