// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The generated sections of snictl.8, in mdoc(7). */
#include "mdoc.h"

#include <stdbool.h>
#include <string.h>
#include "command.h"
#include "set.h"

/* Source lines are broken at the next blank from here on. */
#define FOLD_AT 60

/* Text lines: what begins a request or an escape is made harmless, and each
 * sentence begins a line. */
static void print_text(FILE *out, const char *text)
{
	unsigned column = 0;

	for (; *text; text++, column++) {
		bool is_end = !strncmp(text, ". ", 2);

		if (!column && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '`')
			fputs("\\(ga", out);
		else if (*text != ' ' || column < FOLD_AT)
			fputc(*text, out);
		if (!is_end && (*text != ' ' || column < FOLD_AT))
			continue;
		fputc('\n', out);
		text += is_end;
		column = (unsigned)-1;
	}
}

static void print_sentence(FILE *out, const char *text)
{
	size_t length = strlen(text);

	print_text(out, text);
	fputs(length && text[length - 1] == '.' ? "\n" : ".\n", out);
}

static void print_option(FILE *out, const char *macro, int id)
{
	const struct option_row *row = &option_table[id];

	fprintf(out, "%sFl -%s%s%s\n", macro, row->name,
		row->argument ? " Ar " : "",
		row->argument ? row->argument : "");
}

static void print_heading(FILE *out, const struct command *command)
{
	bool is_first = true;

	fprintf(out, ".It Xo\n.Cm %s%s%s\n", command->noun,
		command->verb ? " " : "", command->verb ? command->verb : "");
	for (unsigned i = 0; i < COMMAND_PARAMETERS_MAX; i++) {
		bool optional = i >= command->required && !command->one_of;

		if (!command->parameter[i].name)
			break;
		fprintf(out, optional ? ".Op Ar %s\n" : ".Ar %s\n",
			command->parameter[i].name);
		is_first = false;
	}
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & command->options & ~OPTION_HIDDEN))
			continue;
		if (command->one_of && !is_first)
			fputs(".No \\&|\n", out);
		print_option(out, command->one_of ? "." : ".Op ", id);
		is_first = false;
	}
	fputs(".Xc\n", out);
}

static void print_commands(FILE *out)
{
	fputs(".Sh COMMANDS\n.Bl -tag -width Ds\n", out);
	for (const struct command *row = command_table; row->noun; row++) {
		if (row->hidden)
			continue;
		print_heading(out, row);
		print_sentence(out, row->help);
		if (row->details)
			print_sentence(out, row->details);
	}
	fputs(".El\n", out);
}

static void print_options(FILE *out, unsigned options)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & options & ~OPTION_HIDDEN))
			continue;
		print_option(out, ".It ", id);
		print_sentence(out, option_table[id].help);
	}
	fputs(".El\n", out);
}

static void print_settings(FILE *out)
{
	char range[SETTING_RANGE_SIZE], fallback[SETTING_TEXT_SIZE];

	fputs(".Sh SETTINGS\n.Bl -tag -width Ds\n", out);
	for (int id = 0; id < ABI_SETTING_COUNT; id++) {
		const struct setting *row = &setting_table[id];
		enum abi_setting setting = (enum abi_setting)id;

		fprintf(out, ".It Cm %s Pq %s, default %s\n", row->name,
			setting_range(setting, range),
			setting_format(setting, row->fallback, fallback));
		print_sentence(out, row->help);
	}
	fputs(".El\n", out);
}

void mdoc_print(FILE *out)
{
	print_commands(out);
	fputs(".Pp\nThe options of these commands:\n", out);
	print_options(out, ~OPTION_GLOBAL);
	fputs(".Pp\nThese may stand anywhere:\n", out);
	print_options(out, OPTION_GLOBAL);
	print_settings(out);
}
