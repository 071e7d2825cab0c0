// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A table of more rows is printed in parts. */
#define ROWS_AT_ONCE 4096
/* The labels of a page stand in a column of this width. */
#define LABEL_WIDTH 13

unsigned output_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

/* ---- colours --------------------------------------------------------------
 */

/* no-color.org: NO_COLOR counts where it is set and not empty. */
static bool wants_colours(void)
{
	const char *never = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(never && *never) && terminal &&
	       strcmp(terminal, "dumb") != 0;
}

const char *output_tone(enum tone tone)
{
	static const char *const sequence[] = {
		[TONE_PLAIN] = "\033[0m",
		[TONE_GOOD] = "\033[32m",
		[TONE_BAD] = "\033[31m",
		[TONE_FAINT] = "\033[2m",
	};

	return wants_colours() ? sequence[tone] : "";
}

/* ---- tables ---------------------------------------------------------------
 */

static bool add_column(struct libscols_table *table,
		       const struct column *column)
{
	static const int flags[] = {
		[COLUMN_TEXT] = 0,
		[COLUMN_NUMBER] = SCOLS_FL_RIGHT,
		[COLUMN_SPARE] = 0,
		[COLUMN_CUT] = SCOLS_FL_TRUNC,
		[COLUMN_LINES] = SCOLS_FL_WRAP,
	};
	struct libscols_column *added;

	added = scols_table_new_column(table, column->heading, 0,
				       flags[column->kind]);
	if (!added || column->kind != COLUMN_LINES)
		return added != NULL;
	return !scols_column_set_safechars(added, "\n") &&
	       !scols_column_set_wrapfunc(added, scols_wrapnl_chunksize,
					  scols_wrapnl_nextchunk, NULL);
}

void listing_begin(struct listing *listing, bool json,
		   const struct column *columns)
{
	memset(listing, 0, sizeof(*listing));
	listing->json = json;
	listing->columns = columns;
	if (json)
		return;
	scols_init_debug(0);
	listing->table = scols_new_table();
	if (!listing->table) {
		listing->failed = true;
		return;
	}
	scols_table_enable_colors(listing->table, wants_colours());
	for (; columns->heading; columns++, listing->column_count++)
		listing->failed |= !add_column(listing->table, columns);
}

void listing_object(struct listing *listing, json_t *object)
{
	if (!object) {
		listing->failed = true;
		return;
	}
	fputs(listing->begun ? ",\n " : "[", stdout);
	listing->begun = true;
	json_dumpf(object, stdout, JSON_COMPACT);
	json_decref(object);
}

/* Width of a column with its heading and the blank behind it. */
static size_t column_width(const struct listing *listing, size_t i)
{
	size_t heading = strlen(listing->columns[i].heading);

	return 1 + (heading > listing->width[i] ? heading : listing->width[i]);
}

static bool can_go(const struct listing *listing, size_t i, bool is_empty)
{
	enum column_kind kind = listing->columns[i].kind;

	return is_empty ? !listing->width[i]
			: listing->width[i] && (kind == COLUMN_SPARE ||
						kind == COLUMN_LINES);
}

/* Leaves columns out until the terminal is wide enough. */
static void fit(struct listing *listing)
{
	size_t room = output_width(), total = 0;

	for (size_t i = 0; i < listing->column_count; i++)
		total += column_width(listing, i);
	for (int pass = 0; room && pass < 2; pass++) {
		for (size_t i = listing->column_count; i-- && total > room;) {
			struct libscols_column *column;

			if (!can_go(listing, i, !pass))
				continue;
			column = scols_table_get_column(listing->table, i);
			scols_column_set_flags(column, SCOLS_FL_HIDDEN);
			total -= column_width(listing, i);
		}
	}
}

static void print_part(struct listing *listing)
{
	if (!listing->begun)
		fit(listing);
	listing->failed |= scols_print_table(listing->table) != 0;
	scols_table_enable_noheadings(listing->table, 1);
	scols_table_remove_lines(listing->table);
	listing->rows = 0;
	listing->begun = true;
}

/* The longest line of a text. */
static size_t text_width(const char *text)
{
	size_t longest = 0;

	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length > longest)
			longest = length;
		text += length;
		text += *text == '\n';
	}
	return longest;
}

static struct libscols_line *last_line(struct listing *listing)
{
	return scols_table_get_line(listing->table, listing->rows - 1);
}

void listing_row(struct listing *listing, const char *const *cells)
{
	struct libscols_line *line;

	if (listing->failed)
		return;
	if (listing->rows == ROWS_AT_ONCE)
		print_part(listing);
	line = scols_table_new_line(listing->table, NULL);
	if (!line) {
		listing->failed = true;
		return;
	}
	listing->rows++;
	for (size_t i = 0; i < listing->column_count; i++) {
		size_t width = text_width(cells[i]);

		if (width > listing->width[i])
			listing->width[i] = width;
		listing->failed |= scols_line_set_data(line, i, cells[i]) != 0;
	}
}

void listing_tone(struct listing *listing, size_t column, enum tone tone)
{
	static const char *const name[] = {
		[TONE_PLAIN] = NULL,
		[TONE_GOOD] = "green",
		[TONE_BAD] = "red",
		[TONE_FAINT] = "darkgray",
	};
	struct libscols_cell *cell;

	if (listing->failed || !name[tone])
		return;
	cell = scols_line_get_cell(last_line(listing), column);
	scols_cell_set_color(cell, name[tone]);
}

int listing_end(struct listing *listing)
{
	if (listing->json) {
		puts(listing->begun ? "]" : "[]");
	} else if (!listing->failed) {
		if (listing->rows || !listing->begun)
			print_part(listing);
	}
	if (listing->table)
		scols_unref_table(listing->table);
	listing->table = NULL;
	return listing->failed ? -ENOMEM : 0;
}

/* ---- JSON and pages -------------------------------------------------------
 */

int output_json(json_t *value)
{
	if (!value)
		return -ENOMEM;
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(value);
	return 0;
}

void output_field(const char *label, const char *format, ...)
{
	va_list arguments;
	int length = label ? printf("%s:", label) : 0;

	printf("%*s", length < LABEL_WIDTH ? LABEL_WIDTH - length : 1, "");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void output_note(const char *format, ...)
{
	va_list arguments;

	/* Behind what is already printed, also where both go to one file. */
	fflush(stdout);
	fputs("snictl: note: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* ---- amounts --------------------------------------------------------------
 */

const char *output_bytes(uint64_t bytes, char *text)
{
	static const char unit[] = "KMGTPE";
	double value = (double)bytes;
	int i = -1;

	while (value >= 1024 && unit[i + 1]) {
		value /= 1024;
		i++;
	}
	if (i < 0)
		snprintf(text, OUTPUT_AMOUNT_SIZE, "%" PRIu64 " B", bytes);
	else
		snprintf(text, OUTPUT_AMOUNT_SIZE, "%.*f %ciB",
			 value < 10 ? 1 : 0, value, unit[i]);
	return text;
}

const char *output_ns(uint64_t ns, char *text)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{"d", 86400000000000}, {"h", 3600000000000},
		{"min", 60000000000},  {"s", 1000000000},
		{"ms", 1000000},       {"us", 1000},
	};
	size_t last = sizeof(unit) / sizeof(unit[0]) - 1, i = 0;
	uint64_t rest;

	while (i < last && ns < unit[i].ns)
		i++;
	rest = i < 3 ? ns % unit[i].ns / unit[i + 1].ns : 0;
	if (rest)
		snprintf(text, OUTPUT_AMOUNT_SIZE,
			 "%" PRIu64 " %s %" PRIu64 " %s", ns / unit[i].ns,
			 unit[i].name, rest, unit[i + 1].name);
	else
		snprintf(text, OUTPUT_AMOUNT_SIZE, "%" PRIu64 " %s",
			 ns / unit[i].ns, unit[i].name);
	return text;
}

uint64_t output_age_ns(uint64_t since_ns)
{
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return now_ns > since_ns ? now_ns - since_ns : 0;
}
