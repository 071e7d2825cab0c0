/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "limit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A network gives a host a whole /64 (RFC 4291 section 2.5.1). */
#define LIMIT_IPV6_BYTES 8

static void limit_prefix(const struct abi_endpoint *client, __u8 prefix[16])
{
	memset(prefix, 0, 16);
	if (client->family == AF_INET6) {
		memcpy(prefix, client->addr, LIMIT_IPV6_BYTES);
		return;
	}
	/* As IPv4-mapped, so that no IPv6 prefix is the same. */
	memset(prefix + 10, 0xff, 2);
	memcpy(prefix + 12, client->addr, 4);
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
			   uint64_t max_flows, uint64_t max_pending)
{
	__u8 prefix[16];
	uint32_t hash;
	struct limit_shard *shard;
	struct source *source;

	limit_prefix(client, prefix);
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
	if (source && ((max_flows && source->flows >= max_flows) ||
		       (max_pending && source->pending >= max_pending)))
		source = NULL;
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
