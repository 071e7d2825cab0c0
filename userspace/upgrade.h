/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The main process goes on as the program that is installed now. */
#ifndef SNICTL_UPGRADE_H
#define SNICTL_UPGRADE_H

#include "error.h"

/**
 * struct upgrade - what one program hands to the next.
 * @argv:  how it was started, and is again.
 * @asker: the CLI's connection, which waits for an answer; -1: none.
 * @old:   the program before this one, to go back to as long as this one has
 *         not shown that it serves; -1: none.
 * @why:   the next program did not serve; "": it does.
 */
struct upgrade {
	char *const *argv;
	int asker;
	int old;
	char why[512];
};

/**
 * upgrade_open() - take what the program before this one has handed over.
 * @argv: borrowed.
 */
void upgrade_open(struct upgrade *upgrade, char *const *argv);

/**
 * upgrade_check() - have the installed program say whether it could start.
 *
 * Waits for it, 10 s at most.
 *
 * Return: 0 or -errno with a sentence.
 */
int upgrade_check(const struct upgrade *upgrade, struct error *error);

/**
 * upgrade_exec() - become the installed program; all descriptors stay open.
 *
 * The caller is the only one that uses them: who shares them is gone.
 *
 * Return: only where that fails, with @why.
 */
void upgrade_exec(struct upgrade *upgrade);

/**
 * upgrade_back() - become @old again, since this one does not serve.
 * Return: only where that fails.
 */
void upgrade_back(struct upgrade *upgrade, const char *why);

/** upgrade_end() - this program serves: log it, and answer the asker. */
void upgrade_end(struct upgrade *upgrade);

/** upgrade_refuse() - log and answer that this program stays what it is. */
void upgrade_refuse(struct upgrade *upgrade, const char *why);

#endif
