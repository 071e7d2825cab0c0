/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the table says of the commands, for people and for the manual. */
#ifndef SNICTL_HELP_H
#define SNICTL_HELP_H

#include <stdio.h>
#include "command.h"

/** help_synopsis() - "route add NAME TARGET [--on [ADDR:]PORT]". */
void help_synopsis(const struct command *command, FILE *out);

/** mdoc_print() - the manual's generated sections (mdoc.c). */
void mdoc_print(FILE *out);

#endif
