// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "number.h"

/* ::ffff:0:0/96, RFC 4291 section 2.5.5.2. */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static unsigned family_bits(uint8_t family)
{
	switch (family) {
	case AF_INET:
		return 32;
	case AF_INET6:
		return 128;
	default:
		return 0;
	}
}

void addr_from_ip(int family, const uint8_t *ip, in_port_t port_be,
		  struct abi_endpoint *ret_endpoint)
{
	struct abi_endpoint endpoint = {.port_be = port_be,
					.family = (uint8_t)family};

	if (family == AF_INET6 &&
	    !memcmp(ip, mapped_prefix, sizeof(mapped_prefix))) {
		endpoint.family = AF_INET;
		ip += sizeof(mapped_prefix);
	}
	memcpy(endpoint.addr, ip, endpoint.family == AF_INET ? 4 : 16);
	*ret_endpoint = endpoint;
}

bool addr_to_ipv6(const struct abi_endpoint *endpoint, uint8_t ret_ip[16])
{
	if (endpoint->family == AF_INET) {
		memcpy(ret_ip, mapped_prefix, sizeof(mapped_prefix));
		memcpy(ret_ip + sizeof(mapped_prefix), endpoint->addr, 4);
	} else {
		memcpy(ret_ip, endpoint->addr, 16);
	}
	return !memcmp(ret_ip, mapped_prefix, sizeof(mapped_prefix));
}

static int parse_ip(const char *text, size_t length,
		    struct abi_endpoint *ret_endpoint)
{
	char host[INET6_ADDRSTRLEN];
	uint8_t ip[16];
	int family;

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	/* Unlike getaddrinfo(), inet_pton() knows no zones and no octal. */
	family = memchr(host, ':', length) ? AF_INET6 : AF_INET;
	if (inet_pton(family, host, ip) != 1)
		return -EINVAL;
	addr_from_ip(family, ip, 0, ret_endpoint);
	return 0;
}

static int parse_port(const char *text, struct abi_endpoint *endpoint)
{
	uint64_t port;

	if (number_parse(text, 1, UINT16_MAX, &port))
		return -ERANGE;
	endpoint->port_be = htons((uint16_t)port);
	return 0;
}

/*
 * Splits "IP", "IP:PORT", "IPv6", "[IPv6]" and "[IPv6]:PORT".
 * @ret_port: NULL where there is none.
 */
static int parse_ip_and_port(const char *text, struct abi_endpoint *endpoint,
			     const char **ret_port)
{
	const char *host = text, *end, *colon = strchr(text, ':');

	if (text[0] == '[') {
		end = strchr(text, ']');
		/* Brackets are for IPv6, which has a colon inside them. */
		if (!end || !colon || colon > end)
			return -EINVAL;
		if (end[1] && end[1] != ':')
			return -EINVAL;
		host = text + 1;
		*ret_port = end[1] ? end + 2 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		*ret_port = colon + 1;
	} else {
		end = text + strlen(text);
		*ret_port = NULL;
	}
	return parse_ip(host, (size_t)(end - host), endpoint);
}

int addr_parse_endpoint(const char *text, uint16_t default_port,
			struct abi_endpoint *ret_endpoint)
{
	struct abi_endpoint endpoint;
	const char *port;
	int error = parse_ip_and_port(text, &endpoint, &port);

	if (error)
		return error;
	endpoint.port_be = htons(default_port);
	if (port && parse_port(port, &endpoint))
		return -ERANGE;
	*ret_endpoint = endpoint;
	return 0;
}

int addr_parse_listener(const char *text, struct abi_endpoint *ret_endpoint)
{
	struct abi_endpoint endpoint = {0};
	const char *port = text;
	int error = 0;

	if (!strncmp(text, "*:", 2))
		port = text + 2;
	else if (strspn(text, "0123456789") != strlen(text) || !*text)
		error = parse_ip_and_port(text, &endpoint, &port);
	if (!error)
		error = port ? parse_port(port, &endpoint) : -ENODATA;
	if (!error)
		*ret_endpoint = endpoint;
	return error;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return false;
	return !rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* No bit is set from @bits on. */
static bool bits_end(const uint8_t addr[16], unsigned bits)
{
	unsigned rest = bits % 8 ? addr[bits / 8] & 0xffu >> bits % 8 : 0;

	for (unsigned i = (bits + 7) / 8; i < 16; i++)
		rest |= addr[i];
	return rest == 0;
}

int addr_parse_prefix(const char *text, struct abi_prefix *ret_prefix)
{
	const char *slash = strchrnul(text, '/');
	bool ipv6 = memchr(text, ':', (size_t)(slash - text));
	struct abi_endpoint endpoint = {0};
	struct abi_prefix prefix = {0};
	unsigned bits;
	uint64_t length;

	if (parse_ip(text, (size_t)(slash - text), &endpoint))
		return -EINVAL;
	bits = ipv6 ? 128 : 32;
	length = bits;
	if (*slash && number_parse(slash + 1, 0, bits, &length))
		return -ERANGE;
	if (ipv6 && endpoint.family == AF_INET) {
		/* A shorter one would cut through the ffff of the mapping. */
		if (length < 96)
			return -EDOM;
		length -= 96;
	}
	if (!bits_end(endpoint.addr, (unsigned)length))
		return -EDOM;
	memcpy(prefix.addr, endpoint.addr, sizeof(prefix.addr));
	prefix.family = endpoint.family;
	prefix.length = (uint8_t)length;
	*ret_prefix = prefix;
	return 0;
}

bool addr_in_prefix(const struct abi_endpoint *endpoint,
		    const struct abi_prefix *prefix)
{
	/* The length comes from a map: do not trust it to be in range. */
	return endpoint->family && endpoint->family == prefix->family &&
	       prefix->length <= family_bits(prefix->family) &&
	       bits_equal(endpoint->addr, prefix->addr, prefix->length);
}

bool addr_equal(const struct abi_endpoint *a, const struct abi_endpoint *b)
{
	return a->family == b->family &&
	       bits_equal(a->addr, b->addr, family_bits(a->family));
}

bool addr_is_any(const struct abi_endpoint *endpoint)
{
	static const uint8_t any[16];

	return bits_equal(endpoint->addr, any, family_bits(endpoint->family));
}

const char *addr_format_ip(const struct abi_endpoint *endpoint, char *text)
{
	/* Fails only for a family that is neither. */
	if (!inet_ntop(endpoint->family, endpoint->addr, text, ADDR_TEXT_SIZE))
		memcpy(text, "*", 2);
	return text;
}

const char *addr_format_endpoint(const struct abi_endpoint *endpoint,
				 char *text)
{
	char ip[ADDR_TEXT_SIZE];
	bool ipv6 = endpoint->family == AF_INET6;

	/* The precision tells the compiler that it fits. */
	snprintf(text, ADDR_TEXT_SIZE, "%s%.*s%s:%u", ipv6 ? "[" : "",
		 INET6_ADDRSTRLEN - 1, addr_format_ip(endpoint, ip),
		 ipv6 ? "]" : "", ntohs(endpoint->port_be));
	return text;
}

const char *addr_format_listener(const struct abi_endpoint *endpoint,
				 char *text)
{
	if (endpoint->family)
		return addr_format_endpoint(endpoint, text);
	snprintf(text, ADDR_TEXT_SIZE, "%u", ntohs(endpoint->port_be));
	return text;
}

const char *addr_format_prefix(const struct abi_prefix *prefix, char *text)
{
	struct abi_endpoint endpoint = {.family = prefix->family};
	char ip[ADDR_TEXT_SIZE];

	memcpy(endpoint.addr, prefix->addr, sizeof(endpoint.addr));
	snprintf(text, ADDR_TEXT_SIZE, "%.*s/%u", INET6_ADDRSTRLEN - 1,
		 addr_format_ip(&endpoint, ip), prefix->length);
	return text;
}

void addr_from_sockaddr(const struct sockaddr_storage *from,
			struct abi_endpoint *ret_endpoint)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	switch (from->ss_family) {
	case AF_INET:
		memcpy(&ipv4, from, sizeof(ipv4));
		addr_from_ip(AF_INET, (const uint8_t *)&ipv4.sin_addr,
			     ipv4.sin_port, ret_endpoint);
		break;
	case AF_INET6:
		memcpy(&ipv6, from, sizeof(ipv6));
		addr_from_ip(AF_INET6, ipv6.sin6_addr.s6_addr, ipv6.sin6_port,
			     ret_endpoint);
		break;
	default:
		*ret_endpoint = (struct abi_endpoint){0};
	}
}

socklen_t addr_to_sockaddr(const struct abi_endpoint *endpoint,
			   struct sockaddr_storage *ret_to)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET,
				   .sin_port = endpoint->port_be};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6,
				    .sin6_port = endpoint->port_be};

	switch (endpoint->family) {
	case AF_INET:
		memcpy(&ipv4.sin_addr, endpoint->addr, 4);
		memcpy(ret_to, &ipv4, sizeof(ipv4));
		return sizeof(ipv4);
	case AF_INET6:
		memcpy(&ipv6.sin6_addr, endpoint->addr, 16);
		memcpy(ret_to, &ipv6, sizeof(ipv6));
		return sizeof(ipv6);
	default:
		return 0;
	}
}
