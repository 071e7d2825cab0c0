/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "help.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "nearest.h"
#include "set.h"

#define WIDTH_DEFAULT 80
/* Lines longer than this are hard to read, however wide the terminal. */
#define WIDTH_MAX 100
#define INDENT 8

static unsigned terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 40)
		return WIDTH_DEFAULT;
	return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

/* A sentence, broken between words and indented. */
static void print_wrapped(const char *text)
{
	size_t room = terminal_width() - INDENT;

	while (*text) {
		size_t length = strlen(text);

		if (length > room) {
			length = room;
			while (length && text[length] != ' ')
				length--;
			if (!length)
				length = strcspn(text, " ");
		}
		printf("%*s%.*s\n", INDENT, "", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
}

static void print_option(FILE *out, int id)
{
	const struct option_row *row = &option_table[id];

	fprintf(out, "--%s%s%s", row->name, row->argument ? " " : "",
		row->argument ? row->argument : "");
}

void help_synopsis(const struct command *command, FILE *out)
{
	const char *between = command->one_of ? "" : " ";

	fprintf(out, "%s%s%s", command->noun, command->verb ? " " : "",
		command->verb ? command->verb : "");
	if (command->one_of)
		fputc(' ', out);
	for (unsigned i = 0; i < COMMAND_PARAMETERS_MAX; i++) {
		bool optional = i >= command->required && !command->one_of;

		if (!command->parameter[i].name)
			break;
		fprintf(out, "%s%s%s%s", between, optional ? "[" : "",
			command->parameter[i].name, optional ? "]" : "");
	}
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & command->options & ~OPTION_HIDDEN))
			continue;
		fputs(command->one_of ? " | " : " [", out);
		print_option(out, id);
		fputs(command->one_of ? "" : "]", out);
	}
}

static void print_options(unsigned options)
{
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!(OPTION_BIT(id) & options & ~OPTION_HIDDEN))
			continue;
		fputs("    ", stdout);
		print_option(stdout, id);
		putchar('\n');
		print_wrapped(option_table[id].help);
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
		fputs("  ", stdout);
		help_synopsis(row, stdout);
		putchar('\n');
		print_wrapped(row->help);
	}
	puts("\nEverywhere:");
	print_options(OPTION_GLOBAL);
	puts("\n\"snictl help NOUN\" says more. The manual: man 8 snictl");
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
		print_wrapped(row->help);
	}
}

static void print_command(const struct command *command)
{
	fputs("usage: snictl ", stdout);
	help_synopsis(command, stdout);
	putchar('\n');
	print_wrapped(command->help);
	if (command->details)
		print_wrapped(command->details);
	print_options(command->options);
	if (command->run == set_main)
		print_settings();
}

static int print_noun(const char *noun, const char *verb, struct error *error)
{
	bool found = false;

	for (const struct command *row = command_table; row->noun; row++) {
		if (strcmp(row->noun, noun) != 0 || row->hidden ||
		    (verb && (!row->verb || strcmp(row->verb, verb) != 0)))
			continue;
		if (found)
			putchar('\n');
		print_command(row);
		found = true;
	}
	if (found)
		return 0;
	return error_set(error, EXIT_USAGE, EINVAL,
			 "there is no command \"%s%s%s\": \"snictl help\" "
			 "lists them",
			 noun, verb ? " " : "", verb ? verb : "");
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
