// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The input is a configuration file. Beside not crashing: what is accepted is
 * printed, read as the same and printed again as the same; what is refused
 * says where, within the text. */
#include <stdio.h>
#include <string.h>

#include "../../userspace/cleanup.h"
#include "../../userspace/config.h"
#include "../../userspace/number.h"
#include "require.h"

static char *print(const struct config *config, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	REQUIRE(out);
	config_print(config, out);
	REQUIRE(!fclose(out));
	return text;
}

/* The number up to the next ':', from 1. */
static uint64_t take_number(const char **at)
{
	char digits[24];
	size_t length = strcspn(*at, ":");
	uint64_t value;

	REQUIRE(length < sizeof(digits) && (*at)[length] == ':');
	memcpy(digits, *at, length);
	digits[length] = '\0';
	REQUIRE(!number_parse(digits, 1, UINT64_MAX, &value));
	*at += length + 1;
	return value;
}

static void check_fault(const char *data, size_t length,
			const struct error *error)
{
	const char *at = error->text, *end = data + length;
	uint64_t line, column;

	REQUIRE(error->status == EXIT_FAILED);
	REQUIRE(!strncmp(at, "F:", 2));
	at += 2;
	line = take_number(&at);
	column = take_number(&at);
	REQUIRE(*at == ' ' && at[1]);
	while (--line) {
		data = memchr(data, '\n', (size_t)(end - data));
		REQUIRE(data);
		data++;
	}
	length = (size_t)(end - data);
	if (memchr(data, '\n', length))
		length = (size_t)((const char *)memchr(data, '\n', length) -
				  data);
	REQUIRE(column <= length + 1);
}

static void check_order(const struct config *config)
{
	for (size_t i = 1; i < config->route_count; i++)
		REQUIRE(config_compare_routes(&config->routes[i - 1],
					      &config->routes[i]) < 0);
	for (size_t i = 0; i < config->route_count; i++)
		REQUIRE(config_find_route(config, &config->routes[i]) ==
			&config->routes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	AUTO_FREE char *first = NULL;
	AUTO_FREE char *second = NULL;
	AUTO_CONFIG config = {0};
	AUTO_CONFIG again = {0};
	struct error error = {0};
	size_t first_length, second_length;
	const char *text = length ? (const char *)data : "";

	if (config_parse("F", text, length, NULL, &config, &error)) {
		check_fault(text, length, &error);
		return 0;
	}
	check_order(&config);
	first = print(&config, &first_length);
	REQUIRE(!config_parse("G", first, first_length, NULL, &again, NULL));
	REQUIRE(!config_diff(&config, &again, NULL, NULL));
	second = print(&again, &second_length);
	REQUIRE(first_length == second_length &&
		!memcmp(first, second, first_length));
	return 0;
}
