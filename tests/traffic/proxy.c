// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The PROXY header, read and written once more and on purpose without the
 * router's own code: what checks it must not share its mistakes.
 *
 * Spec: proxy-protocol.txt, sections 2.1 and 2.2.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V1_MAX 107
#define V2_HEADER 16
#define TLV_AUTHORITY 0x02
#define TLV_CRC32C 0x03

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
				      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

void place_from_sockaddr(const struct sockaddr_storage *from,
			 struct place *ret_place)
{
	struct sockaddr_in6 ipv6;
	struct sockaddr_in ipv4;

	memset(ret_place, 0, sizeof(*ret_place));
	if (from->ss_family == AF_INET6) {
		memcpy(&ipv6, from, sizeof(ipv6));
		ret_place->address = ipv6.sin6_addr;
		ret_place->port = ntohs(ipv6.sin6_port);
	} else {
		memcpy(&ipv4, from, sizeof(ipv4));
		memset(ret_place->address.s6_addr + 10, 0xff, 2);
		memcpy(ret_place->address.s6_addr + 12, &ipv4.sin_addr, 4);
		ret_place->port = ntohs(ipv4.sin_port);
	}
}

bool place_equal(const struct place *a, const struct place *b)
{
	return a->port == b->port &&
	       !memcmp(&a->address, &b->address, sizeof(a->address));
}

static bool read_place(const char *address, const char *port,
		       struct place *ret_place)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&storage;
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)&storage;

	storage.ss_family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (storage.ss_family == AF_INET6) {
		if (inet_pton(AF_INET6, address, &ipv6->sin6_addr) != 1)
			return false;
	} else if (inet_pton(AF_INET, address, &ipv4->sin_addr) != 1) {
		return false;
	}
	place_from_sockaddr(&storage, ret_place);
	ret_place->port = (uint16_t)strtoul(port, NULL, 10);
	return true;
}

static ptrdiff_t check_v1(const uint8_t *data, size_t length,
			  struct proxy_claim *ret_claim, const char **ret_fault)
{
	size_t limit = length < V1_MAX ? length : V1_MAX;
	const uint8_t *newline = memchr(data, '\n', limit);
	char line[V1_MAX + 1], family[8], source[64], destination[64];
	char source_port[8], destination_port[8], again[V1_MAX + 128];
	size_t size;

	*ret_fault = "no PROXY v1 header";
	if (memcmp(data, "PROXY ", length < 6 ? length : 6) != 0)
		return -1;
	if (!newline)
		return length < V1_MAX ? 0 : -1;
	size = (size_t)(newline - data) + 1;
	memcpy(line, data, size);
	line[size] = '\0';
	*ret_fault = "the PROXY v1 line is malformed";
	if (sscanf(line, "PROXY %7s %63s %63s %7s %7s\r\n", family, source,
		   destination, source_port, destination_port) != 5)
		return -1;
	/* One blank between the fields, CRLF at the end, and no more. */
	snprintf(again, sizeof(again), "PROXY %s %s %s %s %s\r\n", family,
		 source, destination, source_port, destination_port);
	if (strcmp(line, again) != 0 ||
	    strcmp(family, strchr(source, ':') ? "TCP6" : "TCP4") != 0 ||
	    !read_place(source, source_port, &ret_claim->source) ||
	    !read_place(destination, destination_port, &ret_claim->destination))
		return -1;
	return (ptrdiff_t)size;
}

static uint32_t crc32c(const uint8_t *data, size_t length)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* The sum is over the header with the TLV's value as zeros, section 2.2.3. */
static bool crc_matches(const uint8_t *header, size_t size, size_t value)
{
	uint8_t copy[4096];
	uint32_t claimed;

	if (size > sizeof(copy) || value + 4 > size)
		return false;
	memcpy(copy, header, size);
	memcpy(&claimed, copy + value, 4);
	memset(copy + value, 0, 4);
	return ntohl(claimed) == crc32c(copy, size);
}

static const char *check_tlvs(const uint8_t *data, size_t at, size_t size,
			      struct proxy_claim *ret_claim)
{
	while (at < size) {
		size_t length;

		if (size - at < 3)
			return "a TLV is cut off";
		length = (size_t)(data[at + 1] << 8 | data[at + 2]);
		if (length > size - at - 3)
			return "a TLV is longer than its header";
		if (data[at] == TLV_AUTHORITY) {
			ret_claim->authority = data + at + 3;
			ret_claim->authority_length = length;
		}
		if (data[at] == TLV_CRC32C &&
		    (length != 4 || !crc_matches(data, size, at + 3)))
			return "the CRC32C is wrong";
		at += 3 + length;
	}
	return NULL;
}

static void place_from_bytes(int family, const uint8_t *address,
			     const uint8_t *port, struct place *ret_place)
{
	memset(ret_place, 0, sizeof(*ret_place));
	if (family == AF_INET6) {
		memcpy(&ret_place->address, address, 16);
	} else {
		memset(ret_place->address.s6_addr + 10, 0xff, 2);
		memcpy(ret_place->address.s6_addr + 12, address, 4);
	}
	ret_place->port = (uint16_t)(port[0] << 8 | port[1]);
}

static ptrdiff_t check_v2(const uint8_t *data, size_t length,
			  struct proxy_claim *ret_claim, const char **ret_fault)
{
	const uint8_t *addresses = data + V2_HEADER;
	size_t size, width;

	*ret_fault = "no PROXY v2 header";
	if (memcmp(data, signature,
		   length < sizeof(signature) ? length : sizeof(signature)) !=
	    0)
		return -1;
	if (length < V2_HEADER)
		return 0;
	size = V2_HEADER + (size_t)(data[14] << 8 | data[15]);
	if (length < size)
		return 0;
	*ret_fault = "the PROXY v2 header is not PROXY over TCP";
	if (data[12] != 0x21 || (data[13] != 0x11 && data[13] != 0x21))
		return -1;
	width = data[13] == 0x11 ? 4 : 16;
	*ret_fault = "the PROXY v2 addresses are cut off";
	if (size < V2_HEADER + 2 * width + 4)
		return -1;
	place_from_bytes(width == 4 ? AF_INET : AF_INET6, addresses,
			 addresses + 2 * width, &ret_claim->source);
	place_from_bytes(width == 4 ? AF_INET : AF_INET6, addresses + width,
			 addresses + 2 * width + 2, &ret_claim->destination);
	*ret_fault =
		check_tlvs(data, V2_HEADER + 2 * width + 4, size, ret_claim);
	return *ret_fault ? -1 : (ptrdiff_t)size;
}

ptrdiff_t proxy_check(int version, const uint8_t *data, size_t length,
		      struct proxy_claim *ret_claim, const char **ret_fault)
{
	*ret_claim = (struct proxy_claim){0};
	return version == 1 ? check_v1(data, length, ret_claim, ret_fault)
			    : check_v2(data, length, ret_claim, ret_fault);
}

static bool is_ipv4(const struct place *place)
{
	return IN6_IS_ADDR_V4MAPPED(&place->address);
}

static void print_place(const struct place *place, bool ipv4, char *text)
{
	if (ipv4)
		inet_ntop(AF_INET, place->address.s6_addr + 12, text,
			  INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &place->address, text, INET6_ADDRSTRLEN);
}

size_t proxy_write(int version, const struct place *source,
		   const struct place *destination, uint8_t *buffer)
{
	bool ipv4 = is_ipv4(source) && is_ipv4(destination);
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	size_t skip = ipv4 ? 12 : 0, width = 16 - skip;
	uint8_t *at = buffer + V2_HEADER;

	if (version == 1) {
		print_place(source, ipv4, from);
		print_place(destination, ipv4, to);
		return (size_t)snprintf((char *)buffer, V1_MAX + 1,
					"PROXY TCP%c %s %s %u %u\r\n",
					ipv4 ? '4' : '6', from, to,
					source->port, destination->port);
	}
	memcpy(buffer, signature, sizeof(signature));
	buffer[12] = 0x21;
	buffer[13] = ipv4 ? 0x11 : 0x21;
	buffer[14] = 0;
	buffer[15] = (uint8_t)(2 * width + 4);
	memcpy(at, source->address.s6_addr + skip, width);
	memcpy(at + width, destination->address.s6_addr + skip, width);
	at += 2 * width;
	at[0] = (uint8_t)(source->port >> 8);
	at[1] = (uint8_t)source->port;
	at[2] = (uint8_t)(destination->port >> 8);
	at[3] = (uint8_t)destination->port;
	return V2_HEADER + 2 * width + 4;
}
