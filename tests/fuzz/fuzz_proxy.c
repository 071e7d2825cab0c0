// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is what a client sends, and again the addresses and TLVs of a
 * header to build. Beside not crashing: a verdict stands however many bytes
 * follow it; what is built is read as the same; a flipped bit never gives
 * other addresses. */
#include <string.h>

#include "../../userspace/addr.h"
#include "../../userspace/proxy.h"
#include "require.h"

static bool inside(struct span inner, struct span outer)
{
	return !inner.length ||
	       (inner.data >= outer.data &&
		inner.data + inner.length <= outer.data + outer.length);
}

static void require_sound(const struct proxy_header *header, struct span input)
{
	struct span whole = {input.data, header->length};

	REQUIRE(header->length >= 15 && header->length <= input.length);
	REQUIRE(header->length <= PROXY_PARSE_MAX);
	REQUIRE(inside(header->info.alpn, whole));
	REQUIRE(inside(header->info.authority, whole));
	REQUIRE(inside(header->info.unique_id, whole));
	REQUIRE(header->local == !header->info.source.family);
	REQUIRE(header->local == !header->info.destination.family);
}

/* Fewer bytes are partial, until the verdict is clear; then it stays. */
static void check_cuts(struct span input, enum proxy_status verdict,
		       size_t header_length)
{
	enum proxy_status before = PROXY_PARTIAL, got;
	size_t most = input.length < 256 ? input.length : 256;
	struct proxy_header header;

	for (size_t cut = 0; cut <= most; cut++) {
		got = proxy_parse((struct span){input.data, cut}, &header);
		if (before != PROXY_PARTIAL)
			REQUIRE(got == before);
		if (got == PROXY_OK)
			REQUIRE(header.length == header_length &&
				cut >= header_length);
		before = got;
	}
	if (most == input.length)
		REQUIRE(before == verdict);
}

static void require_same_span(struct span got, struct span built,
			      size_t max_bytes)
{
	if (built.length > max_bytes)
		built.length = 0;
	REQUIRE(got.length == built.length);
	REQUIRE(!got.length || !memcmp(got.data, built.data, got.length));
}

static void require_same_address(const struct abi_endpoint *got,
				 const struct abi_endpoint *built)
{
	uint8_t got_ip[16], built_ip[16];

	addr_to_ipv6(got, got_ip);
	addr_to_ipv6(built, built_ip);
	REQUIRE(!memcmp(got_ip, built_ip, sizeof(got_ip)));
	REQUIRE(got->port_be == built->port_be);
}

static void require_same_ends(const struct proxy_header *got,
			      const struct proxy_info *built)
{
	REQUIRE(got->local ==
		(!built->source.family || !built->destination.family));
	if (got->local)
		return;
	require_same_address(&got->info.source, &built->source);
	require_same_address(&got->info.destination, &built->destination);
}

/* Some bits, others for another input. The checksum is the last TLV: without
 * its type it is none. */
static void check_flips(uint8_t *header, size_t length,
			const struct proxy_info *info)
{
	size_t step = 1 + 8 * length / 64;
	struct proxy_header got;

	for (size_t bit = info->source.port_be % step; bit < 8 * length;
	     bit += step) {
		if (bit / 8 == length - 7)
			continue;
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (proxy_parse((struct span){header, length}, &got) ==
			    PROXY_OK &&
		    !got.local)
			require_same_ends(&got, info);
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void check_build(const struct proxy_info *info)
{
	uint8_t header[PROXY_BUILD_MAX];
	struct proxy_header got;
	size_t length = proxy_build(ABI_PROXY_V1, info, header);

	REQUIRE(length <= PROXY_V1_MAX);
	REQUIRE(proxy_parse((struct span){header, length}, &got) == PROXY_OK);
	REQUIRE(got.length == length);
	require_same_ends(&got, info);

	length = proxy_build(ABI_PROXY_V2, info, header);
	REQUIRE(length <= PROXY_BUILD_MAX);
	REQUIRE(proxy_parse((struct span){header, length}, &got) == PROXY_OK);
	REQUIRE(got.length == length);
	require_same_ends(&got, info);
	if (got.local)
		return;
	require_same_span(got.info.alpn, info->alpn, 255);
	require_same_span(got.info.authority, info->authority, ABI_NAME_MAX);
	require_same_span(got.info.unique_id, info->unique_id, 128);
	check_flips(header, length, info);
}

/* An endpoint of the input's bytes, of any form an endpoint has. */
static bool take_endpoint(struct span *input, struct abi_endpoint *ret_endpoint)
{
	static const uint8_t families[] = {AF_INET, AF_INET6, 0};
	struct abi_endpoint endpoint = {0};
	struct span ip;
	uint8_t choice;
	uint16_t port;

	if (!span_take_u8(input, &choice) || !span_take_u16(input, &port))
		return false;
	endpoint.family = families[choice % 3];
	endpoint.port_be = htons(port);
	if (!span_take(input, endpoint.family == AF_INET ? 4 : 16, &ip))
		return false;
	memcpy(endpoint.addr, ip.data, ip.length);
	*ret_endpoint = endpoint;
	return true;
}

static void check_made(struct span input)
{
	struct proxy_info info = {0};

	if (!take_endpoint(&input, &info.source) ||
	    !take_endpoint(&input, &info.destination))
		return;
	/* Those that the input is too short for are left out. */
	span_take_block(&input, 2, &info.alpn);
	span_take_block(&input, 2, &info.authority);
	span_take_block(&input, 2, &info.unique_id);
	check_build(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct span input = {data, length};
	struct proxy_header header = {0};
	enum proxy_status verdict = proxy_parse(input, &header);

	check_cuts(input, verdict, header.length);
	if (verdict == PROXY_OK) {
		require_sound(&header, input);
		check_build(&header.info);
	}
	check_made(input);
	return 0;
}
