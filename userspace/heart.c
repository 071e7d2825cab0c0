// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "heart.h"

#include <string.h>

static bool heart_has(const uint64_t flows[ABI_THREADS_MAX], uint64_t flow)
{
	unsigned i = 0;

	while (i < ABI_THREADS_MAX && flows[i] != flow)
		i++;
	return flow && i < ABI_THREADS_MAX;
}

void heart_blame(struct heart *heart)
{
	uint64_t before[ABI_THREADS_MAX];

	memcpy(before, heart->suspect, sizeof(before));
	for (unsigned i = 0; i < ABI_THREADS_MAX; i++) {
		uint64_t flow = atomic_load(&heart->beat[i].flow);

		heart->suspect[i] = flow;
		heart->poison[i] = heart_has(before, flow) ? flow : 0;
	}
}

bool heart_is_poison(const struct heart *heart, uint64_t flow)
{
	return heart_has(heart->poison, flow);
}

struct preface *heart_keep(struct heart *heart, unsigned index, uint64_t flow)
{
	struct preface *preface = heart->preface + index * HEART_PREFACES;
	const struct preface *end = preface + HEART_PREFACES;

	while (preface < end && preface->flow)
		preface++;
	if (preface == end)
		return NULL;
	preface->length = 0;
	preface->outbound = false;
	preface->worker = heart->worker;
	__atomic_store_n(&preface->flow, flow, __ATOMIC_RELEASE);
	return preface;
}

struct preface *heart_kept(struct heart *heart, uint64_t flow, bool outbound)
{
	struct preface *preface = heart->preface;
	const struct preface *end = preface + ABI_THREADS_MAX * HEART_PREFACES;

	while (preface < end &&
	       (preface->flow != flow || preface->outbound != outbound ||
		preface->length > HEART_PREFACE_BYTES))
		preface++;
	return preface < end ? preface : NULL;
}

bool heart_add(struct heart *heart, struct preface *preface, const void *bytes,
	       size_t length)
{
	if (length > HEART_PREFACE_BYTES - preface->length)
		return false;
	memcpy(heart_bytes(heart, preface) + preface->length, bytes, length);
	/* Whatever is said to be there is. */
	__atomic_store_n(&preface->length, preface->length + (uint32_t)length,
			 __ATOMIC_RELEASE);
	return true;
}
