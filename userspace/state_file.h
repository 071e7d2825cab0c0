/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state file: rows between a first line that names the format and a last
 * line that counts the rows, so that a file that was cut is seen.
 *
 *   # snictl state 1 ...
 *   listen add 443
 *   route add pbx.example.com 10.1.2.3:443
 *   # end of 2 rows
 */
#ifndef SNICTL_STATE_FILE_H
#define SNICTL_STATE_FILE_H

#include "config.h"

/** struct state_text - the bytes of a state file; owns them. */
struct state_text {
	char *data;
	size_t length;
};

void state_text_done(struct state_text *text);

#define AUTO_STATE_TEXT                                                        \
	__attribute__((cleanup(state_text_done))) struct state_text

/**
 * struct state_format - what a kind of file begins with, and is called.
 * @header:  the first words of the first line, before the version.
 * @name:    for messages: "state file".
 * @without: what one begins without if it is moved away: "routes".
 */
struct state_format {
	const char *header;
	const char *version;
	const char *name;
	const char *without;
};

/** state_format_rows - listeners, routes and settings: "the" state file. */
extern const struct state_format state_format_rows;

/**
 * state_file_frame() - rows between their first line and their last.
 * @print: prints them; returns how many there are.
 * Return: 0 or -ENOMEM.
 */
int state_file_frame(const struct state_format *format,
		     size_t (*print)(const void *rows, FILE *out),
		     const void *rows, struct state_text *ret_text);

/** state_file_print() - a configuration as such a file. Return: 0, -ENOMEM. */
int state_file_print(const struct config *config, struct state_text *ret_text);

/**
 * state_file_read() - all of a state file whose first and last line are
 * right; the rows are config_parse()'s.
 * @ret_text: written only on success.
 *
 * Return: 0; -ENOENT (there is none), -EBADMSG (ours, but damaged),
 * -EMEDIUMTYPE (not ours, or of another version), or another -errno; all with a
 * sentence.
 */
int state_file_read(const char *path, const struct state_format *format,
		    struct state_text *ret_text, struct error *error);

/**
 * state_file_stage() - write a new file beside the old one, and sync it.
 *
 * An old file that is not ours is a reason to refuse; a damaged one is first
 * kept under another name.
 *
 * Return: 0 or -errno with a sentence; nothing is changed so far.
 */
int state_file_stage(const char *path, const struct state_format *format,
		     const struct state_text *text, struct error *error);

/** state_file_publish() - put the staged file in the old one's place. */
int state_file_publish(const char *path, struct error *error);

/** state_file_discard() - remove the staged file. */
void state_file_discard(const char *path);

#endif
