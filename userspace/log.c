// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "addr.h"
#include "flow_read.h"
#include "name.h"
#include "words.h"

static bool log_is_journal(void)
{
	static int known;

	/* Set by systemd where a standard stream is the journal. */
	if (!known)
		known = getenv("JOURNAL_STREAM") ? 1 : -1;
	return known > 0;
}

/* Where POLLOUT is set, a pipe takes PIPE_BUF bytes at once (pipe(7)), from one
 * writer; a socket does too. */
static bool log_has_room(void)
{
	struct pollfd output = {STDERR_FILENO, POLLOUT, 0};

	return poll(&output, 1, 0) == 1 && output.revents & POLLOUT;
}

/* Whole lines, as many as are taken without blocking: nobody may stall
 * connections by not reading what is said of them. Return: bytes. */
static size_t log_write(const char *text, size_t length)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t done = 0;

	pthread_mutex_lock(&lock);
	while (done < length && log_has_room()) {
		size_t left = length - done;
		const char *end = memrchr(text + done, '\n',
					  left < PIPE_BUF ? left : PIPE_BUF);
		ssize_t wrote = write(STDERR_FILENO, text + done,
				      (size_t)(end + 1 - (text + done)));

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0) /* nobody will ever read it */
			wrote = (ssize_t)left;
		done += (size_t)wrote;
	}
	pthread_mutex_unlock(&lock);
	return done;
}

void log_flush(struct log *log)
{
	size_t done = log_write(log->buffer, log->length);

	log->length -= done;
	memmove(log->buffer, log->buffer + done, log->length);
}

/* Return: whether there is room for a line. */
static bool log_make_room(struct log *log)
{
	if (log->length + LOG_LINE_MAX > sizeof(log->buffer))
		log_flush(log);
	if (log->length + LOG_LINE_MAX > sizeof(log->buffer)) {
		log->lost++;
		return false;
	}
	return true;
}

/* The texts of one line, made once for both forms. */
struct log_words {
	char client[ADDR_TEXT_SIZE];
	char local[ADDR_TEXT_SIZE];
	char target[ADDR_TEXT_SIZE];
	char route[PATTERN_TEXT_SIZE];
	char name[ABI_NAME_MAX + 1];
	char alpn[ABI_ALPN_MAX + 1];
	double hello_ms;
	double connect_ms;
	double life_ms;
};

/* Bytes that a client chose go into a line only where they print and cannot
 * be taken for the line's own syntax. */
static void log_copy(char *to, const __u8 *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = from[i] > 0x20 && from[i] < 0x7f && from[i] != '"' &&
					from[i] != '\\'
				? (char)from[i]
				: '?';
	to[length] = '\0';
}

static double log_ms(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns && to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

static void log_words(const struct log_flow *flow, struct log_words *words)
{
	const struct abi_flow_cold *cold = flow->cold;

	addr_format_endpoint(&cold->client, words->client);
	addr_format_endpoint(&cold->local, words->local);
	words->target[0] = '\0';
	if (cold->backend.family)
		addr_format_endpoint(&cold->backend, words->target);
	log_copy(words->name, (const __u8 *)flow->name->text,
		 flow->name->length);
	log_copy(words->alpn, cold->alpn, cold->alpn_length);
	flow_route_text(cold, flow->name, words->route);
	words->hello_ms = cold->hello_us / 1e3;
	words->connect_ms =
		cold->connected_us > cold->hello_us
			? (cold->connected_us - cold->hello_us) / 1e3
			: 0;
	words->life_ms = log_ms(cold->accepted_ns, flow->now_ns);
}

static size_t log_text(const struct log_flow *flow,
		       const struct log_words *words, char *line, size_t size)
{
	const struct abi_flow_cold *cold = flow->cold;
	const struct abi_flow_direction *way = flow->figures->direction;
	char http[8] = "-";
	int length;

	if (cold->http_status)
		snprintf(http, sizeof(http), "%u", cold->http_status);
	length = snprintf(
		line, size,
		"flow id=%llu client=%s local=%s listener=%s name=%s alpn=%s "
		"outcome=%s http=%s route=%s target=%s proxy=%s datapath=%s "
		"bytes_in=%llu bytes_out=%llu packets_in=%llu packets_out=%llu "
		"hello_ms=%.1f connect_ms=%.1f life_ms=%.1f end=%s%s%s%s\n",
		(unsigned long long)cold->id, words->client, words->local,
		flow->listener, *words->name ? words->name : "-",
		*words->alpn ? words->alpn : "-", words_outcome[cold->outcome],
		http, *words->route ? words->route : "-",
		*words->target ? words->target : "-", words_proxy[cold->proxy],
		cold->datapath ? words_datapath[cold->datapath] : "-",
		(unsigned long long)way[0].bytes,
		(unsigned long long)way[1].bytes, way[0].packets,
		way[1].packets, words->hello_ms, words->connect_ms,
		words->life_ms, flow->end, flow->error ? " error=\"" : "",
		flow->error ? strerror(flow->error) : "",
		flow->error ? "\"" : "");

	return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size;
}

static size_t log_json(const struct log_flow *flow,
		       const struct log_words *words, char *line, size_t size)
{
	const struct abi_flow_cold *cold = flow->cold;
	const struct abi_flow_direction *way = flow->figures->direction;
	size_t length;
	json_t *object = json_pack(
		"{sI ss ss ss ss* ss* ss so* ss* ss* ss ss* sI sI sI sI sf sf sf "
		"ss ss*}",
		"id", (json_int_t)cold->id, "client", words->client, "local",
		words->local, "listener", flow->listener, "name",
		*words->name ? words->name : NULL, "alpn",
		*words->alpn ? words->alpn : NULL, "outcome",
		words_outcome[cold->outcome], "http",
		cold->http_status ? json_integer(cold->http_status) : NULL,
		"route", *words->route ? words->route : NULL, "target",
		*words->target ? words->target : NULL, "proxy",
		words_proxy[cold->proxy], "datapath",
		cold->datapath ? words_datapath[cold->datapath] : NULL,
		"bytes_in", (json_int_t)way[0].bytes, "bytes_out",
		(json_int_t)way[1].bytes, "packets_in",
		(json_int_t)way[0].packets, "packets_out",
		(json_int_t)way[1].packets, "hello_ms", words->hello_ms,
		"connect_ms", words->connect_ms, "life_ms", words->life_ms,
		"end", flow->end, "error",
		flow->error ? strerror(flow->error) : NULL);

	if (!object)
		return 0;
	length = json_dumpb(object, line, size - 1,
			    JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(object);
	if (!length || length >= size)
		return 0;
	line[length] = '\n';
	return length + 1;
}

void log_flow(struct log *log, const struct log_flow *flow, enum abi_log form)
{
	struct log_words words;
	char *line;

	if (!log_make_room(log))
		return;
	if (log->lost) {
		log->length += (size_t)snprintf(
			log->buffer + log->length, LOG_LINE_MAX,
			"snictld: %lu lines were lost: standard error took "
			"none\n",
			log->lost);
		log->lost = 0;
		if (!log_make_room(log))
			return;
	}
	line = log->buffer + log->length;
	log_words(flow, &words);
	log->length += form == ABI_LOG_JSON
			       ? log_json(flow, &words, line, LOG_LINE_MAX)
			       : log_text(flow, &words, line, LOG_LINE_MAX);
}

void log_say(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	int length = log_is_journal()
			     ? snprintf(line, sizeof(line), "<%d>", level)
			     : 0;
	size_t used = (size_t)length;
	va_list arguments;

	used += (size_t)snprintf(line + used, sizeof(line) - used, "snictld: ");
	va_start(arguments, format);
	length = vsnprintf(line + used, sizeof(line) - used - 1, format,
			   arguments);
	va_end(arguments);
	if (length < 0)
		return;
	used += (size_t)length;
	if (used > sizeof(line) - 1)
		used = sizeof(line) - 1;
	line[used] = '\n';
	(void)log_write(line, used + 1);
}
