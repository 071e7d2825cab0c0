/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one parser and printer of addresses, endpoints and prefixes. Pure. */
#ifndef SNICTL_ADDR_H
#define SNICTL_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include "../bpf/abi.h"

/* "[" 45 "]:" 5 and NUL: the longest of all forms below. */
#define ADDR_TEXT_SIZE 56

/**
 * addr_parse_endpoint() - "IP", "IP:PORT", "IPv6", "[IPv6]", "[IPv6]:PORT".
 * @default_port:  host order; taken where the text has no port.
 * @ret_endpoint:  written only on success; an IPv4-mapped IPv6 address is
 *                 stored as IPv4.
 *
 * A bare IPv6 address has no port. Zones ("%eth0") are refused.
 *
 * Return: 0, -EINVAL (not an IP address; a name is one such), -ERANGE (an
 * address, but what follows the colon is no number in 1..65535).
 */
int addr_parse_endpoint(const char *text, uint16_t default_port,
			struct abi_endpoint *ret_endpoint);

/**
 * addr_parse_listener() - "PORT", "ADDR:PORT", "[IPv6]:PORT".
 *
 * A bare port, and "*:PORT", is every address of both families: family 0.
 *
 * Return: 0, -EINVAL or -ERANGE, as above; -ENODATA (an address without a
 * port).
 */
int addr_parse_listener(const char *text, struct abi_endpoint *ret_endpoint);

/**
 * addr_parse_prefix() - "IP" or "IP/LENGTH".
 *
 * An IPv4-mapped prefix is stored as IPv4.
 *
 * Return: 0, -EINVAL (not an IP address), -ERANGE (an address, but what follows
 * the slash is no length of its family), -EDOM (bits set behind the length).
 */
int addr_parse_prefix(const char *text, struct abi_prefix *ret_prefix);

/** addr_in_prefix() - whether an address lies in a prefix of its family. */
bool addr_in_prefix(const struct abi_endpoint *endpoint,
		    const struct abi_prefix *prefix);

/** addr_equal() - same family and address, ports left aside. */
bool addr_equal(const struct abi_endpoint *a, const struct abi_endpoint *b);

/** addr_is_any() - 0.0.0.0, :: or family 0. */
bool addr_is_any(const struct abi_endpoint *endpoint);

/**
 * addr_format_endpoint() - "192.0.2.1:443" or "[2001:db8::1]:443"; family 0
 * is "*:443".
 * @text: at least ADDR_TEXT_SIZE bytes.
 * Return: @text.
 */
const char *addr_format_endpoint(const struct abi_endpoint *endpoint,
				 char *text);

/**
 * addr_format_listener() - as addr_parse_listener() reads it: "443" for
 * family 0, else as addr_format_endpoint().
 */
const char *addr_format_listener(const struct abi_endpoint *endpoint,
				 char *text);

/** addr_format_ip() - the address alone, without brackets and port. */
const char *addr_format_ip(const struct abi_endpoint *endpoint, char *text);

/** addr_format_prefix() - "192.0.2.0/24", always with the length. */
const char *addr_format_prefix(const struct abi_prefix *prefix, char *text);

/**
 * addr_from_ip() - from an address in network order; an IPv4-mapped IPv6
 * address becomes IPv4.
 * @family: AF_INET (4 bytes at @ip) or AF_INET6 (16 bytes).
 */
void addr_from_ip(int family, const uint8_t *ip, in_port_t port_be,
		  struct abi_endpoint *ret_endpoint);

/**
 * addr_to_ipv6() - the address in network order; IPv4 as IPv4-mapped.
 * Return: true if that is what it is, IPv4 in whatever form.
 */
bool addr_to_ipv6(const struct abi_endpoint *endpoint, uint8_t ret_ip[16]);

/**
 * addr_from_sockaddr() - from the kernel's form; an IPv4-mapped IPv6
 * address becomes IPv4. Another family gives family 0.
 */
void addr_from_sockaddr(const struct sockaddr_storage *from,
			struct abi_endpoint *ret_endpoint);

/**
 * addr_to_sockaddr() - to the kernel's form.
 * Return: its size in bytes; 0 for family 0.
 */
socklen_t addr_to_sockaddr(const struct abi_endpoint *endpoint,
			   struct sockaddr_storage *ret_to);

#endif
