// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store_object.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include "cleanup.h"

uint64_t store_object_hash(const void *elf, size_t size)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES];
	uint64_t hash;

	crypto_shorthash((uint8_t *)&hash, elf, size, key);
	return hash;
}

int store_object_reuse(const struct store *store, struct bpf_object *object,
		       bool some)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		AUTO_FD pinned = -1;
		int status;

		if (bpf_map__is_internal(map))
			continue;
		status = store_get(store, bpf_map__name(map), &pinned);
		if (status == -ENOENT && some)
			continue;
		if (!status)
			status = bpf_map__reuse_fd(map, pinned);
		if (status)
			return status;
	}
	return 0;
}

int store_object_pin(const struct store *store, struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		AUTO_FD pinned = -1;
		int status;

		if (bpf_map__is_internal(map))
			continue;
		status = store_get(store, bpf_map__name(map), &pinned);
		if (status == -ENOENT)
			status = store_pin(store, bpf_map__fd(map),
					   bpf_map__name(map));
		if (status)
			return status;
	}
	return 0;
}
