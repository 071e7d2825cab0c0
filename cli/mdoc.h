/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The manual's part that is made from the tables. */
#ifndef SNICTL_MDOC_H
#define SNICTL_MDOC_H

#include <stdio.h>

/** mdoc_print() - the manual's generated sections (mdoc.c). */
void mdoc_print(FILE *out);

#endif
