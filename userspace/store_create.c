// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* store.h: maps made and removed, and what they cost. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "abi_hash.h"
#include "cleanup.h"
#include "owner.h"
#include "store_map.h"

/* ---- make --------------------------------------------------------------- */

static int refuse_map(const struct store_map *shape, int value,
		      struct error *error)
{
	if (value == EPERM)
		return error_set(error, EXIT_FAILED, value,
				 "BPF maps cannot be made: this needs root, or "
				 "CAP_BPF");
	if (value == ENOSYS)
		return error_set(error, EXIT_FAILED, value,
				 "this kernel has no bpf(2) "
				 "(CONFIG_BPF_SYSCALL)");
	if (value == EINVAL && shape->flags & BPF_F_MMAPABLE)
		return error_set(error, EXIT_FAILED, value,
				 "this kernel has no memory-mapped BPF arrays "
				 "(they came with Linux 5.5)");
	if (value == ENOMEM)
		return error_set(error, EXIT_FAILED, value,
				 "no memory for the map \"%s\": `set "
				 "flow-capacity` says how large the flow maps "
				 "are",
				 shape->name);
	return error_set(error, EXIT_FAILED, value,
			 "the map \"%s\" cannot be made: %s", shape->name,
			 strerror(value));
}

int store_map_create(enum store_map_index index, uint32_t entries, int *ret_fd,
		     struct error *error)
{
	const struct store_map *shape = &store_maps[index];
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape->flags);
	int map;

	libbpf_set_print(NULL);
	map = bpf_map_create(
		shape->type, shape->name, shape->key_size, shape->value_size,
		shape->entries ? shape->entries : entries, &options);
	if (map < 0)
		return refuse_map(shape, -map, error);
	*ret_fd = map;
	return 0;
}

static int fill_meta(struct store *store, struct error *error)
{
	struct abi_meta *meta = store->meta;

	if (getrandom(meta->hash_key, sizeof(meta->hash_key), 0) !=
	    sizeof(meta->hash_key))
		return error_set(error, EXIT_FAILED, errno, "getrandom: %s",
				 strerror(errno));
	meta->magic = ABI_MAGIC;
	meta->layout_hash = ABI_LAYOUT_HASH;
	meta->flow_capacity = store->flow_capacity;
	meta->route_generation = 1;
	meta->listener_generation = 1;
	meta->next_flow_id = 1;
	meta->next_listener_id = 1;
	return 0;
}

static int remove_pins(int folder, const char *name);

static uint32_t entries_of(const struct store *store,
			   enum store_map_index index)
{
	if (index == STORE_NAMES)
		return store_name_count(store);
	if (index == STORE_SOCKMAP_FLOWS)
		return store_sockmap_count(store);
	return store->flow_capacity;
}

static int pin_all(struct store *store, struct error *error)
{
	for (unsigned i = 0; i < STORE_MAP_COUNT; i++) {
		AUTO_FD map = -1;
		int status;

		if (i == STORE_ROUTES)
			continue;
		status = store_map_create(i, entries_of(store, i), &map, error);
		if (status)
			return status;
		status = store_pin(store, map, store_maps[i].name);
		if (status)
			return error_set(error, EXIT_FAILED, status,
					 "the map \"%s\" cannot be pinned: %s",
					 store_maps[i].name, strerror(-status));
	}
	return 0;
}

int store_create(struct store *store, const struct paths *paths,
		 uint32_t flow_capacity, struct error *error)
{
	char path[512];
	int status;

	snprintf(path, sizeof(path), "%s/%s", paths->bpffs, STORE_PINS_NEW);
	remove_pins(store->folder, STORE_PINS_NEW);
	if (mkdirat(store->folder, STORE_PINS_NEW, 0700))
		return error_set(error, EXIT_FAILED, errno, "%s: %s", path,
				 strerror(errno));
	owner_give(store->folder, STORE_PINS_NEW);
	store->pins = openat(store->folder, STORE_PINS_NEW,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->pins < 0)
		return error_set(error, EXIT_FAILED, errno, "%s: %s", path,
				 strerror(errno));
	store->flow_capacity = flow_capacity;
	status = pin_all(store, error);
	if (!status)
		status = store_attach(store, path, STORE_WRITE, true, error);
	return status ? status : fill_meta(store, error);
}

int store_publish(struct store *store, const struct paths *paths,
		  struct error *error)
{
	if (!renameat(store->folder, STORE_PINS_NEW, store->folder, STORE_PINS))
		return 0;
	return error_set(error, EXIT_FAILED, errno, "%s/%s: %s", paths->bpffs,
			 STORE_PINS, strerror(errno));
}

/* ---- remove ------------------------------------------------------------- */

/* STORE_PINS, STORE_PINS_NEW, and those of other versions. */
static bool is_ours(const char *name)
{
	size_t digits = *name == 'v' ? strspn(name + 1, "0123456789") : 0;
	const char *rest = name + 1 + digits;

	return digits && (!*rest || !strcmp(rest, "_new"));
}

/*
 * Removes what @pick (NULL: all) picks of a folder, with @remove. Starts over
 * after each removal, since removing moves what readdir() has yet to show.
 */
static int remove_entries(int folder, bool (*pick)(const char *name),
			  int (*remove_one)(int folder, const char *name))
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int status = 0;

	if (!list) {
		status = -errno;
		cleanup_fd(&copy);
		return status;
	}
	while (!status && (entry = readdir(list))) {
		if (*entry->d_name == '.' || (pick && !pick(entry->d_name)))
			continue;
		status = remove_one(folder, entry->d_name);
		rewinddir(list);
	}
	closedir(list);
	return status;
}

static int remove_pin(int folder, const char *name)
{
	return unlinkat(folder, name, 0) ? -errno : 0;
}

static int remove_pins(int folder, const char *name)
{
	AUTO_FD pins = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;

	if (pins < 0)
		return -errno;
	status = remove_entries(pins, NULL, remove_pin);
	if (!status && unlinkat(folder, name, AT_REMOVEDIR))
		status = -errno;
	return status;
}

int store_remove(const struct paths *paths, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	int status;

	if (access(paths->bpffs, F_OK) && errno == ENOENT)
		return 0;
	status = store_lock(paths, &store, error);
	if (status)
		return status;
	status = remove_entries(store.folder, is_ours, remove_pins);
	/* A folder that holds more, or is a mount point, stays. */
	if (!status && rmdir(paths->bpffs) && errno != ENOTEMPTY &&
	    errno != EBUSY)
		status = -errno;
	if (status)
		return error_set(error, EXIT_FAILED, status, "%s: %s",
				 paths->bpffs, strerror(-status));
	return 0;
}

void store_discard(struct store *store)
{
	remove_pins(store->folder, STORE_PINS_NEW);
}

/* ---- cost --------------------------------------------------------------- */

static uint64_t map_memory(int map)
{
	AUTO_FILE info = NULL;
	uint64_t bytes;
	char line[256];

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", map);
	info = fopen(line, "re");
	while (info && fgets(line, sizeof(line), info)) {
		if (sscanf(line, "memlock:%" SCNu64, &bytes) == 1)
			return bytes;
	}
	return 0;
}

/* Programs and links are pinned beside them, of which there is no such line. */
static void add_memory(const struct store *store, const char *name,
		       void *context)
{
	uint64_t *bytes = context;
	AUTO_FD map = -1;

	if (!store_get(store, name, &map))
		*bytes += map_memory(map);
}

uint64_t store_memory(const struct store *store)
{
	uint64_t bytes = 0;

	store_pins_visit(store, add_memory, &bytes);
	return bytes;
}
