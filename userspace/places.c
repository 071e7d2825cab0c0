// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "places.h"

#include <errno.h>
#include <stdlib.h>

int places_open(struct places *ret_places, uint32_t size, const bool *taken)
{
	uint32_t *free = calloc(size, sizeof(*free));

	if (!free)
		return -ENOMEM;
	*ret_places = (struct places){.free = free};
	pthread_mutex_init(&ret_places->lock, NULL);
	for (uint32_t i = 0; i < size; i++) {
		if (!taken[i])
			free[ret_places->count++] = i + 1;
	}
	return 0;
}

void places_close(struct places *places)
{
	free(places->free);
	*places = (struct places){.count = 0};
}

uint32_t places_take(struct places *places)
{
	uint32_t number = 0;

	pthread_mutex_lock(&places->lock);
	if (places->count)
		number = places->free[--places->count];
	pthread_mutex_unlock(&places->lock);
	return number;
}

void places_give(struct places *places, uint32_t number)
{
	pthread_mutex_lock(&places->lock);
	places->free[places->count++] = number;
	pthread_mutex_unlock(&places->lock);
}
