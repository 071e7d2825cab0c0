// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "addr.h"
#include "number.h"

/* "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" and NUL. */
#define IP_TEXT_SIZE 40
#define V1_PREFIX "PROXY "
#define V1_PREFIX_BYTES 6

/* Section 2.2: signature, version and command, family, length. */
#define V2_HEADER_BYTES 16
#define V2_LENGTH_AT 14
static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
					 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum v2_command {
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21
};

enum v2_family {
	V2_UNSPEC = 0x0,
	V2_INET = 0x1,
	V2_INET6 = 0x2,
	V2_UNIX = 0x3
};

enum v2_transport {
	V2_ANY = 0x0,
	V2_STREAM = 0x1,
	V2_DGRAM = 0x2
};

/* Section 2.2: PP2_TYPE_. */
enum v2_tlv {
	V2_TLV_ALPN = 0x01,
	V2_TLV_AUTHORITY = 0x02,
	V2_TLV_CRC32C = 0x03,
	V2_TLV_UNIQUE_ID = 0x05
};

#define ALPN_MAX 255	  /* RFC 7301 section 3.1 */
#define UNIQUE_ID_MAX 128 /* section 2.2.5 */
#define CRC_BYTES 4

_Static_assert(V2_HEADER_BYTES + 2 * 16 + 2 * 2 + 4 * 3 + ALPN_MAX +
			       ABI_NAME_MAX + UNIQUE_ID_MAX + CRC_BYTES ==
		       PROXY_BUILD_MAX,
	       "all that build_v2() writes");

/*
 * CRC32C, four bits at a time: entry i is i divided by the reflected
 * polynomial 0x82f63b78 (RFC 3720 section 12.1, RFC 4960 appendix B). Headers
 * are short, so a larger table would only cost cache.
 */
static uint32_t crc32c_add(uint32_t crc, const uint8_t *data, size_t length)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* Section 2.2.3: of the whole header, the checksum's own bytes being zero. */
static uint32_t header_crc(struct span header, const uint8_t *checksum)
{
	static const uint8_t zeros[CRC_BYTES];
	size_t before = (size_t)(checksum - header.data);
	uint32_t crc = UINT32_MAX;

	crc = crc32c_add(crc, header.data, before);
	crc = crc32c_add(crc, zeros, CRC_BYTES);
	crc = crc32c_add(crc, checksum + CRC_BYTES,
			 header.length - before - CRC_BYTES);
	return crc ^ UINT32_MAX;
}

/**
 * struct pair - both addresses in the family that a header gives them.
 * @family: AF_INET where both are IPv4, else AF_INET6; 0: one is missing.
 * @bytes:  of an address.
 */
struct pair {
	int family;
	size_t bytes;
	uint8_t source[16];
	uint8_t destination[16];
};

static void pair_init(struct pair *pair, const struct proxy_info *info)
{
	bool ipv4 = addr_to_ipv6(&info->source, pair->source);

	ipv4 &= addr_to_ipv6(&info->destination, pair->destination);
	pair->family = ipv4 ? AF_INET : AF_INET6;
	pair->bytes = ipv4 ? 4 : 16;
	if (!info->source.family || !info->destination.family)
		pair->family = 0;
	if (ipv4) {
		memmove(pair->source, pair->source + 12, 4);
		memmove(pair->destination, pair->destination + 12, 4);
	}
}

/*
 * Section 2.1 writes IPv6 in hexadecimal throughout, where inet_ntop() ends
 * some addresses in a dotted quad ("::ffff:192.0.2.1").
 */
static void format_ip(int family, const uint8_t *ip, char text[IP_TEXT_SIZE])
{
	char *quad;

	inet_ntop(family, ip, text, IP_TEXT_SIZE);
	if (family != AF_INET6 || !strchr(text, '.'))
		return;
	quad = strrchr(text, ':') + 1;
	snprintf(quad, (size_t)(text + IP_TEXT_SIZE - quad), "%x:%x",
		 ip[12] << 8 | ip[13], ip[14] << 8 | ip[15]);
}

static size_t build_v1(const struct proxy_info *info, uint8_t *header)
{
	char source[IP_TEXT_SIZE], destination[IP_TEXT_SIZE];
	char *text = (char *)header;
	struct pair pair;

	pair_init(&pair, info);
	if (!pair.family)
		return (size_t)snprintf(text, PROXY_V1_MAX + 1,
					V1_PREFIX "UNKNOWN\r\n");
	format_ip(pair.family, pair.source, source);
	format_ip(pair.family, pair.destination, destination);
	return (size_t)snprintf(
		text, PROXY_V1_MAX + 1, V1_PREFIX "TCP%c %s %s %u %u\r\n",
		pair.family == AF_INET ? '4' : '6', source, destination,
		ntohs(info->source.port_be), ntohs(info->destination.port_be));
}

static uint8_t *put_addresses(uint8_t *at, const struct proxy_info *info)
{
	struct pair pair;

	pair_init(&pair, info);
	*at++ = pair.family ? V2_PROXY : V2_LOCAL;
	if (pair.family == AF_INET)
		*at++ = V2_INET << 4 | V2_STREAM;
	else if (pair.family == AF_INET6)
		*at++ = V2_INET6 << 4 | V2_STREAM;
	else
		*at++ = V2_UNSPEC << 4 | V2_ANY;
	at += 2; /* the length, when it is known */
	if (!pair.family)
		return at;
	at = mempcpy(at, pair.source, pair.bytes);
	at = mempcpy(at, pair.destination, pair.bytes);
	at = mempcpy(at, &info->source.port_be, 2);
	return mempcpy(at, &info->destination.port_be, 2);
}

static uint8_t *put_tlv(uint8_t *at, enum v2_tlv type, struct span value,
			size_t max_bytes)
{
	if (!value.length || value.length > max_bytes)
		return at;
	*at++ = (uint8_t)type;
	*at++ = (uint8_t)(value.length >> 8);
	*at++ = (uint8_t)value.length;
	return mempcpy(at, value.data, value.length);
}

static size_t build_v2(const struct proxy_info *info, uint8_t *header)
{
	static const uint8_t zeros[CRC_BYTES];
	uint8_t *at = mempcpy(header, v2_signature, sizeof(v2_signature));
	size_t length;
	uint32_t crc_be;

	at = put_addresses(at, info);
	at = put_tlv(at, V2_TLV_ALPN, info->alpn, ALPN_MAX);
	at = put_tlv(at, V2_TLV_AUTHORITY, info->authority, ABI_NAME_MAX);
	at = put_tlv(at, V2_TLV_UNIQUE_ID, info->unique_id, UNIQUE_ID_MAX);
	at = put_tlv(at, V2_TLV_CRC32C, (struct span){zeros, CRC_BYTES},
		     CRC_BYTES);
	length = (size_t)(at - header);
	header[V2_LENGTH_AT] = (uint8_t)((length - V2_HEADER_BYTES) >> 8);
	header[V2_LENGTH_AT + 1] = (uint8_t)(length - V2_HEADER_BYTES);
	crc_be = htonl(
		header_crc((struct span){header, length}, at - CRC_BYTES));
	memcpy(at - CRC_BYTES, &crc_be, CRC_BYTES);
	return length;
}

size_t proxy_build(enum abi_proxy version, const struct proxy_info *info,
		   uint8_t *header)
{
	switch (version) {
	case ABI_PROXY_V1:
		return build_v1(info, header);
	case ABI_PROXY_V2:
		return build_v2(info, header);
	case ABI_PROXY_OFF:
		break;
	}
	return 0;
}

static bool parse_v1_endpoint(int family, const char *ip, const char *port,
			      struct abi_endpoint *ret_endpoint)
{
	uint8_t bytes[16];
	uint64_t number;

	if (!ip || !port || inet_pton(family, ip, bytes) != 1 ||
	    number_parse(port, 0, UINT16_MAX, &number))
		return false;
	addr_from_ip(family, bytes, htons((uint16_t)number), ret_endpoint);
	return true;
}

/* @line: what stands between "PROXY " and CRLF. */
static bool parse_v1_line(struct span line, struct proxy_header *header)
{
	char text[PROXY_V1_MAX] = {0}, *rest = text;
	const char *word[5] = {NULL};
	int family;

	if (line.length >= 7 && !memcmp(line.data, "UNKNOWN", 7)) {
		/* "The receiver must ignore anything" behind the word. */
		header->local = true;
		return line.length == 7 || line.data[7] == ' ';
	}
	memcpy(text, line.data, line.length);
	if (strlen(text) != line.length)
		return false;
	/* Between two spaces strsep() finds an empty word: no address. */
	for (unsigned i = 0; i < 5; i++)
		word[i] = strsep(&rest, " ");
	if (rest)
		return false;
	if (!strcmp(word[0], "TCP4"))
		family = AF_INET;
	else if (!strcmp(word[0], "TCP6"))
		family = AF_INET6;
	else
		return false;
	return parse_v1_endpoint(family, word[1], word[3],
				 &header->info.source) &&
	       parse_v1_endpoint(family, word[2], word[4],
				 &header->info.destination);
}

/* As far as there is any input. */
static bool starts_like(struct span input, const void *prefix, size_t bytes)
{
	return !memcmp(input.data, prefix,
		       input.length < bytes ? input.length : bytes);
}

static enum proxy_status parse_v1(struct span input,
				  struct proxy_header *ret_header)
{
	struct proxy_header header = {0};
	const uint8_t *end;
	struct span line;

	if (!starts_like(input, V1_PREFIX, V1_PREFIX_BYTES))
		return PROXY_MALFORMED;
	if (input.length > PROXY_V1_MAX)
		input.length = PROXY_V1_MAX;
	end = memchr(input.data, '\n', input.length);
	if (!end)
		return input.length < PROXY_V1_MAX ? PROXY_PARTIAL
						   : PROXY_MALFORMED;
	/* A line feed lies behind the prefix, which has none. */
	if (end[-1] != '\r')
		return PROXY_MALFORMED;
	header.length = (size_t)(end + 1 - input.data);
	line.data = input.data + V1_PREFIX_BYTES;
	line.length = header.length - V1_PREFIX_BYTES - strlen("\r\n");
	if (!parse_v1_line(line, &header))
		return PROXY_MALFORMED;
	*ret_header = header;
	return PROXY_OK;
}

/* A type that we read and that is there twice is a fault. */
static bool parse_tlvs(struct span tlvs, struct proxy_info *info,
		       struct span *ret_crc)
{
	while (tlvs.length) {
		struct span value, *known = NULL;
		uint8_t type;

		if (!span_take_u8(&tlvs, &type) ||
		    !span_take_block(&tlvs, 2, &value))
			return false;
		if (type == V2_TLV_ALPN)
			known = &info->alpn;
		else if (type == V2_TLV_AUTHORITY)
			known = &info->authority;
		else if (type == V2_TLV_UNIQUE_ID)
			known = &info->unique_id;
		else if (type == V2_TLV_CRC32C)
			known = ret_crc;
		if (!known)
			continue;
		if (known->data)
			return false;
		*known = value;
	}
	return info->unique_id.length <= UNIQUE_ID_MAX;
}

/* @block: what follows the first 16 bytes, of a known family and transport. */
static bool parse_v2_block(struct span block, enum v2_family family,
			   enum v2_transport transport,
			   struct proxy_header *header, struct span *ret_crc)
{
	static const size_t address_bytes[] = {
		[V2_INET] = 4, [V2_INET6] = 16, [V2_UNIX] = 108};
	size_t bytes = address_bytes[family];
	int domain = family == V2_INET ? AF_INET : AF_INET6;
	struct span source, destination, ports;
	in_port_t port_be[2];

	if (!span_take(&block, bytes, &source) ||
	    !span_take(&block, bytes, &destination) ||
	    !span_take(&block, family == V2_UNIX ? 0 : sizeof(port_be), &ports))
		return false;
	header->local = family == V2_UNIX || transport != V2_STREAM;
	if (!header->local) {
		memcpy(port_be, ports.data, sizeof(port_be));
		addr_from_ip(domain, source.data, port_be[0],
			     &header->info.source);
		addr_from_ip(domain, destination.data, port_be[1],
			     &header->info.destination);
	}
	return parse_tlvs(block, &header->info, ret_crc);
}

static bool crc_is_right(struct span header, struct span crc)
{
	uint32_t right_be;

	if (!crc.data)
		return true;
	if (crc.length != CRC_BYTES)
		return false;
	right_be = htonl(header_crc(header, crc.data));
	return !memcmp(crc.data, &right_be, CRC_BYTES);
}

/* @input: a whole header. */
static bool parse_v2_header(struct span input, struct proxy_header *header)
{
	enum v2_family family = input.data[13] >> 4;
	enum v2_transport transport = input.data[13] & 15;
	struct span block = input, first, crc = {0};

	/* "Discard the protocol block including the family." */
	header->local = input.data[12] == V2_LOCAL;
	if (header->local)
		return true;
	if (family > V2_UNIX || transport > V2_DGRAM)
		return false;
	/* What the block holds is not said: nothing in it can be read. */
	header->local = family == V2_UNSPEC || transport == V2_ANY;
	if (header->local)
		return true;
	return span_take(&block, V2_HEADER_BYTES, &first) &&
	       parse_v2_block(block, family, transport, header, &crc) &&
	       crc_is_right(input, crc);
}

static enum proxy_status parse_v2(struct span input,
				  struct proxy_header *ret_header)
{
	struct proxy_header header = {0};

	if (!starts_like(input, v2_signature, sizeof(v2_signature)))
		return PROXY_MALFORMED;
	if (input.length < V2_HEADER_BYTES)
		return PROXY_PARTIAL;
	if (input.data[12] != V2_LOCAL && input.data[12] != V2_PROXY)
		return PROXY_MALFORMED;
	header.length =
		V2_HEADER_BYTES + (size_t)(input.data[V2_LENGTH_AT] << 8 |
					   input.data[V2_LENGTH_AT + 1]);
	if (header.length > PROXY_PARSE_MAX)
		return PROXY_MALFORMED;
	if (input.length < header.length)
		return PROXY_PARTIAL;
	input.length = header.length;
	if (!parse_v2_header(input, &header))
		return PROXY_MALFORMED;
	*ret_header = header;
	return PROXY_OK;
}

enum proxy_status proxy_parse(struct span input,
			      struct proxy_header *ret_header)
{
	if (!input.length)
		return PROXY_PARTIAL;
	if (input.data[0] == v2_signature[0])
		return parse_v2(input, ret_header);
	return parse_v1(input, ret_header);
}
