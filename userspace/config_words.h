/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The words of a row, sorted by what they are; config_row.c says what they
 * mean. Pure. */
#ifndef SNICTL_CONFIG_WORDS_H
#define SNICTL_CONFIG_WORDS_H

#include "config_row.h"

enum config_option {
	CONFIG_OPTION_ACCEPT_PROXY,
	CONFIG_OPTION_PROXY,
	CONFIG_OPTION_DATAPATH,
	CONFIG_OPTION_ON,
	CONFIG_OPTION_LISTEN_HTTP,
	CONFIG_OPTION_TRUST_FORWARDED,
	CONFIG_OPTION_HTTP,
	CONFIG_OPTION_HTTP_TARGET,
	CONFIG_OPTION_FORWARDED,
	CONFIG_OPTION_ALPN,
	CONFIG_OPTION_INTERFACE,
	CONFIG_OPTION_COUNT
};

/* "--accept-proxy", indexed by enum config_option. What --http takes depends
 * on the command. */
extern const char *const config_option_names[CONFIG_OPTION_COUNT];

#define CONFIG_OPERANDS_MAX 2

/**
 * struct config_shape - what a command takes.
 * @verb_word: NULL: @object_word is the whole command.
 * @operands:  ended by NULL.
 * @options:   bits of enum config_option.
 */
struct config_shape {
	const char *object_word;
	const char *verb_word;
	enum config_object object;
	enum config_verb verb;
	const char *operands[CONFIG_OPERANDS_MAX + 1];
	unsigned options;
	const char *usage;
};

/** struct config_place - a text and where in the words it stands. */
struct config_place {
	const char *text;
	struct config_fault at;
};

/**
 * struct config_words - the words of a row.
 * @word, @count, @error: given; @error may be NULL.
 * @shape:   what the command takes.
 * @operand: all that the command takes are there.
 * @option:  @text is NULL for those that are not there; "" for those that
 *           are there and take no value.
 * @fault:   after a failure.
 */
struct config_words {
	char *const *word;
	size_t count;
	const struct config_shape *shape;
	struct config_place operand[CONFIG_OPERANDS_MAX];
	struct config_place option[CONFIG_OPTION_COUNT];
	struct config_fault fault;
	struct error *error;
};

/**
 * config_words_sort() - find the command, its operands and its options.
 * Return: 0 or -EINVAL, with a sentence and a fault.
 */
int config_words_sort(struct config_words *words);

/* Longer than any address or prefix: a piece that is cut is none. */
#define CONFIG_PIECE_SIZE 128

/**
 * config_words_next() - cut the next piece off a list with commas.
 * @buffer: CONFIG_PIECE_SIZE bytes, to which @ret_piece points.
 * Return: false at the end of the list.
 */
bool config_words_next(struct config_place *list, char *buffer,
		       struct config_place *ret_piece);

/** config_words_fail() - note a fault. Return: -EINVAL. */
int config_words_fail(struct config_words *words, struct config_fault at,
		      const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
