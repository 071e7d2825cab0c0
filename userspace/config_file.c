// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cleanup.h"

#define FIRST_READ 65536

/* Makes room for @size bytes and a NUL. */
static int make_room(char **text, size_t *room, size_t size)
{
	char *larger;

	if (size < *room)
		return 0;
	larger = realloc(*text, size + 1);
	if (!larger)
		return -ENOMEM;
	*text = larger;
	*room = size + 1;
	return 0;
}

int config_file_slurp(int fd, char **ret_text, size_t *ret_length)
{
	AUTO_FREE char *text = NULL;
	size_t length = 0, room = 0, guess = FIRST_READ;
	struct stat file;
	ssize_t got = 1;

	if (!fstat(fd, &file) && S_ISREG(file.st_mode) && file.st_size > 0)
		guess = (size_t)file.st_size + 1;
	while (got) {
		if (length + 1 >= room &&
		    make_room(&text, &room, length ? length * 2 : guess))
			return -ENOMEM;
		got = read(fd, text + length, room - 1 - length);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			length += (size_t)got;
	}
	text[length] = '\0';
	*ret_text = take_pointer(text);
	*ret_length = length;
	return 0;
}

int config_file_read(const char *path, const struct config_locals *locals,
		     struct config *ret_config, struct error *error)
{
	bool is_stdin = !strcmp(path, "-");
	const char *name = is_stdin ? "standard input" : path;
	AUTO_FREE char *text = NULL;
	AUTO_FD file = -1;
	size_t length;
	int status;

	if (!is_stdin) {
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0)
			return error_set(error, EXIT_FAILED, errno, "%s: %s",
					 name, strerror(errno));
	}
	status = config_file_slurp(is_stdin ? STDIN_FILENO : file, &text,
				   &length);
	if (status)
		return error_set(error, EXIT_FAILED, status, "%s: %s", name,
				 strerror(-status));
	return config_parse(name, text, length, locals, ret_config, error);
}
