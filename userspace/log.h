/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent says: a line for each finished flow, and its own news. */
#ifndef SNICTL_LOG_H
#define SNICTL_LOG_H

#include <stddef.h>
#include <stdint.h>
#include "../bpf/abi.h"

/* Lines of one turn of the event loop, written by one system call. */
#define LOG_BUFFER_BYTES 16384
/* The longest line: a name and a target, both escaped, and the figures. */
#define LOG_LINE_MAX 2048

/**
 * struct log - lines of one thread that are not written yet.
 * @lost: lines that found no room since standard error takes nothing.
 */
struct log {
	size_t length;
	unsigned long lost;
	char buffer[LOG_BUFFER_BYTES];
};

struct name;

/**
 * struct log_flow - what is said of a finished flow besides its record.
 * @figures: as by flow_figures().
 * @end:     how it ended, a word.
 * @error:   positive errno of the last failed connect, 0: none.
 * @listener: as the listener is written, "443".
 */
struct log_flow {
	const struct abi_flow_cold *cold;
	const struct name *name;
	const struct abi_flow_hot *figures;
	const char *end;
	int error;
	const char *listener;
	uint64_t now_ns;
};

/** log_flow() - put a line into the buffer. @form: enum abi_log. */
void log_flow(struct log *log, const struct log_flow *flow, enum abi_log form);

/**
 * log_flush() - write the lines to standard error, as many as it takes now.
 *
 * Never blocks: what is not taken stays for the next time, and what finds no
 * room then is lost, and the number of lines told as soon as there is.
 */
void log_flush(struct log *log);

/* Syslog levels, so that the journal sorts the lines. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5
};

/**
 * log_say() - one line of news to standard error, at once.
 *
 * Where standard error is the journal, the line begins with its level.
 */
void log_say(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
