// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include "abi_hash.h"
#include "cleanup.h"
#include "owner.h"
#include "store_map.h"

const struct store_map store_maps[STORE_MAP_COUNT] = {
	[STORE_META] = {ABI_MAP_META, BPF_MAP_TYPE_ARRAY, 4,
			sizeof(struct abi_meta), 1, BPF_F_MMAPABLE},
	[STORE_SETTINGS] = {ABI_MAP_SETTINGS, BPF_MAP_TYPE_ARRAY, 4,
			    sizeof(struct abi_settings), 1, BPF_F_MMAPABLE},
	[STORE_LISTENERS] = {ABI_MAP_LISTENERS, BPF_MAP_TYPE_HASH,
			     sizeof(struct abi_endpoint),
			     sizeof(struct abi_listener), ABI_LISTENERS_MAX, 0},
	[STORE_ROUTES] = {ABI_MAP_ROUTES, BPF_MAP_TYPE_ARRAY, 4, sizeof(__u64),
			  0, BPF_F_MMAPABLE},
	[STORE_ROUTE_STATS] = {ABI_MAP_ROUTE_STATS, BPF_MAP_TYPE_HASH,
			       sizeof(struct abi_route_key),
			       sizeof(struct abi_route_stats),
			       ABI_ROUTE_STATS_MAX, BPF_F_NO_PREALLOC},
	[STORE_FLOW_HOT] = {ABI_MAP_FLOW_HOT, BPF_MAP_TYPE_ARRAY, 4,
			    sizeof(struct abi_flow_hot), 0, BPF_F_MMAPABLE},
	[STORE_FLOW_COLD] = {ABI_MAP_FLOW_COLD, BPF_MAP_TYPE_ARRAY, 4,
			     sizeof(struct abi_flow_cold), 0, BPF_F_MMAPABLE},
	[STORE_NAMES] = {ABI_MAP_NAMES, BPF_MAP_TYPE_ARRAY, 4,
			 sizeof(struct abi_name), 0, BPF_F_MMAPABLE},
	[STORE_SOCKMAP_FLOWS] = {ABI_MAP_SOCKMAP_FLOWS, BPF_MAP_TYPE_ARRAY, 4,
				 sizeof(struct abi_sockmap_flow), 0,
				 BPF_F_MMAPABLE},
	[STORE_COUNTERS] = {ABI_MAP_COUNTERS, BPF_MAP_TYPE_ARRAY, 4,
			    sizeof(struct abi_counters), ABI_THREADS_MAX,
			    BPF_F_MMAPABLE},
	[STORE_BANS] = {ABI_MAP_BANS, BPF_MAP_TYPE_HASH,
			sizeof(struct abi_prefix_key), sizeof(struct abi_ban),
			ABI_BANS_MAX, BPF_F_NO_PREALLOC},
	[STORE_ALLOWED] = {ABI_MAP_ALLOWED, BPF_MAP_TYPE_LPM_TRIE,
			   sizeof(struct abi_prefix_key), sizeof(__u32),
			   ABI_ALLOWED_MAX, BPF_F_NO_PREALLOC},
	[STORE_EDGE] = {ABI_MAP_EDGE, BPF_MAP_TYPE_ARRAY, 4,
			sizeof(struct abi_edge), 1, BPF_F_MMAPABLE},
	[STORE_EDGE_RATES] = {ABI_MAP_EDGE_RATES, BPF_MAP_TYPE_LRU_HASH,
			      sizeof(struct abi_prefix_key),
			      sizeof(struct abi_rate), ABI_RATES_MAX, 0},
	[STORE_EDGE_COUNTS] = {ABI_MAP_EDGE_COUNTS, BPF_MAP_TYPE_PERCPU_ARRAY,
			       4, sizeof(struct abi_edge_counts), 1, 0},
};

/* ---- pins --------------------------------------------------------------- */

/* The kernel takes pins by path only (by descriptor from Linux 6.5 on): this
 * one stays right when somebody renames a folder above it. */
#define PIN_PATH_SIZE 64

static void pin_path(const struct store *store, const char *name,
		     char path[PIN_PATH_SIZE])
{
	snprintf(path, PIN_PATH_SIZE, "/proc/self/fd/%d/%s", store->pins, name);
}

/* Never read-only: the kernel takes VM_SHARED off a mapping of a descriptor
 * that cannot write, and then refuses to map the array. */
int store_get(const struct store *store, const char *name, int *ret_fd)
{
	char path[PIN_PATH_SIZE];
	int map;

	pin_path(store, name, path);
	map = bpf_obj_get(path);
	if (map < 0)
		return map;
	*ret_fd = map;
	return 0;
}

int store_pin(const struct store *store, int map, const char *name)
{
	static const char staged[] = "staged";
	char path[PIN_PATH_SIZE];
	int status;

	/* Left behind by a writer that died between the next two steps. */
	unlinkat(store->pins, staged, 0);
	pin_path(store, staged, path);
	status = bpf_obj_pin(map, path);
	if (status)
		return status;
	owner_give(store->pins, staged);
	if (renameat(store->pins, staged, store->pins, name))
		return -errno;
	return 0;
}

int store_unpin(const struct store *store, const char *name)
{
	return unlinkat(store->pins, name, 0) ? -errno : 0;
}

/* Names are kept first: unpinning moves what readdir() has yet to show. */
void store_pins_visit(const struct store *store,
		      void (*visit)(const struct store *store, const char *name,
				    void *context),
		      void *context)
{
	int folder = openat(store->pins, ".", O_RDONLY | O_CLOEXEC);
	DIR *list = folder < 0 ? NULL : fdopendir(folder);
	AUTO_FREE char *names = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&names, &length);
	struct dirent *entry;

	while (list && out && (entry = readdir(list))) {
		if (*entry->d_name != '.')
			fwrite(entry->d_name, strlen(entry->d_name) + 1, 1,
			       out);
	}
	if (list)
		closedir(list);
	else if (folder >= 0)
		close(folder);
	if (!out || fclose(out))
		return;
	for (const char *at = names; at < names + length; at += strlen(at) + 1)
		visit(store, at, context);
}

/* ---- folder and lock ---------------------------------------------------- */

static int refuse_right(const char *what, int value, struct error *error)
{
	return error_set(error, EXIT_FAILED, value,
			 "%s: %s: this needs root, or CAP_BPF and the right "
			 "to write there",
			 what, strerror(value));
}

/* Whether @path, or the nearest folder above it that is there, is on one. */
static bool is_on_bpffs(const char *path)
{
	AUTO_FREE char *at = strdup(path);
	struct statfs fs;

	while (at && statfs(*at ? at : ".", &fs)) {
		char *slash = strrchr(at, '/');

		/* EPERM is what bpffs says to a name with a dot in it. */
		if ((errno != ENOENT && errno != EPERM) || !*at)
			return false;
		if (slash == at)
			slash++;
		*(slash ? slash : at) = '\0';
	}
	return at && fs.f_type == BPF_FS_MAGIC;
}

static int refuse_folder(const char *path, int value, struct error *error)
{
	if (value == EACCES || value == EPERM)
		return refuse_right(path, value, error);
	if (value != ENOENT)
		return error_set(error, EXIT_NOT_LOADED, value, "%s: %s", path,
				 strerror(value));
	if (is_on_bpffs(path))
		return error_set(error, EXIT_NOT_LOADED, ENOENT,
				 "%s: nothing is loaded: start snictld, or add "
				 "a route",
				 path);
	return error_set(error, EXIT_NOT_LOADED, ENOTSUP,
			 "%s is on no bpffs: `mount -t bpf bpf /sys/fs/bpf` "
			 "mounts one",
			 path);
}

static int open_folder(const char *path, int *ret_folder, struct error *error)
{
	AUTO_FD folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (folder < 0)
		return refuse_folder(path, errno, error);
	if (fstatfs(folder, &fs) || fs.f_type != BPF_FS_MAGIC)
		return error_set(error, EXIT_NOT_LOADED, ENOTSUP,
				 "%s is on no bpffs: `mount -t bpf bpf "
				 "/sys/fs/bpf` mounts one",
				 path);
	*ret_folder = take_fd(&folder);
	return 0;
}

/* Makes @path and what is missing above it; only on a bpffs. */
static int make_folder(const char *path, struct error *error)
{
	AUTO_FREE char *copy = strdup(path);
	char *at = copy;
	int status;

	if (!copy)
		return error_set(error, EXIT_FAILED, ENOMEM, "out of memory");
	if (!is_on_bpffs(path))
		return refuse_folder(path, access(path, F_OK) ? errno : ENOENT,
				     error);
	do {
		at += strspn(at, "/");
		at += strcspn(at, "/");
		char end = *at;

		*at = '\0';
		status = mkdir(copy, 0700) && errno != EEXIST ? errno : 0;
		*at = end;
	} while (!status && *at);
	if (status == EPERM && strchr(path, '.'))
		return error_set(error, EXIT_FAILED, status,
				 "%s: names on a bpffs have no dot", path);
	return status ? refuse_folder(path, status, error) : 0;
}

int store_lock(const struct paths *paths, struct store *ret_store,
	       struct error *error)
{
	struct stat mine, named;
	int status;

	for (;;) {
		AUTO_FD folder = -1;

		status = make_folder(paths->bpffs, error);
		if (!status)
			status = open_folder(paths->bpffs, &folder, error);
		if (status)
			return status;
		while (flock(folder, LOCK_EX)) {
			if (errno != EINTR)
				return error_set(error, EXIT_FAILED, errno,
						 "%s: no lock: %s",
						 paths->bpffs, strerror(errno));
		}
		/* Who had the lock may have removed the folder. */
		if (!fstat(folder, &mine) && !stat(paths->bpffs, &named) &&
		    mine.st_ino == named.st_ino) {
			*ret_store = STORE_NONE;
			ret_store->folder = take_fd(&folder);
			return 0;
		}
	}
}

int store_trylock(const struct store *store)
{
	return flock(store->folder, LOCK_EX | LOCK_NB) ? -errno : 0;
}

void store_unlock(struct store *store)
{
	flock(store->folder, LOCK_UN);
}

/* ---- maps --------------------------------------------------------------- */

static int refuse_foreign(const char *path, const char *why,
			  struct error *error)
{
	return error_set(error, EXIT_NOT_LOADED, EPROTO,
			 "%s holds the maps of another build of snictl (%s) "
			 "and was left alone: `snictl unload` removes it",
			 path, why);
}

/* Opens a pin and makes sure that it is the map of that name. */
static int open_map(const struct store *store, const char *path,
		    enum store_map_index index, int *ret_fd,
		    uint32_t *ret_entries, struct error *error)
{
	const struct store_map *shape = &store_maps[index];
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	AUTO_FD map = -1;
	char why[64];
	int status;

	status = store_get(store, shape->name, &map);
	if (status == -EPERM || status == -EACCES)
		return refuse_right(path, -status, error);
	if (!status)
		status = bpf_obj_get_info_by_fd(map, &info, &size);
	if (status && status != -ENOENT)
		return error_set(error, EXIT_FAILED, status, "%s: map %s: %s",
				 path, shape->name, strerror(-status));
	if (status || info.type != shape->type ||
	    info.key_size != shape->key_size ||
	    info.value_size != shape->value_size ||
	    (shape->entries && info.max_entries != shape->entries)) {
		snprintf(why, sizeof(why), "its map \"%s\" is %s", shape->name,
			 status ? "missing" : "another");
		return refuse_foreign(path, why, error);
	}
	*ret_fd = take_fd(&map);
	*ret_entries = info.max_entries;
	return 0;
}

static int check_meta(const struct abi_meta *meta, const char *path,
		      struct error *error)
{
	char why[64];

	if (meta->magic == ABI_MAGIC && meta->layout_hash == ABI_LAYOUT_HASH)
		return 0;
	snprintf(why, sizeof(why), "layout %016" PRIx64 ", ours is %016" PRIx64,
		 (uint64_t)meta->layout_hash, (uint64_t)ABI_LAYOUT_HASH);
	return refuse_foreign(path, why, error);
}

/** struct attach - the opening of the maps; after a failure nothing is done. */
struct attach {
	struct store *store;
	const char *path;
	enum store_access access;
	int status;
	struct error *error;
};

/* A whole array in memory; @entries: 0, or how many it is to have. */
static void *attach_array(struct attach *attach, enum store_map_index index,
			  uint32_t *entries)
{
	int protection = attach->access == STORE_READ ? PROT_READ
						      : PROT_READ | PROT_WRITE;
	const struct store_map *shape = &store_maps[index];
	uint32_t count = 0;
	AUTO_FD map = -1;
	void *memory;

	if (!attach->status)
		attach->status = open_map(attach->store, attach->path, index,
					  &map, &count, attach->error);
	if (attach->status)
		return NULL;
	if (*entries && *entries != count) {
		attach->status = refuse_foreign(attach->path,
						"its flow maps differ in size",
						attach->error);
		return NULL;
	}
	memory = mmap(NULL, (size_t)shape->value_size * count, protection,
		      MAP_SHARED, map, 0);
	if (memory == MAP_FAILED) {
		attach->status = error_set(attach->error, EXIT_FAILED, errno,
					   "%s: map %s: %s", attach->path,
					   shape->name, strerror(errno));
		return NULL;
	}
	*entries = count;
	return memory;
}

static int attach_hash(struct attach *attach, enum store_map_index index)
{
	uint32_t entries;
	int map = -1;

	if (!attach->status)
		attach->status = open_map(attach->store, attach->path, index,
					  &map, &entries, attach->error);
	return map;
}

int store_attach(struct store *store, const char *path,
		 enum store_access access, bool fresh, struct error *error)
{
	struct attach attach = {store, path, access, 0, error};
	uint32_t one = 1, threads = ABI_THREADS_MAX, names, sockmaps;
	AUTO_FD routes = -1;

	store->meta = attach_array(&attach, STORE_META, &one);
	if (!attach.status && !fresh) {
		attach.status = check_meta(store->meta, path, error);
		store->flow_capacity = store->meta->flow_capacity;
	}
	store->settings = attach_array(&attach, STORE_SETTINGS, &one);
	store->counters = attach_array(&attach, STORE_COUNTERS, &threads);
	store->hot =
		attach_array(&attach, STORE_FLOW_HOT, &store->flow_capacity);
	store->cold =
		attach_array(&attach, STORE_FLOW_COLD, &store->flow_capacity);
	names = store_name_count(store);
	store->names = attach_array(&attach, STORE_NAMES, &names);
	sockmaps = store_sockmap_count(store);
	store->sockmap_flows =
		attach_array(&attach, STORE_SOCKMAP_FLOWS, &sockmaps);
	store->listeners = attach_hash(&attach, STORE_LISTENERS);
	store->route_stats = attach_hash(&attach, STORE_ROUTE_STATS);
	store->edge = attach_array(&attach, STORE_EDGE, &one);
	store->bans = attach_hash(&attach, STORE_BANS);
	store->allowed = attach_hash(&attach, STORE_ALLOWED);
	store->edge_rates = attach_hash(&attach, STORE_EDGE_RATES);
	store->edge_counts = attach_hash(&attach, STORE_EDGE_COUNTS);
	if (!fresh)
		routes = attach_hash(&attach, STORE_ROUTES);
	return attach.status;
}

/* Whether the folder holds the pins of another version: "v1". */
static bool other_version(const struct store *store, char ret_name[16])
{
	int folder = openat(store->folder, ".", O_RDONLY | O_CLOEXEC);
	DIR *list = folder < 0 ? NULL : fdopendir(folder);
	struct dirent *entry;
	bool found = false;

	if (!list) {
		if (folder >= 0)
			close(folder);
		return false;
	}
	while (!found && (entry = readdir(list))) {
		size_t digits = strspn(entry->d_name + 1, "0123456789");

		found = entry->d_name[0] == 'v' && digits > 0 && digits < 10 &&
			!entry->d_name[1 + digits];
		if (found)
			snprintf(ret_name, 16, "%.15s", entry->d_name);
	}
	closedir(list);
	return found;
}

/* Opens the folder of the pins and all in it. */
static int attach_pins(struct store *store, const struct paths *paths,
		       enum store_access access, struct error *error)
{
	char path[512], other[16];
	int value;

	/* What libbpf would print is the callers' to say. */
	libbpf_set_print(NULL);
	snprintf(path, sizeof(path), "%s/%s", paths->bpffs, STORE_PINS);
	store->pins = openat(store->folder, STORE_PINS,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->pins >= 0)
		return store_attach(store, path, access, false, error);
	value = errno;
	if (value != ENOENT || !other_version(store, other))
		return refuse_folder(paths->bpffs, value, error);
	return error_set(error, EXIT_NOT_LOADED, EPROTO,
			 "%s holds the maps of another version of snictl (%s) "
			 "and was left alone: `snictl unload` removes it",
			 paths->bpffs, other);
}

int store_load(struct store *store, const struct paths *paths,
	       struct error *error)
{
	return attach_pins(store, paths, STORE_WRITE, error);
}

int store_open(const struct paths *paths, enum store_access access,
	       struct store *ret_store, struct error *error)
{
	AUTO_STORE store = STORE_NONE;
	int status;

	status = open_folder(paths->bpffs, &store.folder, error);
	if (!status)
		status = attach_pins(&store, paths, access, error);
	if (status)
		return status;
	*ret_store = store;
	store = STORE_NONE;
	return 0;
}

static void unmap(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

void store_close(struct store *store)
{
	size_t flows = store->flow_capacity;

	unmap(store->hot, flows * sizeof(*store->hot));
	unmap(store->cold, flows * sizeof(*store->cold));
	unmap(store->names, store_name_count(store) * sizeof(*store->names));
	unmap(store->sockmap_flows,
	      store_sockmap_count(store) * sizeof(*store->sockmap_flows));
	unmap(store->counters, ABI_THREADS_MAX * sizeof(*store->counters));
	unmap(store->settings, sizeof(*store->settings));
	unmap(store->meta, sizeof(*store->meta));
	unmap(store->edge, sizeof(*store->edge));
	cleanup_fd(&store->bans);
	cleanup_fd(&store->allowed);
	cleanup_fd(&store->edge_rates);
	cleanup_fd(&store->edge_counts);
	cleanup_fd(&store->listeners);
	cleanup_fd(&store->route_stats);
	cleanup_fd(&store->pins);
	cleanup_fd(&store->folder);
	*store = STORE_NONE;
}
