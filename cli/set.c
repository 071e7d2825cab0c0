// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "set.h"

#include "../userspace/state.h"
#include "agent_view.h"
#include "command.h"
#include "edit.h"
#include "output.h"

#define MEANING_SIZE 256
#define MEANING_WIDTH 48

int set_main(const struct invocation *call, struct error *error)
{
	json_auto_t *answer = NULL;
	struct config_row row;
	int ret = edit_row(call, &row, error);

	/* The agent reads settings where it needs them; only a deadline that
	 * it sleeps towards has to be told of. */
	if (!ret)
		agent_ask(&call->paths, "listen", &answer, NULL);
	return ret;
}

/* ---- list -----------------------------------------------------------------
 */

static const struct column columns[] = {
	{"SETTING", COLUMN_TEXT},  {"VALUE", COLUMN_TEXT},
	{"DEFAULT", COLUMN_TEXT},  {"RANGE", COLUMN_TEXT},
	{"MEANING", COLUMN_LINES}, {NULL, COLUMN_TEXT},
};

static json_t *words_object(const char *const *words)
{
	json_t *array = words ? json_array() : json_null();

	for (int i = 0; words && words[i]; i++)
		json_array_append_new(array, json_string(words[i]));
	return array;
}

static json_t *setting_object(enum abi_setting id, uint64_t value)
{
	static const char *const units[] = {
		[SETTING_DURATION] = "ms",
		[SETTING_BYTES] = "bytes",
		[SETTING_COUNT] = "count",
		[SETTING_WORD] = "word",
	};
	const struct setting *row = &setting_table[id];
	char text[SETTING_TEXT_SIZE], fallback[SETTING_TEXT_SIZE];

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:s}",
			 "name", row->name, "value",
			 setting_format(id, value, text), "default",
			 setting_format(id, row->fallback, fallback), "unit",
			 units[row->unit], "number", (json_int_t)value, "min",
			 (json_int_t)row->min, "max", (json_int_t)row->max,
			 "words", words_object(row->words), "help", row->help);
}

/* On a terminal, in lines that leave room for the other columns. */
static const char *meaning(const char *help, char *text)
{
	size_t begin = 0, blank = 0;

	snprintf(text, MEANING_SIZE, "%s", help);
	for (size_t i = 0; text[i] && output_width(); i++) {
		if (i - begin >= MEANING_WIDTH && blank > begin) {
			text[blank] = '\n';
			begin = blank + 1;
		}
		if (text[i] == ' ')
			blank = i;
	}
	return text;
}

static void list_one(struct listing *listing, enum abi_setting id,
		     uint64_t value)
{
	const struct setting *row = &setting_table[id];
	char text[SETTING_TEXT_SIZE], fallback[SETTING_TEXT_SIZE];
	char range[SETTING_RANGE_SIZE], help[MEANING_SIZE];

	if (listing->json) {
		listing_object(listing, setting_object(id, value));
		return;
	}
	setting_format(id, row->fallback, fallback);
	listing_row(listing, (const char *const[]){
				     row->name, setting_format(id, value, text),
				     fallback, setting_range(id, range),
				     meaning(row->help, help)});
}

/* What has it of its own, as it was typed; the default is what all have. */
static void list_hook(struct listing *listing, const struct abi_hook *hook,
		      uint64_t all)
{
	const enum abi_setting id = ABI_SET_EDGE_HOOK;
	char text[SETTING_TEXT_SIZE], fallback[SETTING_TEXT_SIZE];
	char range[SETTING_RANGE_SIZE], name[MEANING_SIZE];
	json_t *object;

	if (listing->json) {
		object = setting_object(id, hook->hook);
		json_object_set_new(object, "interface",
				    json_string(hook->interface));
		json_object_set_new(
			object, "default",
			json_string(setting_format(id, all, fallback)));
		listing_object(listing, object);
		return;
	}
	snprintf(name, sizeof(name), "%s --interface %s",
		 setting_table[id].name, hook->interface);
	listing_row(listing, (const char *const[]){
				     name, setting_format(id, hook->hook, text),
				     setting_format(id, all, fallback),
				     setting_range(id, range),
				     "Only of this interface."});
}

int set_list_main(const struct invocation *call, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	AUTO_CONFIG config = {.listeners = NULL};
	struct listing listing;
	int ret;

	ret = store_open(&call->paths, STORE_READ, &store, error);
	if (!ret)
		ret = state_load(&store, &config, error);
	if (ret)
		return ret;
	listing_begin(&listing, call->option[OPTION_JSON], columns);
	for (int id = 0; id < ABI_SETTING_COUNT; id++)
		list_one(&listing, (enum abi_setting)id, config.settings[id]);
	for (size_t i = 0; i < config.hook_count; i++)
		list_hook(&listing, &config.hooks[i],
			  config.settings[ABI_SET_EDGE_HOOK]);
	return listing_end(&listing);
}

const char *setting_range(enum abi_setting id, char *text)
{
	const struct setting *row = &setting_table[id];
	char min[SETTING_TEXT_SIZE], max[SETTING_TEXT_SIZE];
	size_t length = 0;

	if (row->unit != SETTING_WORD) {
		snprintf(text, SETTING_RANGE_SIZE, "%s to %s",
			 setting_format(id, row->min, min),
			 setting_format(id, row->max, max));
		return text;
	}
	text[0] = '\0';
	for (int i = 0; row->words[i]; i++)
		length += (size_t)snprintf(text + length,
					   SETTING_RANGE_SIZE - length, "%s%s",
					   i ? "|" : "", row->words[i]);
	return text;
}
