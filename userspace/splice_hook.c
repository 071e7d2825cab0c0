// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "splice_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
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
/* Of our clsact filters: where they stand among others, behind the edge's, and
 * their name there. */
#define CLSACT_PRIORITY 2
#define CLSACT_HANDLE 0x736e
#define PIN_NAME_SIZE 24

/** struct way - a hook of an interface; @letter: in the name of its pin. */
struct way {
	char letter;
	unsigned tcx;
	enum bpf_tc_attach_point clsact;
};

static const struct way way_in = {'i', TCX_INGRESS, BPF_TC_INGRESS};
static const struct way way_out = {'o', TCX_EGRESS, BPF_TC_EGRESS};

static void pin_name(const struct way *way, int index, char name[PIN_NAME_SIZE])
{
	snprintf(name, PIN_NAME_SIZE, "splice_%c_%d", way->letter, index);
}

static __u32 program_id(int program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &size) ? 0 : info.id;
}

/* ---- by links -------------------------------------------------------------
 */

/*
 * The program of the pinned link, if that is to this very interface: not to one
 * that had its number before, and not taken away by somebody.
 * Return: its id, 0: none.
 */
static __u32 linked_program(int link, int index)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);

	/* The interface comes first in the links of TCX too. */
	if (bpf_obj_get_info_by_fd(link, &info, &size) ||
	    info.xdp.ifindex != (__u32)index)
		return 0;
	return info.prog_id;
}

/* Behind the edge's own, which is put before all others: who is banned is
 * dropped before he is forwarded. Return: the link, or -errno. */
static int make_link(const struct way *way, int program, int index)
{
	union bpf_attr attributes = {0};
	int link;

	attributes.link_create.prog_fd = (__u32)program;
	attributes.link_create.target_ifindex = (__u32)index;
	attributes.link_create.attach_type = way->tcx;
	link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attributes,
			    sizeof(attributes));
	return link < 0 ? -errno : link;
}

static int attach_link(const struct store *store, const struct way *way,
		       int program, int index)
{
	AUTO_FD link = make_link(way, program, index);
	char name[PIN_NAME_SIZE];

	if (link < 0)
		return link;
	pin_name(way, index, name);
	return store_pin(store, link, name);
}

/* ---- by filters, before Linux 6.6 ----------------------------------------
 */

static __u32 filtering_program(const struct way *way, int index)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
		    .attach_point = way->clsact);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE,
		    .priority = CLSACT_PRIORITY);

	return bpf_tc_query(&hook, &filter) ? 0 : filter.prog_id;
}

static int attach_filter(const struct way *way, int program, int index)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
		    .attach_point = way->clsact);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program,
		    .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int status = bpf_tc_hook_create(&hook);

	return status && status != -EEXIST ? status
					   : bpf_tc_attach(&hook, &filter);
}

static void detach_filter(const struct way *way, int index)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
		    .attach_point = way->clsact);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE,
		    .priority = CLSACT_PRIORITY);

	/* The qdisc stays: others may have filters there. */
	bpf_tc_detach(&hook, &filter);
}

/* ---- either ---------------------------------------------------------------
 */

/* What a kernel says that has no such links. */
static bool is_too_old(int result)
{
	return result == -EINVAL || result == -E2BIG;
}

/* Return: 1: it had to be attached, 0: it hangs there, -ENOTSUP: the card would
 * merge what cannot be spliced, -errno. */
static int sync_way(const struct store *store, const struct way *way,
		    int program, const struct interface *at)
{
	int index = at->index;
	__u32 id = program_id(program), there = 0;
	char name[PIN_NAME_SIZE];
	AUTO_FD link = -1;
	int result;

	pin_name(way, index, name);
	if (!store_get(store, name, &link))
		there = linked_program(link, index);
	if (there && there != id)
		return bpf_link_update(link, program, NULL) ? -errno : 0;
	if (!there)
		there = filtering_program(way, index);
	if (there == id)
		return 0;
	if (!interface_forbid_lro(at->name))
		return -ENOTSUP;
	result = there ? -EINVAL : attach_link(store, way, program, index);
	if (is_too_old(result))
		result = attach_filter(way, program, index);
	return result ? result : !there;
}

int splice_hook_lend(int index, bool out, int program)
{
	const struct way *way = out ? &way_out : &way_in;
	int result = make_link(way, program, index);

	if (is_too_old(result))
		result = attach_filter(way, program, index);
	return result < 0 ? result : 0;
}

static bool is_there(const struct store *store, const struct way *way,
		     int index)
{
	char name[PIN_NAME_SIZE];
	AUTO_FD link = -1;

	pin_name(way, index, name);
	return (!store_get(store, name, &link) &&
		linked_program(link, index)) ||
	       filtering_program(way, index);
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
			 "flows cannot be spliced on %s: %s", at->name,
			 result == -EINVAL
				 ? "another filter at clsact has pref 2"
				 : strerror(-result));
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
		result = sync_way(store, &way_out, out, at);
		if (result >= 0) {
			count += result;
			result = sync_way(store, &way_in, in, at);
		}
		/* What comes and goes by such a card is relayed. */
		if (result < 0 && result != -ENODEV && result != -ENOTSUP)
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
			      is_there(store, &way_in, at->index) &&
				      is_there(store, &way_out, at->index));
	}
	return status;
}

void splice_hook_remove(void)
{
	AUTO_INTERFACES list = {0};

	if (interfaces_read(&list))
		return;
	for (size_t i = 0; i < list.count; i++) {
		detach_filter(&way_in, list.row[i].index);
		detach_filter(&way_out, list.row[i].index);
	}
}
