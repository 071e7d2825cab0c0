// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "http_head.h"
#include "number.h"
#include "words.h"

#define SECOND 1000ULL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
/* tcp(7): TCP_KEEPIDLE is at most 32767 s, which is a little over 9 hours. */
#define KEEPALIVE_MAX (9 * HOUR)
/* A ClientHello without extensions takes about 50 bytes, with today's ones
 * about 300 to 2,000: below this cap nobody would get through. */
#define HELLO_MAX_MIN 512
#define HELLO_MAX_MAX 65536
/* Below this cap hardly any browser would get through. */
#define HTTP_HEADER_MIN 1024
#define FLOWS_MIN 64
#define FLOWS_MAX (1 << 20)

const struct setting setting_table[ABI_SETTING_COUNT] = {
	[ABI_SET_HELLO_TIMEOUT_MS] =
		{"hello-timeout", SETTING_DURATION, 10 * SECOND, SECOND / 10,
		 HOUR, NULL,
		 "The time a client has, from its connect, for its whole "
		 "ClientHello."},
	[ABI_SET_HELLO_MAX_BYTES] =
		{"hello-max", SETTING_BYTES, 16384, HELLO_MAX_MIN,
		 HELLO_MAX_MAX, NULL,
		 "The longest ClientHello that is read, in bytes of the "
		 "handshake message."},
	[ABI_SET_HELLO_PENDING_PER_SOURCE] =
		{"hello-pending-per-source", SETTING_COUNT, 256, 0, FLOWS_MAX,
		 NULL,
		 "Connections of one client address that may wait for their "
		 "ClientHello; 0: no limit."},
	[ABI_SET_CONNECT_TIMEOUT_MS] =
		{"connect-timeout", SETTING_DURATION, 3 * SECOND, SECOND / 10,
		 10 * MINUTE, NULL,
		 "The time a target has to accept the connection before the "
		 "next one is tried."},
	[ABI_SET_IDLE_TIMEOUT_MS] =
		{"idle-timeout", SETTING_DURATION, 12 * HOUR, SECOND, 365 * DAY,
		 NULL,
		 "How long a connection may pass no byte before it is "
		 "closed."},
	[ABI_SET_HALF_CLOSE_TIMEOUT_MS] =
		{"half-close-timeout", SETTING_DURATION, 10 * MINUTE, SECOND,
		 365 * DAY, NULL,
		 "How long a connection of which one side has ended may pass "
		 "no byte."},
	[ABI_SET_DRAIN_TIMEOUT_MS] =
		{"drain-timeout", SETTING_DURATION, 30 * SECOND, 0, DAY, NULL,
		 "How long connections may last after the agent was told to "
		 "end."},
	[ABI_SET_KEEPALIVE_MS] =
		{"keepalive", SETTING_DURATION, 5 * MINUTE, 0, KEEPALIVE_MAX,
		 NULL,
		 "The silence after which TCP asks whether the other side is "
		 "still there; 0: never."},
	[ABI_SET_MAX_FLOWS] =
		{"max-flows", SETTING_COUNT, 0, 0, FLOWS_MAX, NULL,
		 "Connections at the same time; 0: as many as flow-capacity."},
	[ABI_SET_MAX_FLOWS_PER_SOURCE] =
		{"max-flows-per-source", SETTING_COUNT, 0, 0, FLOWS_MAX, NULL,
		 "Connections of one client address at the same time; 0: no "
		 "limit."},
	[ABI_SET_FLOW_CAPACITY] =
		{"flow-capacity", SETTING_COUNT, 24576, FLOWS_MIN, FLOWS_MAX,
		 NULL,
		 "Entries of the flow maps; takes effect when they are made "
		 "the next time."},
	[ABI_SET_DATAPATH] =
		{"datapath", SETTING_WORD, ABI_DATAPATH_AUTO, 0,
		 ABI_DATAPATH_COUNT - 1, words_datapath,
		 "What moves the bytes of routes that leave it open."},
	[ABI_SET_HTTP_REQUEST_TIMEOUT_MS] =
		{"http-request-timeout", SETTING_DURATION, 10 * SECOND,
		 SECOND / 10, HOUR, NULL,
		 "The time a client of an HTTP listener has, from its connect, "
		 "for the whole header of its request."},
	[ABI_SET_HTTP_IDLE_TIMEOUT_MS] =
		{"http-idle-timeout", SETTING_DURATION, 5 * MINUTE, SECOND, DAY,
		 NULL,
		 "How long an HTTP request and its response may pass no "
		 "byte."},
	[ABI_SET_HTTP_HEADER_MAX_BYTES] =
		{"http-header-max", SETTING_BYTES, HTTP_HEAD_DEFAULT,
		 HTTP_HEADER_MIN, HTTP_HEAD_LIMIT, NULL,
		 "The longest header of an HTTP request that is read."},
	[ABI_SET_LOG] =
		{"log", SETTING_WORD, ABI_LOG_TEXT, 0, ABI_LOG_JSON, words_log,
		 "The form of the line that each finished connection gets."},
	[ABI_SET_SOCKMAP_LIMIT_BYTES] =
		{"sockmap-limit", SETTING_BYTES, 2 << 20, 1024, 64 << 20, NULL,
		 "Bytes of one direction that a connection in a sockmap may "
		 "have here until the receiver has acknowledged them."},
	[ABI_SET_EDGE_HOOK] =
		{"edge-hook", SETTING_WORD, ABI_EDGE_AUTO, 0, ABI_EDGE_TC,
		 words_edge_hook,
		 "Where bans and limits drop packets: auto takes XDP where the "
		 "card has it for nothing, else TC ingress."},
	[ABI_SET_NEW_FLOWS_PER_SOURCE] =
		{"new-flows-per-source", SETTING_COUNT, 0, 0, 1000000, NULL,
		 "New connections of one client address a second; 0: no "
		 "limit."},
	[ABI_SET_NEW_FLOWS_BURST] =
		{"new-flows-burst", SETTING_COUNT, 20, 1, 1000000, NULL,
		 "New connections of one client address that may come at once, "
		 "beyond new-flows-per-source."},
	[ABI_SET_SOURCE_PREFIX_IPV4] =
		{"source-prefix-ipv4", SETTING_COUNT, 32, 8, 32, NULL,
		 "How many bits of an IPv4 address are one source to the "
		 "limits."},
	[ABI_SET_SOURCE_PREFIX_IPV6] =
		{"source-prefix-ipv6", SETTING_COUNT, 64, 16, 128, NULL,
		 "How many bits of an IPv6 address are one source to the "
		 "limits."},
	[ABI_SET_SOCKMAP_MEMORY_BYTES] =
		{"sockmap-memory", SETTING_BYTES, 0, 0, 1ULL << 40, NULL,
		 "Bytes that all connections in the sockmap may have here "
		 "together; others are relayed. 0: half of what TCP may use on "
		 "this machine before the kernel is short of it."},
};

int setting_find(const char *name)
{
	for (int i = 0; i < ABI_SETTING_COUNT; i++) {
		if (!strcmp(setting_table[i].name, name))
			return i;
	}
	return -ENOENT;
}

/* "auto, splice, sockmap or relay" */
static void list_words(const char *const *words, char *text, size_t size)
{
	size_t length = 0;

	for (int i = 0; words[i]; i++) {
		const char *glue = !i ? "" : words[i + 1] ? ", " : " or ";
		int added = snprintf(text + length, size - length, "%s%s", glue,
				     words[i]);

		if (added < 0 || (size_t)added >= size - length)
			return;
		length += (size_t)added;
	}
}

static int parse_word(const struct setting *row, const char *text,
		      uint64_t *ret_value, struct error *error)
{
	int index = words_find(row->words, text);
	char list[128];

	if (index >= 0) {
		*ret_value = (uint64_t)index;
		return 0;
	}
	list_words(row->words, list, sizeof(list));
	return error_set(error, EXIT_USAGE, EINVAL,
			 "\"%.80s\" is no value of %s: it is %s", text,
			 row->name, list);
}

int setting_parse(enum abi_setting setting, const char *text,
		  uint64_t *ret_value, struct error *error)
{
	const struct setting *row = &setting_table[setting];
	bool is_duration = row->unit == SETTING_DURATION;
	char min[SETTING_TEXT_SIZE], max[SETTING_TEXT_SIZE];
	uint64_t value;
	int status;

	if (row->unit == SETTING_WORD)
		return parse_word(row, text, ret_value, error);
	status = is_duration ? number_parse_duration(text, &value)
			     : number_parse(text, 0, UINT64_MAX, &value);
	if (!status && (value < row->min || value > row->max))
		status = -ERANGE;
	if (!status) {
		*ret_value = value;
		return 0;
	}
	setting_format(setting, row->min, min);
	setting_format(setting, row->max, max);
	if (status == -ERANGE)
		return error_set(error, EXIT_USAGE, ERANGE,
				 "\"%.80s\" is out of range: %s is from %s to "
				 "%s",
				 text, row->name, min, max);
	return error_set(error, EXIT_USAGE, EINVAL,
			 "\"%.80s\" is no %s: %s is from %s to %s%s", text,
			 is_duration ? "duration" : "number", row->name, min,
			 max, is_duration ? ", in ms, s, m, h or d" : "");
}

const char *setting_format(enum abi_setting setting, uint64_t value, char *text)
{
	const struct setting *row = &setting_table[setting];

	switch (row->unit) {
	case SETTING_DURATION:
		number_format_duration(value, text);
		return text;
	case SETTING_WORD:
		snprintf(text, SETTING_TEXT_SIZE, "%s",
			 value <= row->max ? row->words[value] : "?");
		return text;
	case SETTING_BYTES:
	case SETTING_COUNT:
		break;
	}
	snprintf(text, SETTING_TEXT_SIZE, "%" PRIu64, value);
	return text;
}
