// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* config.h: text to configuration. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cleanup.h"
#include "config.h"
#include "config_check.h"
#include "setting.h"

/** struct reader - a text on its way into a configuration. */
struct reader {
	const char *file;
	const struct config_locals *locals;
	struct config config;
	uint32_t setting_lines[ABI_SETTING_COUNT];
	struct error *error;
};

/** struct line - a line cut into words, which lie in @text. */
struct line {
	uint32_t number;
	char *text;
	char *words[CONFIG_ROW_WORDS];
	size_t count;
	size_t length; /* up to the end of the last word */
};

/* Puts "FILE:LINE:COLUMN: " before the sentence that is there. */
static int complain_at(const struct reader *reader, const struct line *line,
		       struct config_fault fault)
{
	struct error cause = *reader->error;
	size_t column = line->length + 1;

	if (fault.word < line->count)
		column = (size_t)(line->words[fault.word] - line->text) +
			 fault.offset + 1;
	return error_set(reader->error, EXIT_FAILED, EINVAL, "%s:%u:%zu: %s",
			 reader->file, line->number, column, cause.text);
}

/*
 * Cuts a line, of which it overwrites the blanks and the newline. Blanks are
 * also what separates a line from the carriage return that some editors add.
 */
static int split(struct reader *reader, struct line *line, size_t length)
{
	static const char blanks[] = " \t\r";
	char *at = line->text, *end = line->text + length;

	*end = '\0';
	line->count = 0;
	line->length = length;
	if (strlen(at) != length) {
		error_set(reader->error, EXIT_FAILED, EINVAL,
			  "a NUL byte: this is no text");
		line->length = strlen(at);
		return complain_at(reader, line, (struct config_fault){0});
	}
	for (at += strspn(at, blanks); at < end && *at != '#';
	     at += strspn(at, blanks)) {
		if (line->count == CONFIG_ROW_WORDS) {
			error_set(reader->error, EXIT_FAILED, EINVAL,
				  "more than %d words", CONFIG_ROW_WORDS);
			line->length = (size_t)(at - line->text);
			return complain_at(
				reader, line,
				(struct config_fault){.word = line->count});
		}
		line->words[line->count++] = at;
		at += strcspn(at, blanks);
		line->length = (size_t)(at - line->text);
		if (at < end)
			*at++ = '\0';
	}
	return 0;
}

static struct config_fault place(const struct line *line, enum config_role role)
{
	return config_row_place((char *const *)line->words, line->count, role,
				0);
}

static int keep_hook(struct reader *reader, const struct line *line,
		     const struct config_row *row)
{
	const char *interface = row->setting.interface;
	int status = 0;

	if (config_find_hook(&reader->config, interface))
		status = error_set(reader->error, EXIT_FAILED, EEXIST,
				   "the edge-hook of %s is set already",
				   interface);
	if (!status)
		status = config_set_hook(&reader->config, row, reader->error);
	if (!status)
		return 0;
	return complain_at(reader, line, place(line, CONFIG_ROLE_INTERFACE));
}

static int keep_setting(struct reader *reader, const struct line *line,
			const struct config_setting *row)
{
	uint32_t *first = &reader->setting_lines[row->setting];

	if (*first) {
		error_set(reader->error, EXIT_FAILED, EEXIST,
			  "\"%s\" is set already, also on line %u",
			  setting_table[row->setting].name, *first);
		return complain_at(reader, line,
				   (struct config_fault){.word = 1});
	}
	*first = line->number;
	reader->config.settings[row->setting] = row->value;
	return 0;
}

static int keep_row(struct reader *reader, const struct line *line,
		    struct config_row *row)
{
	struct config_fault verb = {.word = 1};
	int status = 0;

	if (row->verb != CONFIG_ADD && row->verb != CONFIG_SET) {
		if (row->object == CONFIG_SETTING)
			verb = place(line, CONFIG_ROLE_VALUE);
		error_set(reader->error, EXIT_FAILED, EINVAL,
			  "\"%s\" changes what is there, but a file says what "
			  "is to be there: only \"add\" and \"set\"",
			  line->words[verb.word]);
		return complain_at(reader, line, verb);
	}
	switch (row->object) {
	case CONFIG_SETTING:
		if (row->setting.interface[0])
			return keep_hook(reader, line, row);
		return keep_setting(reader, line, &row->setting);
	case CONFIG_LISTENER:
		row->listener.line = line->number;
		status =
			config_append_listener(&reader->config, &row->listener);
		break;
	case CONFIG_ROUTE:
		row->route.line = line->number;
		status = config_append_route(&reader->config, &row->route);
		break;
	}
	if (status)
		error_set(reader->error, EXIT_FAILED, status, "%s",
			  "out of memory");
	return status;
}

static int read_line(struct reader *reader, struct line *line, size_t length)
{
	struct config_fault fault;
	struct config_row row;
	int status = split(reader, line, length);

	if (status || !line->count)
		return status;
	status = config_row_parse(line->words, line->count, &row, &fault,
				  reader->error);
	if (status)
		return complain_at(reader, line, fault);
	return keep_row(reader, line, &row);
}

static int read_lines(struct reader *reader, char *text, size_t length)
{
	char *end = text + length;
	struct line line = {.text = text};
	int status = 0;

	while (!status && line.text < end) {
		size_t left = (size_t)(end - line.text);
		char *newline = memchr(line.text, '\n', left);
		size_t size = newline ? (size_t)(newline - line.text) : left;

		line.number++;
		status = read_line(reader, &line, size);
		line.text += size + 1;
	}
	return status;
}

/* The rows hold no columns: the line is cut once more to find it. */
static int complain_of(struct reader *reader, const char *text, size_t length,
		       const struct config_finding *finding)
{
	AUTO_FREE char *copy = NULL;
	struct line line = {.number = finding->line};
	const char *at = text, *end = text + length, *newline;
	struct config_fault fault = {0};
	size_t size;

	for (uint32_t i = 1; i < finding->line; i++)
		at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
	newline = memchr(at, '\n', (size_t)(end - at));
	size = (size_t)((newline ? newline : end) - at);
	copy = strndup(at, size);
	if (!copy)
		return -EINVAL;
	line.text = copy;
	if (!split(reader, &line, size))
		fault = config_row_place(line.words, line.count, finding->role,
					 finding->index);
	return complain_at(reader, &line, fault);
}

int config_parse(const char *file, const char *text, size_t length,
		 const struct config_locals *locals, struct config *ret_config,
		 struct error *error)
{
	AUTO_FREE char *copy = malloc(length + 1);
	struct reader reader = {.file = file, .locals = locals};
	struct config_finding finding;
	struct error own;
	int status;

	reader.error = error ? error : &own;
	if (!copy)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	memcpy(copy, text, length);
	config_init(&reader.config);
	status = read_lines(&reader, copy, length);
	if (!status) {
		config_sort(&reader.config);
		status = config_check(&reader.config, locals, &finding,
				      reader.error);
		if (status)
			status = complain_of(&reader, text, length, &finding);
	}
	if (status) {
		config_done(&reader.config);
		return status;
	}
	*ret_config = reader.config;
	return 0;
}
