/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The generated sections of snictl.8, in mdoc(7). */
#include <string.h>
#include "help.h"
#include "set.h"

/* A text line: what begins a request or an escape is made harmless, and
 * each sentence begins a line. */
static void print_text(FILE *out, const char *text)
{
	bool is_start = true;

	for (; *text; text++) {
		if (is_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		is_start = false;
		if (*text == '\\') {
			fputs("\\e", out);
		} else if (!strncmp(text, ". ", 2)) {
			fputs(".\n", out);
			text++;
			is_start = true;
		} else {
			fputc(*text, out);
		}
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

	fprintf(out, "%s Fl -%s%s%s\n", macro, row->name,
		row->argument ? " Ar " : "",
		row->argument ? row->argument : "");
}

static void print_heading(FILE *out, const struct command *command)
{
	const char *glue = "";

	fprintf(out, ".It Xo\n.Cm %s%s%s\n", command->noun,
		command->verb ? " " : "", command->verb ? command->verb : "");
	for (unsigned i = 0; i < COMMAND_PARAMETERS_MAX; i++) {
		bool optional = i >= command->required && !command->one_of;

		if (!command->parameter[i].name)
			break;
		fprintf(out, ".%sAr %s\n", optional ? "Op " : "",
			command->parameter[i].name);
		glue = "| ";
	}
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & command->options & ~OPTION_HIDDEN))
			continue;
		if (command->one_of)
			fputs(*glue ? ".No |\n" : "", out);
		print_option(out, command->one_of ? "." : ".Op", id);
		glue = "| ";
	}
	fputs(".Xc\n", out);
}

static void print_options(FILE *out, unsigned options)
{
	if (!(options & ~OPTION_HIDDEN))
		return;
	fputs(".Bl -tag -width Ds\n", out);
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & options & ~OPTION_HIDDEN))
			continue;
		print_option(out, ".It", id);
		print_sentence(out, option_table[id].help);
	}
	fputs(".El\n", out);
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
		print_options(out, row->options);
	}
	fputs(".El\n.Pp\nThese options may stand anywhere:\n", out);
	print_options(out, OPTION_GLOBAL);
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
	print_settings(out);
}
