// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "reader.h"

#include <string.h>

int reader_open(struct reader *reader, const struct paths *paths,
		struct error *error)
{
	int ret = store_open(paths, STORE_READ, &reader->store, error);

	if (ret)
		return ret;
	ret = listener_list_read(&reader->store, &reader->listeners, NULL);
	if (ret)
		return error_set(error, EXIT_FAILED, ret,
				 "cannot read the listeners: %s",
				 strerror(-ret));
	return 0;
}

void reader_close(struct reader *reader)
{
	store_close(&reader->store);
}
