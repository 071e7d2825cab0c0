// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* snictl: the command line. Its commands are in command.c. */
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "command.h"

/* The words of files and of agents are quoted in errors: they must not steer
 * the terminal, nor make two lines of one. */
static int report(struct error *error)
{
	for (char *c = error->text; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?';
	}
	fprintf(stderr, "snictl: %s\n", error->text);
	return error->status ? (int)error->status : EXIT_FAILED;
}

/* A full disk or a broken pipe must not look like a success. */
static int flush_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	fprintf(stderr, "snictl: cannot write the output: %s\n",
		strerror(errno));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct error error = {.status = EXIT_FAILED, .text = "out of memory"};
	struct invocation call;
	int status;

	setlocale(LC_CTYPE, "");
	/* A file that may not grow is an error like that of a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	if (command_parse(argc - 1, argv + 1, &call, &error))
		return report(&error);
	status = call.command->run(&call, &error);
	if (status < 0) {
		fflush(stdout);
		return report(&error);
	}
	return flush_output() ? EXIT_FAILED : status;
}
