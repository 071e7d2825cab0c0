/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps and the listeners, as every reading command opens them. */
#ifndef SNICTL_READER_H
#define SNICTL_READER_H

#include "../userspace/listener.h"
#include "../userspace/paths.h"

/** struct reader - the maps, open for reading, and the listeners in them. */
struct reader {
	struct store store;
	struct listener_list listeners;
};

#define READER_NONE ((struct reader){.store = STORE_NONE})

/**
 * reader_open() - open the maps, and read the listeners.
 * @reader: READER_NONE before; for reader_close(), also after a failure.
 * Return: as store_open().
 */
int reader_open(struct reader *reader, const struct paths *paths,
		struct error *error);

/** reader_close() - let go of the maps. */
void reader_close(struct reader *reader);

/** AUTO_READER - a reader that is closed at the end of its scope. */
#define AUTO_READER __attribute__((cleanup(reader_close))) struct reader

#endif
