// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can stand in the place of the word under the cursor. Errors are
 * silent: a shell that completes is no place for them. */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include "../userspace/addr.h"
#include "../userspace/flow_read.h"
#include "../userspace/interface.h"
#include "../userspace/setting.h"
#include "../userspace/state.h"
#include "../userspace/words.h"
#include "command.h"
#include "reader.h"

#define PLACES_MAX (2 + COMMAND_PARAMETERS_MAX)

/**
 * struct cursor - the command line up to the word that is being typed.
 * @word:   what there is of it, maybe nothing.
 * @prefix: "--proxy=" where the value of such an option is typed, else "".
 * @place:  the words in places of their own, before it.
 * @option: the option whose value is typed, or -1.
 */
struct cursor {
	struct paths paths;
	const char *word;
	const char *prefix;
	int prefix_length;
	const char *place[PLACES_MAX];
	unsigned places;
	int option;
	const char *on;
};

static void offer(const struct cursor *cursor, const char *candidate)
{
	if (!strncmp(candidate, cursor->word, strlen(cursor->word)))
		printf("%.*s%s\n", cursor->prefix_length, cursor->prefix,
		       candidate);
}

/* ---- where the cursor is --------------------------------------------------
 */

static void take_option(struct cursor *cursor, int id, const char *value)
{
	switch (id) {
	case OPTION_BPFFS:
		cursor->paths.bpffs = value;
		break;
	case OPTION_RUN_DIR:
		cursor->paths.run_dir = value;
		break;
	case OPTION_STATE:
		cursor->paths.state = value;
		break;
	case OPTION_ON:
		cursor->on = value;
		break;
	default:
		break;
	}
}

/* One finished word; returns the option that it leaves waiting, or -1. */
static int take_word(struct cursor *cursor, const char *word)
{
	size_t length = strcspn(word, "=");
	int id;

	if (strncmp(word, "--", 2) != 0 || !word[2]) {
		if (cursor->places < PLACES_MAX)
			cursor->place[cursor->places++] = word;
		return -1;
	}
	id = option_find(cursor->place[0], word + 2, length - 2);
	if (id < 0 || !option_table[id].argument)
		return -1;
	if (!word[length])
		return id;
	take_option(cursor, id, word + length + 1);
	return -1;
}

static void find_cursor(const struct invocation *call, struct cursor *cursor)
{
	int last = call->rest_count - 1;
	size_t length;

	*cursor = (struct cursor){
		.paths = call->paths, .word = "", .prefix = "", .option = -1};
	for (int i = 0; i < last; i++) {
		if (cursor->option >= 0) {
			take_option(cursor, cursor->option, call->rest[i]);
			cursor->option = -1;
			continue;
		}
		cursor->option = take_word(cursor, call->rest[i]);
	}
	if (last < 0)
		return;
	cursor->word = call->rest[last];
	length = strcspn(cursor->word, "=");
	if (cursor->option >= 0 || strncmp(cursor->word, "--", 2) != 0 ||
	    !cursor->word[length])
		return;
	cursor->option =
		option_find(cursor->place[0], cursor->word + 2, length - 2);
	cursor->prefix = cursor->word;
	cursor->prefix_length = (int)length + 1;
	cursor->word += length + 1;
}

/* ---- what is fixed --------------------------------------------------------
 */

static void offer_words(const struct cursor *cursor, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		offer(cursor, words[i]);
}

static void offer_nouns(const struct cursor *cursor)
{
	const char *before = "";

	for (const struct command *row = command_table; row->noun; row++) {
		if (!row->hidden && strcmp(row->noun, before) != 0)
			offer(cursor, row->noun);
		before = row->noun;
	}
}

static void offer_verbs(const struct cursor *cursor, const char *noun)
{
	for (const struct command *row = command_table; row->noun; row++) {
		if (row->verb && !strcmp(row->noun, noun))
			offer(cursor, row->verb);
	}
}

static void offer_settings(const struct cursor *cursor)
{
	for (int id = 0; id < ABI_SETTING_COUNT; id++)
		offer(cursor, setting_table[id].name);
}

/* Of the setting named before: its words, or its default as an example. */
static void offer_values(const struct cursor *cursor)
{
	int id = setting_find(cursor->place[cursor->places - 1]);
	char text[SETTING_TEXT_SIZE];

	if (id < 0)
		return;
	if (setting_table[id].words)
		offer_words(cursor, setting_table[id].words);
	else
		offer(cursor, setting_format((enum abi_setting)id,
					     setting_table[id].fallback, text));
	offer(cursor, "default");
}

static void offer_files(const struct cursor *cursor)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s*", cursor->word);
	if (glob(pattern, GLOB_MARK | GLOB_TILDE, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		printf("%.*s%s\n", cursor->prefix_length, cursor->prefix,
		       found.gl_pathv[i]);
	globfree(&found);
}

/* ---- what lives -----------------------------------------------------------
 */

static void offer_listeners(const struct cursor *cursor)
{
	AUTO_READER reader = READER_NONE;
	const struct listener_list *list = &reader.listeners;
	char text[ADDR_TEXT_SIZE];

	if (reader_open(&reader, &cursor->paths, NULL))
		return;
	for (size_t i = 0; i < list->count; i++)
		offer(cursor,
		      addr_format_listener(&list->row[i].endpoint, text));
}

static bool is_in_table(const struct cursor *cursor,
			const struct config_route *row)
{
	struct abi_endpoint on;

	if (!cursor->on)
		return !row->scoped;
	return row->scoped && !addr_parse_listener(cursor->on, &on) &&
	       !memcmp(&on, &row->on, sizeof(on));
}

/* Routes as written; or the names that a client could ask for. */
static void offer_routes(const struct cursor *cursor, bool is_query)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG config = {.listeners = NULL};
	char name[PATTERN_TEXT_SIZE];

	if (store_open(&cursor->paths, STORE_READ, &store, NULL) ||
	    state_load(&store, &config, NULL))
		return;
	for (size_t i = 0; i < config.route_count; i++) {
		const struct config_route *row = &config.routes[i];

		if (is_query ? row->kind == ABI_ROUTE_EXACT
			     : is_in_table(cursor, row))
			offer(cursor, config_route_name(row, name));
	}
	if (is_query) {
		offer(cursor, "none");
		offer(cursor, "other");
	}
}

static void offer_interfaces(const struct cursor *cursor)
{
	AUTO_INTERFACES list = {0};

	if (interfaces_read(&list))
		return;
	for (size_t i = 0; i < list.count; i++)
		offer(cursor, list.row[i].name);
}

static void offer_flow(const struct cursor *cursor, enum complete kind,
		       const struct flow_record *flow)
{
	char text[ABI_NAME_MAX + 1] = "";

	if (kind == COMPLETE_FLOW)
		snprintf(text, sizeof(text), "%llu", flow->cold.id);
	else if (kind == COMPLETE_CLIENT)
		addr_format_ip(&flow->cold.client, text);
	else if (flow->name.text[0] != '.') /* a whole one */
		memcpy(text, flow->name.text, flow->name.length);
	if (*text)
		offer(cursor, text);
}

static void offer_flows(const struct cursor *cursor, enum complete kind)
{
	AUTO_STORE store = STORE_NONE;
	struct flow_record flow;

	if (store_open(&cursor->paths, STORE_READ, &store, NULL))
		return;
	for (uint32_t i = 0; i < store.flow_capacity; i++) {
		if (!flow_read(&store, i, &flow))
			offer_flow(cursor, kind, &flow);
	}
}

/* ---- which of them --------------------------------------------------------
 */

static void offer_kind(const struct cursor *cursor, enum complete kind)
{
	switch (kind) {
	case COMPLETE_NOTHING:
		return;
	case COMPLETE_COMMAND:
		if (cursor->places == 1)
			offer_nouns(cursor);
		else
			offer_verbs(cursor, cursor->place[1]);
		return;
	case COMPLETE_LISTENER:
		offer_listeners(cursor);
		return;
	case COMPLETE_ROUTE:
		offer_routes(cursor, false);
		return;
	case COMPLETE_NAME:
		offer_routes(cursor, true);
		return;
	case COMPLETE_FLOW:
	case COMPLETE_FLOW_NAME:
	case COMPLETE_CLIENT:
		offer_flows(cursor, kind);
		return;
	case COMPLETE_SETTING:
		offer_settings(cursor);
		return;
	case COMPLETE_VALUE:
		offer_values(cursor);
		return;
	case COMPLETE_TARGET:
		offer(cursor, "reject");
		offer(cursor, "drop");
		return;
	case COMPLETE_PROXY:
		offer_words(cursor, words_proxy);
		return;
	case COMPLETE_DATAPATH:
		offer_words(cursor, words_datapath);
		return;
	case COMPLETE_ALLOW:
		offer(cursor, "add");
		offer(cursor, "del");
		offer(cursor, "list");
		return;
	case COMPLETE_HTTP:
		offer_words(cursor, words_http);
		return;
	case COMPLETE_INTERFACE:
		offer_interfaces(cursor);
		return;
	case COMPLETE_FILE:
		offer_files(cursor);
		return;
	}
}

static void offer_options(const struct cursor *cursor, unsigned options)
{
	char text[64];

	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & options & ~OPTION_HIDDEN))
			continue;
		snprintf(text, sizeof(text), "--%s", option_table[id].name);
		offer(cursor, text);
	}
}

static void offer_places(const struct cursor *cursor)
{
	const char *noun = cursor->place[0], *verb = cursor->place[1];
	const struct command *command = NULL;
	unsigned first = 2;

	if (!noun) {
		offer_nouns(cursor);
		return;
	}
	if (verb)
		command = command_find(noun, verb);
	if (!command) {
		command = command_find(noun, NULL);
		first = 1;
	}
	if (!verb)
		offer_verbs(cursor, noun);
	if (command && cursor->word[0] == '-')
		offer_options(cursor, command->options | OPTION_GLOBAL);
	else if (command && cursor->places - first < COMMAND_PARAMETERS_MAX)
		offer_kind(cursor,
			   command->parameter[cursor->places - first].complete);
}

int complete_main(const struct invocation *call, struct error *error)
{
	struct cursor cursor;

	(void)error;
	find_cursor(call, &cursor);
	if (cursor.option >= 0)
		offer_kind(&cursor, option_table[cursor.option].complete);
	else
		offer_places(&cursor);
	return 0;
}
