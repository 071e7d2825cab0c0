/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Commands that change one row of the configuration. */
#ifndef SNICTL_EDIT_H
#define SNICTL_EDIT_H

#include "command.h"

/**
 * edit_row() - make the change that the command's words ask for.
 * @ret_row: what they say; written only on success.
 *
 * Return: 0, or -errno with a sentence, and nothing is changed.
 */
int edit_row(const struct invocation *call, struct config_row *ret_row,
	     struct error *error);

#endif
