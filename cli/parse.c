// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../userspace/nearest.h"
#include "command.h"

/* Noun, verb and parameters; one more, to be named as too many. */
#define PLACES_MAX (2 + COMMAND_PARAMETERS_MAX + 1)

#define USAGE(error, ...) error_set(error, EXIT_USAGE, EINVAL, __VA_ARGS__)

/**
 * struct scan - a command line while it is being read.
 * @place:   the words that are neither options nor their arguments.
 * @call:    gathers the options and the words for the caller.
 */
struct scan {
	char *const *words;
	int count;
	int next;
	bool only_places;
	char *place[PLACES_MAX];
	int place_count;
	struct invocation *call;
	struct error *error;
};

/* ---- options --------------------------------------------------------------
 */

static int unknown_option(struct scan *scan, const char *word, size_t length)
{
	char name[64] = "";
	struct nearest nearest = {.word = name};

	if (length < sizeof(name))
		memcpy(name, word + 2, length);
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & OPTION_HIDDEN))
			nearest_offer(&nearest, option_table[id].name);
	}
	if (nearest.found)
		return USAGE(scan->error,
			     "unknown option \"%s\": did you mean \"--%s\"?",
			     word, nearest.found);
	return USAGE(scan->error,
		     "unknown option \"%s\": `snictl help` lists them", word);
}

static int keep_option(struct scan *scan, int id, char *value)
{
	char **kept = &scan->call->option[id];

	if (*kept)
		return USAGE(scan->error, "option --%s is there twice",
			     option_table[id].name);
	*kept = value;
	return 0;
}

/* A word for the configuration's parser. What is too many for it is too many
 * for check_places() too, which says so. */
static void keep_word(struct scan *scan, char *word)
{
	if (scan->call->word_count < CONFIG_ROW_WORDS)
		scan->call->words[scan->call->word_count++] = word;
}

static int read_option(struct scan *scan, char *word)
{
	size_t length = strcspn(word + 2, "=");
	char *value = word[2 + length] ? word + 2 + length + 1 : NULL;
	const struct option_row *row;
	int id = option_find(scan->place[0], word + 2, length);
	bool own;

	if (id < 0)
		return unknown_option(scan, word, length);
	own = !(OPTION_BIT(id) & OPTION_GLOBAL);
	row = &option_table[id];
	if (own)
		keep_word(scan, word);
	if (!row->argument) {
		static char given[] = "";

		if (value)
			return USAGE(scan->error, "option --%s takes no value",
				     row->name);
		return keep_option(scan, id, given);
	}
	if (!value && scan->next < scan->count) {
		value = scan->words[scan->next++];
		if (own)
			keep_word(scan, value);
	}
	if (!value || !*value)
		return USAGE(scan->error, "option --%s needs a value: %s",
			     row->name, row->argument);
	return keep_option(scan, id, value);
}

/* ---- words ----------------------------------------------------------------
 */

static int read_word(struct scan *scan, char *word)
{
	static char help[] = "--help";

	if (!scan->only_places && !strcmp(word, "--")) {
		scan->only_places = true;
		return 0;
	}
	if (!scan->only_places && !strcmp(word, "-h"))
		word = help;
	if (!scan->only_places && !strncmp(word, "--", 2))
		return read_option(scan, word);
	if (!scan->only_places && word[0] == '-' && word[1])
		return unknown_option(scan, word, 0);
	if (scan->place_count < PLACES_MAX)
		scan->place[scan->place_count++] = word;
	keep_word(scan, word);
	return 0;
}

/* A raw command takes all that follows it. */
static bool is_raw(struct scan *scan)
{
	const struct command *command;

	if (scan->place_count != 1)
		return false;
	command = command_find(scan->place[0], NULL);
	if (!command || !command->raw)
		return false;
	if (scan->next < scan->count && !strcmp(scan->words[scan->next], "--"))
		scan->next++;
	scan->call->command = command;
	scan->call->rest = scan->words + scan->next;
	scan->call->rest_count = scan->count - scan->next;
	return true;
}

static int read_words(struct scan *scan)
{
	while (scan->next < scan->count) {
		int ret = read_word(scan, scan->words[scan->next++]);

		if (ret || is_raw(scan))
			return ret;
	}
	return 0;
}

/* ---- the command ----------------------------------------------------------
 */

static int unknown_noun(struct scan *scan)
{
	struct nearest nearest = {.word = scan->place[0]};

	for (const struct command *row = command_table; row->noun; row++) {
		if (!row->hidden)
			nearest_offer(&nearest, row->noun);
	}
	if (nearest.found)
		return USAGE(scan->error,
			     "unknown command \"%s\": did you mean \"%s\"?",
			     scan->place[0], nearest.found);
	return USAGE(scan->error,
		     "unknown command \"%s\": `snictl help` lists them",
		     scan->place[0]);
}

static int unknown_verb(struct scan *scan)
{
	const char *noun = scan->place[0], *verb = scan->place[1];
	struct nearest nearest = {.word = verb ? verb : ""};
	char verbs[128] = "";
	size_t length = 0;

	for (const struct command *row = command_table; row->noun; row++) {
		if (strcmp(row->noun, noun) || !row->verb)
			continue;
		nearest_offer(&nearest, row->verb);
		length +=
			(size_t)snprintf(verbs + length, sizeof(verbs) - length,
					 "%s%s", length ? ", " : "", row->verb);
	}
	if (!verb)
		return USAGE(scan->error, "\"%s\" needs a verb: %s", noun,
			     verbs);
	if (nearest.found)
		return USAGE(scan->error,
			     "unknown command \"%s %s\": did you mean \"%s "
			     "%s\"?",
			     noun, verb, noun, nearest.found);
	return USAGE(scan->error, "unknown command \"%s %s\": it is one of %s",
		     noun, verb, verbs);
}

static int find_command(struct scan *scan)
{
	struct invocation *call = scan->call;
	const char *noun = scan->place[0], *verb = scan->place[1];

	if (!noun)
		return USAGE(scan->error, "no command is given: `snictl "
					  "help` lists them");
	if (!command_is_noun(noun))
		return unknown_noun(scan);
	call->command = verb ? command_find(noun, verb) : NULL;
	if (!call->command)
		call->command = command_find(noun, NULL);
	return call->command ? 0 : unknown_verb(scan);
}

/* ---- whether all of it is as the table says -------------------------------
 */

static const char *title(const struct command *command, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s", command->noun, command->verb ? " " : "",
		 command->verb ? command->verb : "");
	return text;
}

static int check_options(struct scan *scan)
{
	const struct command *command = scan->call->command;
	char name[32];

	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!scan->call->option[id] ||
		    (OPTION_BIT(id) & (command->options | OPTION_GLOBAL)))
			continue;
		title(command, name, sizeof(name));
		return USAGE(scan->error,
			     "\"%s\" has no option --%s: see `snictl help "
			     "%s`",
			     name, option_table[id].name, name);
	}
	return 0;
}

static int check_one_of(struct scan *scan)
{
	const struct invocation *call = scan->call;
	char name[32];
	int given = call->argument[0] != NULL;

	for (int id = 0; id < OPTION_COUNT; id++)
		given += call->option[id] &&
			 (OPTION_BIT(id) & call->command->options);
	if (given == 1)
		return 0;
	title(call->command, name, sizeof(name));
	return USAGE(scan->error,
		     "\"%s\" needs exactly one of its "
		     "arguments: see `snictl help %s`",
		     name, name);
}

static int check_places(struct scan *scan)
{
	struct invocation *call = scan->call;
	const struct command *command = call->command;
	int first = command->verb ? 2 : 1;
	char name[32];

	title(command, name, sizeof(name));
	for (int i = 0; i < COMMAND_PARAMETERS_MAX; i++) {
		char *word = scan->place[first + i];

		if (word && !command->parameter[i].name)
			return USAGE(scan->error,
				     "\"%s\" does not take \"%s\": see "
				     "`snictl help %s`",
				     name, word, name);
		if (!word && (unsigned)i < command->required)
			return USAGE(scan->error,
				     "\"%s\" needs %s: see "
				     "`snictl help %s`",
				     name, command->parameter[i].name, name);
		call->argument[i] = word;
	}
	if (scan->place_count > first + COMMAND_PARAMETERS_MAX)
		return USAGE(scan->error,
			     "\"%s\" does not take \"%s\": see "
			     "`snictl help %s`",
			     name, scan->place[first + COMMAND_PARAMETERS_MAX],
			     name);
	return command->one_of ? check_one_of(scan) : 0;
}

static void take_paths(struct invocation *call)
{
	paths_init(&call->paths);
	if (call->option[OPTION_BPFFS])
		call->paths.bpffs = call->option[OPTION_BPFFS];
	if (call->option[OPTION_RUN_DIR])
		call->paths.run_dir = call->option[OPTION_RUN_DIR];
	if (call->option[OPTION_STATE])
		call->paths.state = call->option[OPTION_STATE];
}

/* --help turns whatever it stands beside into "help NOUN VERB". */
static int ask_help(struct scan *scan)
{
	struct invocation *call = scan->call;
	char *noun = scan->place[0], *verb = scan->place[1];

	if (noun && !command_is_noun(noun))
		return unknown_noun(scan);
	call->command = command_find("help", NULL);
	call->argument[0] = noun;
	call->argument[1] = verb && command_find(noun, verb) ? verb : NULL;
	return 0;
}

int command_parse(int count, char *const *words, struct invocation *ret_call,
		  struct error *error)
{
	struct invocation call = {.command = NULL};
	struct scan scan = {
		.words = words, .count = count, .call = &call, .error = error};
	int ret = read_words(&scan);

	if (!ret && call.option[OPTION_HELP]) {
		ret = ask_help(&scan);
	} else if (!ret && call.option[OPTION_VERSION]) {
		call.command = command_find("version", NULL);
	} else if (!ret && !call.command) {
		ret = find_command(&scan);
		if (!ret)
			ret = check_options(&scan);
		if (!ret)
			ret = check_places(&scan);
	}
	if (ret)
		return ret;
	take_paths(&call);
	*ret_call = call;
	return 0;
}
