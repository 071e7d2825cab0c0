/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs and what is pinned: their maps by name, not their constants and
 * variables, of which each object has its own. */
#ifndef SNICTL_STORE_OBJECT_H
#define SNICTL_STORE_OBJECT_H

#include <stddef.h>
#include <stdint.h>
#include "store.h"

struct bpf_object;

/**
 * store_object_hash() - tells programs apart before they are loaded.
 * @elf: of the object, @size bytes.
 */
uint64_t store_object_hash(const void *elf, size_t size);

/**
 * store_object_reuse() - let an object that is not loaded yet have the pinned
 * maps.
 * @some: those that there are; the rest will be new.
 * Return: 0 or -errno; -ENOENT: a map is not pinned, and not @some.
 */
int store_object_reuse(const struct store *store, struct bpf_object *object,
		       bool some);

/** store_object_pin() - pin those maps that are not. Return: 0 or -errno. */
int store_object_pin(const struct store *store, struct bpf_object *object);

#endif
