// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "../userspace/cleanup.h"
#include "command.h"
#include "mdoc.h"
#include "output.h"
#include "set.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MIN 40
/* Lines longer than this are hard to read, however wide the terminal. */
#define WIDTH_MAX 100
#define INDENT 8
/* A byte that no text of the table has. */
#define HARD_BLANK '\1'

static unsigned width(void)
{
	unsigned columns = output_width();

	if (columns < WIDTH_MIN)
		return WIDTH_DEFAULT;
	return columns < WIDTH_MAX ? columns : WIDTH_MAX;
}

/* A text in lines that fit, broken at blanks; HARD_BLANK is one that is not
 * broken at. */
static void print_wrapped(const char *text, int first, int indent)
{
	while (*text) {
		size_t room = width() - (unsigned)first;
		size_t length = strlen(text);

		if (length > room) {
			length = room;
			while (length && text[length] != ' ')
				length--;
			if (!length)
				length = strcspn(text, " ");
		}
		printf("%*s", first, "");
		for (size_t i = 0; i < length; i++)
			putchar(text[i] == HARD_BLANK ? ' ' : text[i]);
		putchar('\n');
		text += length;
		text += strspn(text, " ");
		first = indent;
	}
}

static void print_sentence(const char *text)
{
	print_wrapped(text, INDENT, INDENT);
}

static void write_option(FILE *out, int id, char blank)
{
	const struct option_row *row = &option_table[id];

	fprintf(out, "--%s", row->name);
	if (row->argument)
		fprintf(out, "%c%s", blank, row->argument);
}

static void write_synopsis(const struct command *command, FILE *out)
{
	fprintf(out, "%s%s%s", command->noun, command->verb ? " " : "",
		command->verb ? command->verb : "");
	for (unsigned i = 0; i < COMMAND_PARAMETERS_MAX; i++) {
		bool optional = i >= command->required && !command->one_of;

		if (command->parameter[i].name)
			fprintf(out, optional ? " [%s]" : " %s",
				command->parameter[i].name);
	}
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & command->options & ~OPTION_HIDDEN))
			continue;
		fputs(command->one_of ? " | " : " [", out);
		write_option(out, id, HARD_BLANK);
		fputs(command->one_of ? "" : "]", out);
	}
}

static void print_synopsis(const char *before, const struct command *command)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	fputs(before, out);
	write_synopsis(command, out);
	if (!fclose(out))
		print_wrapped(text, 0, INDENT + 4);
}

static void print_options(unsigned options)
{
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & options & ~OPTION_HIDDEN))
			continue;
		fputs("    ", stdout);
		write_option(stdout, id, ' ');
		putchar('\n');
		print_sentence(option_table[id].help);
	}
}

/* ---- all commands ---------------------------------------------------------
 */

static void print_overview(void)
{
	puts("snictl routes TLS connections by server name.\n");
	puts("usage: snictl [--bpffs DIR] [--run-dir DIR] [--state FILE] "
	     "COMMAND ...\n");
	for (const struct command *row = command_table; row->noun; row++) {
		if (row->hidden)
			continue;
		print_synopsis("  ", row);
		print_sentence(row->help);
	}
	puts("\nEverywhere:");
	print_options(OPTION_GLOBAL);
	puts("\n`snictl help NOUN` says more. The manual: man 8 snictl");
}

/* ---- one of them ----------------------------------------------------------
 */

static void print_settings(void)
{
	char range[SETTING_RANGE_SIZE], fallback[SETTING_TEXT_SIZE];

	puts("\nSettings:");
	for (int id = 0; id < ABI_SETTING_COUNT; id++) {
		const struct setting *row = &setting_table[id];
		enum abi_setting setting = (enum abi_setting)id;

		printf("    %s (%s, default %s)\n", row->name,
		       setting_range(setting, range),
		       setting_format(setting, row->fallback, fallback));
		print_sentence(row->help);
	}
}

static bool is_meant(const struct command *row, const char *noun,
		     const char *verb)
{
	if (row->hidden || strcmp(row->noun, noun) != 0)
		return false;
	return !verb || (row->verb && !strcmp(row->verb, verb));
}

static int print_noun(const char *noun, const char *verb, struct error *error)
{
	unsigned options = 0;
	bool found = false, settings = false;

	for (const struct command *row = command_table; row->noun; row++) {
		if (!is_meant(row, noun, verb))
			continue;
		print_synopsis("snictl ", row);
		print_sentence(row->help);
		if (row->details)
			print_sentence(row->details);
		options |= row->options;
		settings |= row->run == set_main;
		found = true;
	}
	if (!found)
		return error_set(error, EXIT_USAGE, EINVAL,
				 "there is no command \"%s%s%s\": `snictl "
				 "help` lists them",
				 noun, verb ? " " : "", verb ? verb : "");
	if (options)
		puts("\nOptions:");
	print_options(options);
	if (settings)
		print_settings();
	return 0;
}

int help_main(const struct invocation *call, struct error *error)
{
	if (call->option[OPTION_MDOC]) {
		mdoc_print(stdout);
		return 0;
	}
	if (!call->argument[0]) {
		print_overview();
		return 0;
	}
	return print_noun(call->argument[0], call->argument[1], error);
}
