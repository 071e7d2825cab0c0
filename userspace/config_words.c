// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config_words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const config_option_names[CONFIG_OPTION_COUNT] = {
	[CONFIG_OPTION_ACCEPT_PROXY] = "--accept-proxy",
	[CONFIG_OPTION_PROXY] = "--proxy",
	[CONFIG_OPTION_DATAPATH] = "--datapath",
	[CONFIG_OPTION_ON] = "--on",
	[CONFIG_OPTION_LISTEN_HTTP] = "--http",
	[CONFIG_OPTION_TRUST_FORWARDED] = "--trust-forwarded",
	[CONFIG_OPTION_HTTP] = "--http",
	[CONFIG_OPTION_HTTP_TARGET] = "--http-target",
	[CONFIG_OPTION_FORWARDED] = "--forwarded",
	[CONFIG_OPTION_ALPN] = "--alpn",
	[CONFIG_OPTION_INTERFACE] = "--interface",
};

#define ROUTE_OPTIONS                                                          \
	(1U << CONFIG_OPTION_PROXY | 1U << CONFIG_OPTION_DATAPATH |            \
	 1U << CONFIG_OPTION_ON | 1U << CONFIG_OPTION_HTTP |                   \
	 1U << CONFIG_OPTION_HTTP_TARGET | 1U << CONFIG_OPTION_FORWARDED |     \
	 1U << CONFIG_OPTION_ALPN)
#define ROUTE_USAGE                                                            \
	"NAME TARGET[,TARGET...] [--proxy off|v1|v2] "                         \
	"[--datapath auto|splice|sockmap|relay] [--on [ADDR:]PORT] "           \
	"[--alpn PROTOCOL] [--http acme|redirect|proxy|off] "                  \
	"[--http-target ADDR[:PORT]] [--forwarded]"

/* Those that take no value. */
#define FLAGS (1U << CONFIG_OPTION_LISTEN_HTTP | 1U << CONFIG_OPTION_FORWARDED)

static const struct config_shape shapes[] = {
	{"listen",
	 "add",
	 CONFIG_LISTENER,
	 CONFIG_ADD,
	 {"[ADDR:]PORT"},
	 1U << CONFIG_OPTION_ACCEPT_PROXY | 1U << CONFIG_OPTION_LISTEN_HTTP |
		 1U << CONFIG_OPTION_TRUST_FORWARDED,
	 "listen add [ADDR:]PORT [--accept-proxy PREFIX[,PREFIX...]] [--http] "
	 "[--trust-forwarded PREFIX[,PREFIX...]]"},
	{"listen",
	 "del",
	 CONFIG_LISTENER,
	 CONFIG_DEL,
	 {"[ADDR:]PORT"},
	 0,
	 "listen del [ADDR:]PORT"},
	{"route",
	 "add",
	 CONFIG_ROUTE,
	 CONFIG_ADD,
	 {"NAME", "TARGET"},
	 ROUTE_OPTIONS,
	 "route add " ROUTE_USAGE},
	{"route",
	 "replace",
	 CONFIG_ROUTE,
	 CONFIG_REPLACE,
	 {"NAME", "TARGET"},
	 ROUTE_OPTIONS,
	 "route replace " ROUTE_USAGE},
	{"route",
	 "del",
	 CONFIG_ROUTE,
	 CONFIG_DEL,
	 {"NAME"},
	 1U << CONFIG_OPTION_ON | 1U << CONFIG_OPTION_ALPN,
	 "route del NAME [--on [ADDR:]PORT] [--alpn PROTOCOL]"},
	{"set",
	 NULL,
	 CONFIG_SETTING,
	 CONFIG_SET,
	 {"KEY", "VALUE"},
	 1U << CONFIG_OPTION_INTERFACE,
	 "set KEY VALUE [--interface NAME]"},
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

int config_words_fail(struct config_words *words, struct config_fault at,
		      const char *format, ...)
{
	char text[sizeof(words->error->text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	words->fault = at;
	return error_set(words->error, EXIT_USAGE, EINVAL, "%s", text);
}

static struct config_fault at_word(size_t word)
{
	return (struct config_fault){.word = word};
}

static int find_shape(struct config_words *words)
{
	const char *object = words->count > 0 ? words->word[0] : "";
	const char *verb = words->count > 1 ? words->word[1] : "";
	bool known = false;

	for (size_t i = 0; i < SHAPES; i++) {
		if (strcmp(shapes[i].object_word, object) != 0)
			continue;
		known = true;
		if (!shapes[i].verb_word ||
		    !strcmp(shapes[i].verb_word, verb)) {
			words->shape = &shapes[i];
			return 0;
		}
	}
	if (!known)
		return config_words_fail(
			words, at_word(0),
			"\"%.80s\" is no command here: it is listen, "
			"route or set",
			object);
	return config_words_fail(
		words, at_word(1), "\"%.80s\" is nothing that %s does: %s",
		verb, object,
		!strcmp(object, "route") ? "it is add, replace or del"
					 : "it is add or del");
}

/* Takes the option at @at and its value, and moves @at behind both. */
static int take_option(struct config_words *words, size_t *at)
{
	const char *word = words->word[*at];
	size_t length = strcspn(word, "=");
	struct config_fault here = at_word(*at);
	struct config_place *value;
	unsigned i;

	for (i = 0; i < CONFIG_OPTION_COUNT; i++) {
		if (words->shape->options & 1U << i &&
		    strlen(config_option_names[i]) == length &&
		    !memcmp(config_option_names[i], word, length))
			break;
	}
	if (i == CONFIG_OPTION_COUNT)
		return config_words_fail(words, here,
					 "\"%.80s\" is no option of this: %s",
					 word, words->shape->usage);
	value = &words->option[i];
	if (value->text)
		return config_words_fail(words, here, "\"%s\" is there twice",
					 config_option_names[i]);
	(*at)++;
	if (FLAGS & 1U << i) {
		value->text = "";
		value->at = here;
		return word[length]
			       ? config_words_fail(words, here,
						   "\"%s\" takes no value: %s",
						   config_option_names[i],
						   words->shape->usage)
			       : 0;
	}
	if (word[length]) {
		value->text = word + length + 1;
		value->at = (struct config_fault){here.word, length + 1};
		return 0;
	}
	if (*at == words->count)
		return config_words_fail(
			words, at_word(*at), "\"%s\" needs a value: %s",
			config_option_names[i], words->shape->usage);
	value->text = words->word[*at];
	value->at = at_word((*at)++);
	return 0;
}

int config_words_sort(struct config_words *words)
{
	size_t at, operands = 0;
	int status;

	status = find_shape(words);
	if (status)
		return status;
	for (at = words->shape->verb_word ? 2 : 1; at < words->count;) {
		if (!strncmp(words->word[at], "--", 2)) {
			status = take_option(words, &at);
			if (status)
				return status;
			continue;
		}
		if (!words->shape->operands[operands])
			return config_words_fail(
				words, at_word(at),
				"\"%.80s\" is one word too many: %s",
				words->word[at], words->shape->usage);
		words->operand[operands].text = words->word[at];
		words->operand[operands++].at = at_word(at);
		at++;
	}
	if (words->shape->operands[operands])
		return config_words_fail(
			words, at_word(words->count), "%s is missing: %s",
			words->shape->operands[operands], words->shape->usage);
	return 0;
}

bool config_words_next(struct config_place *list, char *buffer,
		       struct config_place *ret_piece)
{
	size_t length, kept;

	if (!list->text)
		return false;
	length = strcspn(list->text, ",");
	kept = length < CONFIG_PIECE_SIZE ? length : CONFIG_PIECE_SIZE - 1;
	memcpy(buffer, list->text, kept);
	buffer[kept] = '\0';
	*ret_piece = (struct config_place){buffer, list->at};
	list->at.offset += length + 1;
	list->text = list->text[length] ? list->text + length + 1 : NULL;
	return true;
}
