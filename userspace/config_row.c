// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config_row.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "addr.h"
#include "setting.h"
#include "words.h"

/* What stands without a port is TLS. */
#define TARGET_PORT 443
#define OPERANDS_MAX 2
/* Longer than any address or prefix: a piece that is cut is none. */
#define PIECE_SIZE 128

enum option {
	OPTION_ACCEPT_PROXY,
	OPTION_PROXY,
	OPTION_DATAPATH,
	OPTION_ON,
	OPTION_COUNT
};

static const char *const option_names[OPTION_COUNT] = {
	[OPTION_ACCEPT_PROXY] = "--accept-proxy",
	[OPTION_PROXY] = "--proxy",
	[OPTION_DATAPATH] = "--datapath",
	[OPTION_ON] = "--on",
};

/** struct place - a text and where in the words it stands. */
struct place {
	const char *text;
	struct config_fault at;
};

/** struct shape - what a command takes. */
struct shape {
	const char *object;
	const char *verb; /* NULL: the object is the whole command */
	struct {
		enum config_verb verb;
		enum config_object object;
	} means;
	const char *operands[OPERANDS_MAX + 1];
	unsigned options; /* bits of enum option */
	const char *usage;
};

#define ROUTE_OPTIONS                                                          \
	(1U << OPTION_PROXY | 1U << OPTION_DATAPATH | 1U << OPTION_ON)
#define ROUTE_USAGE                                                            \
	"NAME TARGET[,TARGET...] [--proxy off|v1|v2] "                         \
	"[--datapath auto|splice|sockmap|relay] [--on [ADDR:]PORT]"

static const struct shape shapes[] = {
	{"listen",
	 "add",
	 {CONFIG_ADD, CONFIG_LISTENER},
	 {"[ADDR:]PORT"},
	 1U << OPTION_ACCEPT_PROXY,
	 "listen add [ADDR:]PORT [--accept-proxy PREFIX[,PREFIX...]]"},
	{"listen",
	 "del",
	 {CONFIG_DEL, CONFIG_LISTENER},
	 {"[ADDR:]PORT"},
	 0,
	 "listen del [ADDR:]PORT"},
	{"route",
	 "add",
	 {CONFIG_ADD, CONFIG_ROUTE},
	 {"NAME", "TARGET"},
	 ROUTE_OPTIONS,
	 "route add " ROUTE_USAGE},
	{"route",
	 "replace",
	 {CONFIG_REPLACE, CONFIG_ROUTE},
	 {"NAME", "TARGET"},
	 ROUTE_OPTIONS,
	 "route replace " ROUTE_USAGE},
	{"route",
	 "del",
	 {CONFIG_DEL, CONFIG_ROUTE},
	 {"NAME"},
	 1U << OPTION_ON,
	 "route del NAME [--on [ADDR:]PORT]"},
	{"set",
	 NULL,
	 {CONFIG_SET, CONFIG_SETTING},
	 {"KEY", "VALUE"},
	 0,
	 "set KEY VALUE"},
};

#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/** struct parser - the words sorted by what they are. */
struct parser {
	char *const *words;
	size_t count;
	const struct shape *shape;
	struct place operand[OPERANDS_MAX];
	struct place option[OPTION_COUNT];
	struct config_fault fault;
	struct error *error;
};

static int __attribute__((format(printf, 3, 4)))
fail(struct parser *parser, struct config_fault at, const char *format, ...)
{
	char text[sizeof(parser->error->text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	parser->fault = at;
	return error_set(parser->error, EXIT_USAGE, EINVAL, "%s", text);
}

static struct config_fault at_word(size_t word)
{
	return (struct config_fault){.word = word};
}

static int find_shape(struct parser *parser)
{
	const char *object = parser->count > 0 ? parser->words[0] : "";
	const char *verb = parser->count > 1 ? parser->words[1] : "";
	bool known = false;

	for (size_t i = 0; i < SHAPES; i++) {
		if (strcmp(shapes[i].object, object) != 0)
			continue;
		known = true;
		if (!shapes[i].verb || !strcmp(shapes[i].verb, verb)) {
			parser->shape = &shapes[i];
			return 0;
		}
	}
	if (!known)
		return fail(parser, at_word(0),
			    "\"%.80s\" is no command here: it is listen, "
			    "route or set",
			    object);
	return fail(parser, at_word(1), "\"%.80s\" is nothing that %s does: %s",
		    verb, object,
		    !strcmp(object, "route") ? "it is add, replace or del"
					     : "it is add or del");
}

/* Takes the option at @at and its value, and moves @at behind both. */
static int take_option(struct parser *parser, size_t *at)
{
	const char *word = parser->words[*at];
	size_t length = strcspn(word, "=");
	struct config_fault here = at_word(*at);
	struct place *value;
	unsigned i;

	for (i = 0; i < OPTION_COUNT; i++) {
		if (strlen(option_names[i]) == length &&
		    !memcmp(option_names[i], word, length))
			break;
	}
	if (i == OPTION_COUNT || !(parser->shape->options & 1U << i))
		return fail(parser, here, "\"%.80s\" is no option of this: %s",
			    word, parser->shape->usage);
	value = &parser->option[i];
	if (value->text)
		return fail(parser, here, "\"%s\" is there twice",
			    option_names[i]);
	(*at)++;
	if (word[length]) {
		value->text = word + length + 1;
		value->at = (struct config_fault){here.word, length + 1};
		return 0;
	}
	if (*at == parser->count)
		return fail(parser, at_word(*at), "\"%s\" needs a value: %s",
			    option_names[i], parser->shape->usage);
	value->text = parser->words[*at];
	value->at = at_word((*at)++);
	return 0;
}

/* Gives each word its part, by the command's shape. */
static int sort_words(struct parser *parser)
{
	size_t at, operands = 0;
	int status;

	status = find_shape(parser);
	if (status)
		return status;
	for (at = parser->shape->verb ? 2 : 1; at < parser->count;) {
		if (!strncmp(parser->words[at], "--", 2)) {
			status = take_option(parser, &at);
			if (status)
				return status;
			continue;
		}
		if (!parser->shape->operands[operands])
			return fail(parser, at_word(at),
				    "\"%.80s\" is one word too many: %s",
				    parser->words[at], parser->shape->usage);
		parser->operand[operands].text = parser->words[at];
		parser->operand[operands++].at = at_word(at);
		at++;
	}
	if (parser->shape->operands[operands])
		return fail(parser, at_word(parser->count), "%s is missing: %s",
			    parser->shape->operands[operands],
			    parser->shape->usage);
	return 0;
}

/*
 * Cuts the next piece off a list with commas. @buffer holds PIECE_SIZE bytes.
 * Returns false at the end of the list.
 */
static bool next_piece(struct place *list, char *buffer,
		       struct place *ret_piece)
{
	size_t length, kept;

	if (!list->text)
		return false;
	length = strcspn(list->text, ",");
	kept = length < PIECE_SIZE ? length : PIECE_SIZE - 1;
	memcpy(buffer, list->text, kept);
	buffer[kept] = '\0';
	*ret_piece = (struct place){buffer, list->at};
	list->at.offset += length + 1;
	list->text = list->text[length] ? list->text + length + 1 : NULL;
	return true;
}

static int parse_endpoint(struct parser *parser, struct place place,
			  struct abi_endpoint *ret_endpoint)
{
	int status = addr_parse_listener(place.text, ret_endpoint);

	if (status == -ERANGE)
		return fail(parser, place.at,
			    "\"%.80s\" has no port from 1 to 65535",
			    place.text);
	if (status)
		return fail(parser, place.at,
			    "\"%.80s\" is no port and no address with a port: "
			    "[ADDR:]PORT, like 443, 192.0.2.1:443 or "
			    "[2001:db8::1]:443",
			    place.text);
	return 0;
}

/* Addresses that connect(2) takes for something else, or for nothing. */
static const char *unusable(const struct abi_endpoint *target)
{
	const uint8_t *addr = target->addr;

	if (addr_is_any(target))
		return "the unspecified address";
	if (target->family == AF_INET)
		return addr[0] >= 224 ? "no address of one host" : NULL;
	if (addr[0] == 0xff)
		return "a multicast address";
	if (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
		return "a link-local address, which needs an interface";
	return NULL;
}

static int parse_target(struct parser *parser, struct place piece,
			struct abi_route *route)
{
	struct abi_endpoint target;
	int status = addr_parse_endpoint(piece.text, TARGET_PORT, &target);
	const char *reason;

	if (status == -ERANGE)
		return fail(parser, piece.at,
			    "\"%.80s\" has no port from 1 to 65535",
			    piece.text);
	if (status)
		return fail(parser, piece.at,
			    "\"%.80s\" is no IP address; names as targets "
			    "come later, addresses only",
			    piece.text);
	reason = unusable(&target);
	if (reason)
		return fail(parser, piece.at,
			    "\"%.80s\" cannot be a target: it is %s",
			    piece.text, reason);
	for (unsigned i = 0; i < route->target_count; i++) {
		if (!memcmp(&route->target[i], &target, sizeof(target)))
			return fail(parser, piece.at,
				    "\"%.80s\" is there twice", piece.text);
	}
	if (route->target_count == ABI_TARGETS_MAX)
		return fail(parser, piece.at,
			    "\"%.80s\" is one target too many: at most %d",
			    piece.text, ABI_TARGETS_MAX);
	route->target[route->target_count++] = target;
	return 0;
}

static int parse_targets(struct parser *parser, struct place list,
			 struct abi_route *route)
{
	char buffer[PIECE_SIZE];
	struct place piece;

	if (!strcmp(list.text, "reject") || !strcmp(list.text, "drop")) {
		route->action =
			*list.text == 'r' ? ABI_ACTION_REJECT : ABI_ACTION_DROP;
		return 0;
	}
	route->action = ABI_ACTION_FORWARD;
	while (next_piece(&list, buffer, &piece)) {
		int status = parse_target(parser, piece, route);

		if (status)
			return status;
	}
	return 0;
}

/* A word out of a list, such as "v1"; @ret_index unchanged without option. */
static int parse_choice(struct parser *parser, enum option option,
			const char *const *words, const char *choices,
			uint8_t *ret_index)
{
	struct place place = parser->option[option];
	int index;

	if (!place.text)
		return 0;
	index = words_find(words, place.text);
	if (index < 0)
		return fail(parser, place.at, "\"%.80s\" is no %s: it is %s",
			    place.text, option_names[option] + 2, choices);
	*ret_index = (uint8_t)index;
	return 0;
}

static int parse_name(struct parser *parser, struct config_route *route)
{
	struct place place = parser->operand[0];
	struct pattern pattern;
	const char *reason;

	if (pattern_parse(place.text, &pattern, &reason))
		return fail(parser, place.at, "\"%.80s\" is no host name: %s",
			    place.text, reason);
	route->kind = pattern.kind;
	route->route.apex = pattern.apex;
	route->route.name_length = pattern.name.length;
	memcpy(route->route.name, pattern.name.text, pattern.name.length);
	return 0;
}

static int parse_what_it_does(struct parser *parser, struct abi_route *route)
{
	static const enum option idle[] = {OPTION_PROXY, OPTION_DATAPATH};
	int status;

	status = parse_targets(parser, parser->operand[1], route);
	if (status)
		return status;
	for (unsigned i = 0; route->action != ABI_ACTION_FORWARD && i < 2; i++)
		if (parser->option[idle[i]].text)
			return fail(parser, parser->option[idle[i]].at,
				    "%s means nothing with \"%s\"",
				    option_names[idle[i]],
				    parser->operand[1].text);
	status = parse_choice(parser, OPTION_PROXY, words_proxy,
			      "off, v1 or v2", &route->proxy);
	if (status)
		return status;
	return parse_choice(parser, OPTION_DATAPATH, words_datapath,
			    "auto, splice, sockmap or relay", &route->datapath);
}

static int parse_route(struct parser *parser, struct config_row *row)
{
	struct place on = parser->option[OPTION_ON];
	int status;

	status = parse_name(parser, &row->route);
	if (!status && row->verb != CONFIG_DEL)
		status = parse_what_it_does(parser, &row->route.route);
	if (status)
		return status;
	row->proxy_given = parser->option[OPTION_PROXY].text != NULL;
	if (!on.text)
		return 0;
	row->route.scoped = true;
	return parse_endpoint(parser, on, &row->route.on);
}

static int parse_prefix(struct parser *parser, struct place piece,
			struct config_listener *listener)
{
	struct abi_prefix prefix;
	int status = addr_parse_prefix(piece.text, &prefix);

	if (status == -EDOM)
		return fail(parser, piece.at,
			    "\"%.80s\" has bits set behind its length",
			    piece.text);
	if (status)
		return fail(parser, piece.at,
			    "\"%.80s\" is no prefix: ADDR or ADDR/LENGTH, "
			    "like 10.0.0.0/8",
			    piece.text);
	for (unsigned i = 0; i < listener->trusted_count; i++) {
		if (!memcmp(&listener->trusted[i], &prefix, sizeof(prefix)))
			return fail(parser, piece.at,
				    "\"%.80s\" is there twice", piece.text);
	}
	if (listener->trusted_count == ABI_TRUSTED_MAX)
		return fail(parser, piece.at,
			    "\"%.80s\" is one prefix too many: at most %d",
			    piece.text, ABI_TRUSTED_MAX);
	listener->trusted[listener->trusted_count++] = prefix;
	return 0;
}

static int parse_listener(struct parser *parser,
			  struct config_listener *listener)
{
	struct place list = parser->option[OPTION_ACCEPT_PROXY], piece;
	char buffer[PIECE_SIZE];
	int status;

	status =
		parse_endpoint(parser, parser->operand[0], &listener->endpoint);
	while (!status && next_piece(&list, buffer, &piece))
		status = parse_prefix(parser, piece, listener);
	return status;
}

static int parse_setting(struct parser *parser, struct config_setting *setting)
{
	struct place key = parser->operand[0], value = parser->operand[1];
	int index = setting_find(key.text);

	if (index < 0)
		return fail(parser, key.at,
			    "\"%.80s\" is no setting: `set list` shows them "
			    "all",
			    key.text);
	setting->setting = (enum abi_setting)index;
	if (!setting_parse(setting->setting, value.text, &setting->value,
			   parser->error))
		return 0;
	parser->fault = value.at;
	return -EINVAL;
}

static int parse(struct parser *parser, struct config_row *row)
{
	int status = sort_words(parser);

	if (status)
		return status;
	memset(row, 0, sizeof(*row));
	row->verb = parser->shape->means.verb;
	row->object = parser->shape->means.object;
	switch (row->object) {
	case CONFIG_LISTENER:
		return parse_listener(parser, &row->listener);
	case CONFIG_ROUTE:
		return parse_route(parser, row);
	case CONFIG_SETTING:
		break;
	}
	return parse_setting(parser, &row->setting);
}

int config_row_parse(char *const *words, size_t count,
		     struct config_row *ret_row, struct config_fault *ret_fault,
		     struct error *error)
{
	struct parser parser = {.words = words, .count = count, .error = error};
	struct config_row row;

	if (!parse(&parser, &row)) {
		*ret_row = row;
		return 0;
	}
	if (ret_fault)
		*ret_fault = parser.fault;
	return -EINVAL;
}

struct config_fault config_row_place(char *const *words, size_t count,
				     enum config_role role, size_t index)
{
	struct parser parser = {.words = words, .count = count};
	struct place list, piece;
	char buffer[PIECE_SIZE];

	if (sort_words(&parser))
		return at_word(0);
	switch (role) {
	case CONFIG_ROLE_NAME:
		break;
	case CONFIG_ROLE_ON:
		return parser.option[OPTION_ON].at;
	case CONFIG_ROLE_TARGET:
		list = parser.operand[1];
		for (piece = list; next_piece(&list, buffer, &piece); index--)
			if (!index)
				break;
		return piece.at;
	}
	return parser.operand[0].at;
}
