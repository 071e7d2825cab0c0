// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which slot packets belong to: the agent's side of a table that the programs
 * look into without a lock. An entry is one word, and is set when all of its
 * slot is. */
#include <string.h>
#include "splice.h"

/* What comes in from a side has the tuple of what goes there, turned round. */
static struct abi_tuple tuple_of(const struct abi_splice *slot,
				 enum abi_direction side)
{
	const struct abi_splice_way *way = &slot->way[!side];
	struct abi_tuple tuple = {
		.remote_port_be = way->destination_port_be,
		.local_port_be = way->source_port_be,
		.family = slot->family,
	};

	memcpy(tuple.remote, way->destination, sizeof(tuple.remote));
	memcpy(tuple.local, way->source, sizeof(tuple.local));
	return tuple;
}

static bool is_of(const struct splice *splice, __u32 entry,
		  const struct abi_tuple *tuple)
{
	uint32_t index = abi_entry_splice(entry);
	struct abi_tuple its;

	if (index >= splice->count)
		return false;
	its = tuple_of(&splice->slots[index], (enum abi_direction)(entry & 1));
	return !memcmp(&its, tuple, sizeof(its));
}

bool splice_tuple_put(struct splice *splice, uint32_t index,
		      enum abi_direction side)
{
	const struct abi_tuple tuple = tuple_of(&splice->slots[index], side);
	__u64 hash = abi_tuple_hash(&tuple, splice->tuple_key);
	__u32 *entries =
		splice->buckets[abi_tuple_bucket(hash, splice->bucket_count)]
			.entry;
	__u32 *place = NULL;

	pthread_mutex_lock(&splice->tuple_lock);
	for (unsigned i = 0; i < ABI_BUCKET_ENTRIES; i++) {
		__u32 entry = __atomic_load_n(&entries[i], __ATOMIC_RELAXED);

		if (!entry && !place)
			place = &entries[i];
		if (!entry || !is_of(splice, entry, &tuple))
			continue;
		place = &entries[i];
		break;
	}
	if (place)
		__atomic_store_n(place, abi_tuple_entry(hash, index, side),
				 __ATOMIC_RELEASE);
	pthread_mutex_unlock(&splice->tuple_lock);
	return place;
}

void splice_tuple_remove(struct splice *splice, uint32_t index,
			 enum abi_direction side)
{
	const struct abi_tuple tuple = tuple_of(&splice->slots[index], side);
	__u64 hash = abi_tuple_hash(&tuple, splice->tuple_key);
	__u32 own = abi_tuple_entry(hash, index, side);
	__u32 *entries =
		splice->buckets[abi_tuple_bucket(hash, splice->bucket_count)]
			.entry;

	pthread_mutex_lock(&splice->tuple_lock);
	for (unsigned i = 0; i < ABI_BUCKET_ENTRIES; i++) {
		if (__atomic_load_n(&entries[i], __ATOMIC_RELAXED) == own)
			__atomic_store_n(&entries[i], 0, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&splice->tuple_lock);
}
