/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Places in a map that only some flows need, and which of them are free. Whose
 * a place is only the flows' records say: it is free for others once none names
 * it, so an agent that dies leaves none taken.
 */
#ifndef SNICTL_PLACES_H
#define SNICTL_PLACES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct places - the free ones, as numbers from 1.
 * @free: @count of them, in room for all.
 */
struct places {
	uint32_t *free;
	uint32_t count;
	pthread_mutex_t lock;
};

/**
 * places_open() - make the list.
 * @size:       places of the map.
 * @taken:      by number less 1: it is not free.
 * @ret_places: for places_close().
 * Return: 0 or -ENOMEM.
 */
int places_open(struct places *ret_places, uint32_t size, const bool *taken);

/** places_close() - free the list. */
void places_close(struct places *places);

/** places_take() - any. Return: its number; 0: there is none. */
uint32_t places_take(struct places *places);

/** places_give() - it is free again. */
void places_give(struct places *places, uint32_t number);

#endif
