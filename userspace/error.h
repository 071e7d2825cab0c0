/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One sentence for the user about what went wrong, made where it is known. */
#ifndef SNICTL_ERROR_H
#define SNICTL_ERROR_H

/* What a program exits with (documented in snictl.8). */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_LOADED = 3 /* no bpffs, nothing loaded, or a foreign ABI */
};

/**
 * struct error - a sentence and the status to exit with.
 * @status: enum exit_status; EXIT_DONE: nothing is wrong.
 * @text:   one line without a newline, naming the thing and the remedy.
 */
struct error {
	enum exit_status status;
	char text[512];
};

/**
 * error_set() - fill an error; a longer text is cut, control characters
 * become '?'.
 * @error: written whole; NULL is allowed, then only the value is returned.
 * @value: a positive errno, or a negative one.
 *
 * Library code does not log: it fills an error, and main() prints it once.
 *
 * Return: -errno (always negative), to be returned on.
 */
int error_set(struct error *error, enum exit_status status, int value,
	      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
