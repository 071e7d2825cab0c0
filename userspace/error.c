// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *error, enum exit_status status, int value,
	      const char *format, ...)
{
	va_list arguments;

	if (value > 0)
		value = -value;
	if (!error)
		return value;
	error->status = status;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	/* A word that is quoted may hold anything: it must neither break the
	 * line nor speak to the terminal. */
	for (char *at = error->text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	}
	return value;
}
