// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "limit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void limit_prefix(const struct abi_endpoint *client,
			 const struct limit_rules *rules, __u8 prefix[16])
{
	unsigned bits = rules->ipv6_bits;

	memset(prefix, 0, 16);
	if (client->family == AF_INET6) {
		memcpy(prefix, client->addr, 16);
	} else {
		/* As IPv4-mapped, so that no IPv6 prefix is the same. */
		memset(prefix + 10, 0xff, 2);
		memcpy(prefix + 12, client->addr, 4);
		bits = 96 + rules->ipv4_bits;
	}
	for (unsigned i = bits; i < 128; i++)
		prefix[i / 8] &= (__u8) ~(0x80 >> i % 8);
}

/* The table is private and small; a flood of sources makes chains longer
 * only as far as flows can be open, so a plain mixing function does. */
static uint32_t limit_hash(const __u8 prefix[16])
{
	uint64_t words[2];

	memcpy(words, prefix, sizeof(words));
	words[0] = (words[0] ^ words[1]) * 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(words[0] >> 32);
}

void limits_init(struct limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	for (unsigned i = 0; i < LIMIT_SHARDS; i++)
		pthread_mutex_init(&limits->shard[i].lock, NULL);
}

static struct source *limit_find(struct limit_shard *shard, unsigned bucket,
				 const __u8 prefix[16])
{
	struct source *source = shard->bucket[bucket];

	while (source && memcmp(source->prefix, prefix, 16))
		source = source->next;
	return source;
}

struct source *limit_enter(struct limits *limits,
			   const struct abi_endpoint *client,
			   const struct limit_rules *rules,
			   enum abi_limit *ret_limit)
{
	__u8 prefix[16];
	uint32_t hash;
	struct limit_shard *shard;
	struct source *source;

	limit_prefix(client, rules, prefix);
	hash = limit_hash(prefix);
	shard = &limits->shard[hash % LIMIT_SHARDS];
	hash = hash / LIMIT_SHARDS % LIMIT_BUCKETS;
	pthread_mutex_lock(&shard->lock);
	source = limit_find(shard, hash, prefix);
	if (!source) {
		source = calloc(1, sizeof(*source));
		if (source) {
			memcpy(source->prefix, prefix, sizeof(prefix));
			source->shard = (__u16)(shard - limits->shard);
			source->bucket = (__u16)hash;
			source->next = shard->bucket[hash];
			shard->bucket[hash] = source;
		}
	}
	if (!source) {
		*ret_limit = ABI_LIMIT_FLOWS;
	} else if (rules->max_flows && source->flows >= rules->max_flows) {
		*ret_limit = ABI_LIMIT_SOURCE;
		source = NULL;
	} else if (rules->max_pending &&
		   source->pending >= rules->max_pending) {
		*ret_limit = ABI_LIMIT_PENDING;
		source = NULL;
	}
	if (source) {
		source->flows++;
		source->pending++;
	}
	pthread_mutex_unlock(&shard->lock);
	return source;
}

void limit_settle(struct limits *limits, struct source *source)
{
	struct limit_shard *shard = &limits->shard[source->shard];

	pthread_mutex_lock(&shard->lock);
	source->pending--;
	pthread_mutex_unlock(&shard->lock);
}

void limit_leave(struct limits *limits, struct source *source)
{
	struct limit_shard *shard = &limits->shard[source->shard];

	pthread_mutex_lock(&shard->lock);
	if (--source->flows == 0) {
		struct source **link = &shard->bucket[source->bucket];

		while (*link != source)
			link = &(*link)->next;
		*link = source->next;
		free(source);
	}
	pthread_mutex_unlock(&shard->lock);
}
