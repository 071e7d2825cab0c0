/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the commands print: tables and pages for people, JSON for programs. */
#ifndef SNICTL_OUTPUT_H
#define SNICTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OUTPUT_COLUMNS_MAX 12

/* What a terminal that is too narrow does to a column. Empty columns go
 * first, then spare ones from the right, then texts are cut. */
enum column_kind {
	COLUMN_TEXT,   /* nothing */
	COLUMN_NUMBER, /* nothing; it stands to the right */
	COLUMN_SPARE,  /* leaves it out */
	COLUMN_CUT,    /* cuts its texts */
	COLUMN_LINES   /* leaves it out; its texts may have newlines */
};

/** struct column - of a table; a NULL heading ends a list of them. */
struct column {
	const char *heading;
	enum column_kind kind;
};

enum tone {
	TONE_PLAIN,
	TONE_GOOD,
	TONE_BAD,
	TONE_FAINT
};

/**
 * struct listing - rows that a list command prints, one way or the other.
 * @json:  an array of objects, a line each; else a table.
 * @width: the longest text of each column so far.
 *
 * Neither way keeps more than some thousand rows in memory.
 */
struct listing {
	bool json;
	bool begun;
	bool failed;
	struct libscols_table *table;
	const struct column *columns;
	size_t column_count;
	size_t width[OUTPUT_COLUMNS_MAX];
	size_t rows;
};

/**
 * listing_begin() - @columns must have at most OUTPUT_COLUMNS_MAX.
 * listing_object() - a row of a JSON listing; takes the reference.
 * listing_row() - a row of a table; @cells has one text a column.
 * listing_tone() - colour of one cell of the row just added.
 * listing_end() - print what is left. Return: 0 or -ENOMEM.
 */
void listing_begin(struct listing *listing, bool json,
		   const struct column *columns);
void listing_object(struct listing *listing, json_t *object);
void listing_row(struct listing *listing, const char *const *cells);
void listing_tone(struct listing *listing, size_t column, enum tone tone);
int listing_end(struct listing *listing);

/**
 * output_json() - print one value; takes the reference.
 * Return: 0 or -ENOMEM (where it is NULL).
 */
int output_json(json_t *value);

/** output_width() - columns of the terminal; 0 where there is none. */
unsigned output_width(void);

/** output_tone() - the sequence that begins a colour on standard output, or
 * "" where there are to be none. TONE_PLAIN ends one. */
const char *output_tone(enum tone tone);

/**
 * output_field() - a line "Label:  text" of a page.
 *
 * A NULL label continues the field above.
 */
void output_field(const char *label, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** output_note() - a line to standard error about something that is done. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** OUTPUT_AMOUNT_SIZE - room for the texts below. */
#define OUTPUT_AMOUNT_SIZE 32

/** output_bytes() - "640 B", "1.5 MiB". Return: @text. */
const char *output_bytes(uint64_t bytes, char *text);

/** output_ns() - a time span in its two greatest units: "2 h 5 min". */
const char *output_ns(uint64_t ns, char *text);

/** output_age_ns() - from a moment of CLOCK_MONOTONIC until now, ns. */
uint64_t output_age_ns(uint64_t since_ns);

#endif
