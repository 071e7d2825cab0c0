// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

/*
 * Sending costs nothing and checking is one memcmp(), because streams are
 * cut out of a table of random bytes: each block of a stream begins at a
 * place of its own, so neither a shift nor an exchange of whole blocks goes
 * unseen (odds 1 in TABLE_BYTES a block).
 */
#define TABLE_BYTES (1u << 20)

static uint8_t table[TABLE_BYTES + PATTERN_BLOCK];

/* The finaliser of splitmix64. */
uint64_t pattern_mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + (b + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void pattern_init(void)
{
	for (size_t i = 0; i < sizeof(table); i++)
		table[i] = (uint8_t)pattern_mix(0x736e6963746cULL, i);
}

uint64_t pattern_key(uint64_t seed, uint64_t id, enum direction direction)
{
	return pattern_mix(pattern_mix(seed, id), direction);
}

const uint8_t *pattern_at(uint64_t key, uint64_t offset, size_t *ret_run)
{
	uint64_t begin = pattern_mix(key, offset / PATTERN_BLOCK);
	size_t inside = offset % PATTERN_BLOCK;

	*ret_run = PATTERN_BLOCK - inside;
	return table + begin % TABLE_BYTES + inside;
}
