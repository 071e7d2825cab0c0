/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Configuration files that people write, for `apply` and `check`. */
#ifndef SNICTL_CONFIG_FILE_H
#define SNICTL_CONFIG_FILE_H

#include "config.h"

/**
 * config_file_read() - read and check a file of commands.
 * @path:       "-" is standard input.
 * @ret_config: for config_done(); written only on success.
 *
 * Return: as config_parse(), or -errno for a file that cannot be read.
 */
int config_file_read(const char *path, const struct config_locals *locals,
		     struct config *ret_config, struct error *error);

/**
 * config_file_slurp() - all bytes of a file or stream.
 * @ret_text: @ret_length bytes and a NUL; to be freed.
 * Return: 0 or -errno, without a sentence.
 */
int config_file_slurp(int fd, char **ret_text, size_t *ret_length);

#endif
