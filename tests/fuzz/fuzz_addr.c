// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is a text for each parser of numbers and addresses. Beside not
 * crashing: what is printed is read as the same, and printed again as the
 * same; and the parsers agree with one another. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../userspace/addr.h"
#include "../../userspace/cleanup.h"
#include "../../userspace/number.h"
#include "require.h"

static void check_number(const char *text)
{
	char printed[24];
	uint64_t value, narrow;
	int error = number_parse(text, 0, UINT64_MAX, &value);

	REQUIRE(!error || error == -EINVAL || error == -ERANGE);
	/* Only the range may differ, never what is a number. */
	REQUIRE((error == -EINVAL) ==
		(number_parse(text, 1, 65535, &narrow) == -EINVAL));
	if (error)
		return;
	snprintf(printed, sizeof(printed), "%" PRIu64, value);
	REQUIRE(!strcmp(printed, text));
}

static void check_duration(const char *text)
{
	char printed[NUMBER_DURATION_SIZE];
	uint64_t ms, again;

	if (number_parse_duration(text, &ms))
		return;
	number_format_duration(ms, printed);
	REQUIRE(!number_parse_duration(printed, &again) && again == ms);
}

static void require_same(const struct abi_endpoint *a,
			 const struct abi_endpoint *b)
{
	REQUIRE(!memcmp(a, b, sizeof(*a)));
}

static void check_endpoint(const char *text)
{
	char printed[ADDR_TEXT_SIZE], again_printed[ADDR_TEXT_SIZE];
	struct sockaddr_storage kernel;
	struct abi_endpoint endpoint, again, listener;
	int error = addr_parse_endpoint(text, 0, &endpoint);
	int listen_error = addr_parse_listener(text, &listener);

	if (error) {
		REQUIRE(error == -EINVAL || error == -ERANGE);
		REQUIRE(error != -ERANGE || listen_error == -ERANGE);
		return;
	}
	REQUIRE(endpoint.family == AF_INET || endpoint.family == AF_INET6);
	REQUIRE(listen_error == (endpoint.port_be ? 0 : -ENODATA));
	if (!listen_error)
		require_same(&listener, &endpoint);
	/* The default port is taken just where the text has none. */
	REQUIRE(!addr_parse_endpoint(text, 443, &again));
	REQUIRE(again.port_be ==
		(endpoint.port_be ? endpoint.port_be : htons(443)));
	endpoint = again;
	addr_format_endpoint(&endpoint, printed);
	REQUIRE(!addr_parse_endpoint(printed, 0, &again));
	require_same(&endpoint, &again);
	REQUIRE(!strcmp(addr_format_endpoint(&again, again_printed), printed));
	REQUIRE(addr_to_sockaddr(&endpoint, &kernel) > 0);
	addr_from_sockaddr(&kernel, &again);
	require_same(&endpoint, &again);
}

static void check_listener(const char *text)
{
	char printed[ADDR_TEXT_SIZE];
	struct abi_endpoint listener, again;

	if (addr_parse_listener(text, &listener))
		return;
	REQUIRE(listener.port_be);
	addr_format_listener(&listener, printed);
	REQUIRE(!addr_parse_listener(printed, &again));
	require_same(&listener, &again);
}

static void check_prefix(const char *text)
{
	char printed[ADDR_TEXT_SIZE];
	struct abi_prefix prefix, again;
	struct abi_endpoint address = {0};
	unsigned bits;

	if (addr_parse_prefix(text, &prefix))
		return;
	addr_format_prefix(&prefix, printed);
	REQUIRE(!addr_parse_prefix(printed, &again));
	REQUIRE(!memcmp(&prefix, &again, sizeof(prefix)));
	/* It holds its first address, any other behind its length, and none
	 * that differs in its last bit. */
	bits = prefix.family == AF_INET ? 32 : 128;
	address.family = prefix.family;
	memcpy(address.addr, prefix.addr, sizeof(address.addr));
	REQUIRE(addr_in_prefix(&address, &prefix));
	for (unsigned bit = 0; bit < bits; bit++) {
		address.addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		REQUIRE(addr_in_prefix(&address, &prefix) ==
			(bit >= prefix.length));
		address.addr[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	/* A copy of its own size: a read behind the NUL is seen. */
	AUTO_FREE char *text = malloc(length + 1);

	REQUIRE(text);
	if (length)
		memcpy(text, data, length);
	text[length] = '\0';
	check_number(text);
	check_duration(text);
	check_endpoint(text);
	check_listener(text);
	check_prefix(text);
	return 0;
}
