/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The PROXY protocol, versions 1 and 2, both ways. Pure.
 * Spec: "The PROXY protocol, versions 1 & 2" (haproxy, proxy-protocol.txt). */
#ifndef SNICTL_PROXY_H
#define SNICTL_PROXY_H

#include "../bpf/abi.h"
#include "span.h"

/* The longest header that proxy_build() makes: 16 + 36 addresses + TLVs of
 * ALPN 3+255, AUTHORITY 3+253, UNIQUE_ID 3+128 and CRC32C 3+4. */
#define PROXY_BUILD_MAX 704
/* The longest header that proxy_parse() accepts, bytes with its first 16. */
#define PROXY_PARSE_MAX 4096
/* The longest version 1 line with CRLF, section 2.1. */
#define PROXY_V1_MAX 107

/**
 * struct proxy_info - what a header says.
 * @source:      the client's address and port.
 * @destination: the address and port that the client dialled.
 * @alpn, @authority, @unique_id: TLVs of version 2; length 0: left out.
 */
struct proxy_info {
	struct abi_endpoint source;
	struct abi_endpoint destination;
	struct span alpn;
	struct span authority;
	struct span unique_id;
};

/**
 * proxy_build() - write a header.
 * @version: ABI_PROXY_V1 or ABI_PROXY_V2; nothing is written for OFF.
 * @header:  at least PROXY_BUILD_MAX bytes.
 *
 * Mixed families are promoted to IPv6 (IPv4-mapped), two mapped addresses
 * demoted to IPv4; an address of family 0 gives UNKNOWN (v1) or LOCAL with
 * AF_UNSPEC (v2). A TLV over the size above is left out. Version 2 always ends
 * with a CRC32C TLV, stored most significant byte first, as HAProxy does.
 *
 * Return: bytes written, at most PROXY_BUILD_MAX.
 */
size_t proxy_build(enum abi_proxy version, const struct proxy_info *info,
		   uint8_t *header);

enum proxy_status {
	PROXY_OK,
	PROXY_PARTIAL, /* no fault so far, more bytes are needed */
	PROXY_MALFORMED
};

/**
 * struct proxy_header - a header that was received.
 * @length:  bytes to take off the connection.
 * @local:   LOCAL, UNKNOWN or an address family that is not TCP over IP: the
 *           connection's own addresses count, @info's are family 0.
 * @info:    spans point into the input; their bytes are what somebody sent,
 *           any. Empty after LOCAL, UNKNOWN and AF_UNSPEC.
 */
struct proxy_header {
	size_t length;
	bool local;
	struct proxy_info info;
};

/**
 * proxy_parse() - read a header of either version at the start of @input.
 * @ret_header: written only on PROXY_OK.
 *
 * Anything that is neither version is PROXY_MALFORMED at once. A CRC32C TLV
 * that is there must be right; ALPN, AUTHORITY, CRC32C or UNIQUE_ID twice is
 * malformed. IPv4-mapped addresses become IPv4.
 */
enum proxy_status proxy_parse(struct span input,
			      struct proxy_header *ret_header);

#endif
