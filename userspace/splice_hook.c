// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_hook.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cleanup.h"
#include "interface.h"

/* Linux 6.6; the headers of Debian 12 are older. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define PIN_NAME_SIZE 24

static void pin_name(char way, int index, char name[PIN_NAME_SIZE])
{
	snprintf(name, PIN_NAME_SIZE, "splice_%c_%d", way, index);
}

/* Behind the edge's own, which is put before all others: who is banned is
 * dropped before he is forwarded. */
static int attach(int program, int index, unsigned type)
{
	union bpf_attr attributes = {0};
	long link;

	attributes.link_create.prog_fd = (__u32)program;
	attributes.link_create.target_ifindex = (__u32)index;
	attributes.link_create.attach_type = type;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attributes,
		       sizeof(attributes));
	return link < 0 ? -errno : (int)link;
}

/*
 * The program of the pinned link, if that is to this very interface: not to one
 * that had its number before, and not taken away by somebody.
 * Return: its id, 0: none.
 */
static __u32 program_there(int link, int index)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);

	/* The interface comes first in the links of TCX too. */
	if (bpf_obj_get_info_by_fd(link, &info, &size) ||
	    info.xdp.ifindex != (__u32)index)
		return 0;
	return info.prog_id;
}

static bool is_there(const struct store *store, char way, int index)
{
	char name[PIN_NAME_SIZE];
	AUTO_FD link = -1;

	pin_name(way, index, name);
	return !store_get(store, name, &link) && program_there(link, index);
}

static __u32 program_id(int program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) ? 0 : info.id;
}

/* Return: 1: it had to be attached, 0: it hangs there, -errno. */
static int sync_way(const struct store *store, int program, int index, char way,
		    unsigned type)
{
	char name[PIN_NAME_SIZE];
	AUTO_FD link = -1;
	__u32 there = 0;
	int result;

	pin_name(way, index, name);
	if (!store_get(store, name, &link))
		there = program_there(link, index);
	if (there && there == program_id(program))
		return 0;
	if (there)
		return bpf_link_update(link, program, NULL) ? -errno : 0;
	cleanup_fd(&link);
	link = attach(program, index, type);
	if (link < 0)
		return link;
	result = store_pin(store, link, name);
	return result ? result : 1;
}

static void remove_stale(const struct store *store, const char *name,
			 void *context)
{
	const struct interfaces *list = context;
	char way;
	int index;

	if (sscanf(name, "splice_%c_%d", &way, &index) != 2)
		return;
	for (size_t i = 0; i < list->count; i++) {
		if (list->row[i].index == index)
			return;
	}
	store_unpin(store, name);
}

static int refuse(const struct interface *at, int result, struct error *error)
{
	return error_set(error, EXIT_FAILED, result,
			 "flows cannot be spliced on %s: %s%s", at->name,
			 strerror(-result),
			 result == -EINVAL ? " (it needs Linux 6.6)" : "");
}

int splice_hook_sync(const struct store *store, int in, int out,
		     struct error *error)
{
	AUTO_INTERFACES list = {0};
	int result = interfaces_read(&list), count = 0;

	if (result)
		return error_set(error, EXIT_FAILED, result,
				 "the network interfaces cannot be read: %s",
				 strerror(-result));
	store_pins_visit(store, remove_stale, &list);
	for (size_t i = 0; i < list.count; i++) {
		const struct interface *at = &list.row[i];

		if (!at->ethernet)
			continue;
		/* First what keeps the stack silent. */
		result = sync_way(store, out, at->index, 'o', TCX_EGRESS);
		if (result >= 0) {
			count += result;
			result = sync_way(store, in, at->index, 'i',
					  TCX_INGRESS);
		}
		if (result < 0 && result != -ENODEV)
			return refuse(at, result, error);
		count += result > 0;
	}
	return count;
}

int splice_hook_visit(const struct store *store, splice_hook_visitor *visit,
		      void *context)
{
	AUTO_INTERFACES list = {0};
	int status = interfaces_read(&list);

	for (size_t i = 0; !status && i < list.count; i++) {
		const struct interface *at = &list.row[i];

		if (at->ethernet)
			visit(context, at->name,
			      is_there(store, 'i', at->index) &&
				      is_there(store, 'o', at->index));
	}
	return status;
}
