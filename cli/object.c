// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "object.h"

#include <time.h>
#include "../userspace/addr.h"

json_t *object_endpoint(const struct abi_endpoint *endpoint)
{
	char text[ADDR_TEXT_SIZE];

	if (!endpoint->family)
		return json_null();
	return json_string(addr_format_endpoint(endpoint, text));
}

json_t *object_text(const char *text)
{
	return text ? json_string(text) : json_null();
}

json_t *object_time(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / 1000000000);
	struct tm utc;
	char text[32];

	if (!realtime_ns || !gmtime_r(&seconds, &utc))
		return json_null();
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_string(text);
}
