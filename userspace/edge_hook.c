// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "edge_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cleanup.h"
#include "edge_dispatcher.h"
#include "edge_program.h"
#include "interface.h"
#include "setting.h"

/* Linux 6.6; the headers of Debian 12 are older. */
#define TCX_INGRESS 46
#define TCX_BEFORE (1U << 3)
/* Of our clsact filter: where it stands among others, and its name there. */
#define CLSACT_PRIORITY 1
#define CLSACT_HANDLE 0x736e
#define PIN_NAME_SIZE 24

const char *const edge_hook_words[EDGE_HOOK_COUNT] = {
	[EDGE_HOOK_NONE] = "none",
	[EDGE_HOOK_XDP] = "xdp",
	[EDGE_HOOK_DISPATCHER] = "xdp-dispatcher",
	[EDGE_HOOK_TCX] = "tc",
	[EDGE_HOOK_CLSACT] = "tc",
};
/* In the names of pins. */
static const char kind_letters[EDGE_HOOK_COUNT] = {
	[EDGE_HOOK_NONE] = '-',	      [EDGE_HOOK_XDP] = 'x',
	[EDGE_HOOK_DISPATCHER] = 'd', [EDGE_HOOK_TCX] = 't',
	[EDGE_HOOK_CLSACT] = 'c',
};

/** struct hooks - a change of hooks; the programs are loaded when needed. */
struct hooks {
	const struct store *store;
	int program[EDGE_PROGRAM_COUNT];
	struct error *error;
};

/* ---- pins --------------------------------------------------------------- */

/* "hook_", what was wished for, what it became, the interface's number. */
static const char *pin_name(char wish, enum edge_hook_kind kind, int index,
			    char name[PIN_NAME_SIZE])
{
	snprintf(name, PIN_NAME_SIZE, "hook_%c%c_%d", wish, kind_letters[kind],
		 index);
	return name;
}

/* Others may take it away, with its qdisc. */
static bool has_clsact(int index)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE,
		    .priority = CLSACT_PRIORITY);

	return !bpf_tc_query(&hook, &filter);
}

/* Whether the pin is of a link to this very interface, and not to one that
 * had its number before. */
static bool is_alive(const struct store *store, const char *name,
		     enum edge_hook_kind kind, int index)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);
	AUTO_FD pin = -1;

	if (store_get(store, name, &pin))
		return false;
	if (kind == EDGE_HOOK_CLSACT)
		return has_clsact(index);
	if (kind == EDGE_HOOK_DISPATCHER)
		return edge_dispatcher_has(index, pin);
	/* The interface comes first in the links of TCX too. */
	return !bpf_obj_get_info_by_fd(pin, &info, &size) &&
	       info.xdp.ifindex == (__u32)index;
}

static enum edge_hook_kind find(const struct store *store, int index,
				char *ret_wish)
{
	char name[PIN_NAME_SIZE];

	for (const char *wish = "xt"; *wish; wish++) {
		for (enum edge_hook_kind kind = EDGE_HOOK_XDP;
		     kind < EDGE_HOOK_COUNT; kind++) {
			pin_name(*wish, kind, index, name);
			if (!is_alive(store, name, kind, index))
				continue;
			*ret_wish = *wish;
			return kind;
		}
	}
	return EDGE_HOOK_NONE;
}

static void detach_clsact(int index)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = CLSACT_HANDLE,
		    .priority = CLSACT_PRIORITY);

	/* The qdisc stays: others may have filters there. */
	bpf_tc_detach(&hook, &filter);
}

/* A link ends with its last reference, which is the pin. The pin of a program
 * that cannot be taken away yet stays: whoever comes next may do it. */
static void detach_pin(const struct store *store, const char *name,
		       char kind_letter, int index)
{
	AUTO_FD pin = -1;

	if (kind_letter == kind_letters[EDGE_HOOK_CLSACT])
		detach_clsact(index);
	if (kind_letter == kind_letters[EDGE_HOOK_DISPATCHER] &&
	    !store_get(store, name, &pin) && edge_dispatcher_leave(index, pin))
		return;
	store_unpin(store, name);
}

static void detach(const struct store *store, char wish,
		   enum edge_hook_kind kind, int index)
{
	char name[PIN_NAME_SIZE];

	detach_pin(store, pin_name(wish, kind, index, name), kind_letters[kind],
		   index);
}

/* ---- attach ------------------------------------------------------------- */

static int attach_xdp(const struct hooks *hooks, const struct interface *to,
		      enum edge_hook_kind *ret_kind, int *ret_pin)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	int link = bpf_link_create(hooks->program[EDGE_PROGRAM_XDP], to->index,
				   BPF_XDP, &options);

	*ret_kind = EDGE_HOOK_XDP;
	if (link >= 0) {
		*ret_pin = link;
		return 0;
	}
	if (link != -EBUSY && link != -EEXIST)
		return link;
	*ret_kind = EDGE_HOOK_DISPATCHER;
	return edge_program_join(hooks->store, to->index, ret_pin);
}

static int tc_program(const struct hooks *hooks, const struct interface *to)
{
	return hooks
		->program[to->ethernet ? EDGE_PROGRAM_TC : EDGE_PROGRAM_TC_IP];
}

/* libbpf of Debian 12 has no words for it yet. First of all there: what is
 * dropped here need not be looked at by others. */
static int attach_tcx(const struct hooks *hooks, const struct interface *to,
		      int *ret_link)
{
	union bpf_attr attributes = {0};
	long link;

	attributes.link_create.prog_fd = (__u32)tc_program(hooks, to);
	attributes.link_create.target_ifindex = (__u32)to->index;
	attributes.link_create.attach_type = TCX_INGRESS;
	attributes.link_create.flags = TCX_BEFORE;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attributes,
		       sizeof(attributes));
	if (link < 0)
		return -errno;
	*ret_link = (int)link;
	return 0;
}

static int attach_clsact(const struct hooks *hooks, const struct interface *to,
			 int *ret_program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = to->index,
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = tc_program(hooks, to),
		    .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int status = bpf_tc_hook_create(&hook);

	if (status && status != -EEXIST)
		return status;
	status = bpf_tc_attach(&hook, &filter);
	if (status)
		return status;
	/* The pin of the program remembers that the filter is ours. */
	*ret_program = fcntl(filter.prog_fd, F_DUPFD_CLOEXEC, 0);
	return *ret_program < 0 ? -errno : 0;
}

static int attach_tc(const struct hooks *hooks, const struct interface *to,
		     enum edge_hook_kind *ret_kind, int *ret_pin)
{
	int status = attach_tcx(hooks, to, ret_pin);

	*ret_kind = EDGE_HOOK_TCX;
	if (status != -EINVAL && status != -E2BIG)
		return status;
	*ret_kind = EDGE_HOOK_CLSACT;
	return attach_clsact(hooks, to, ret_pin);
}

static int attach(struct hooks *hooks, const struct interface *to, char wish)
{
	enum edge_hook_kind kind = EDGE_HOOK_XDP;
	char name[PIN_NAME_SIZE];
	AUTO_FD pin = -1;
	int status =
		edge_programs_get(hooks->store, hooks->program, hooks->error);

	if (status)
		return status;
	status = wish == 'x' ? attach_xdp(hooks, to, &kind, &pin) : -ENOTSUP;
	if (status && status != -ENODEV)
		status = attach_tc(hooks, to, &kind, &pin);
	if (!status)
		status = store_pin(hooks->store, pin,
				   pin_name(wish, kind, to->index, name));
	/* It went while we were at it. */
	if (status == -ENODEV)
		return 0;
	if (!status)
		return 0;
	return error_set(hooks->error, EXIT_FAILED, status,
			 "bans and limits cannot be enforced on %s: %s",
			 to->name,
			 kind == EDGE_HOOK_CLSACT && status == -EINVAL
				 ? "another filter at clsact has pref 1"
				 : strerror(-status));
}

/* ---- sync --------------------------------------------------------------- */

bool edge_hook_wanted(const struct store *store)
{
	return store->edge->bans ||
	       setting_get(store, ABI_SET_NEW_FLOWS_PER_SOURCE);
}

/* The interface's own setting, or the one for all. */
static enum abi_edge_hook set_for(const struct store *store, const char *name)
{
	const struct abi_hook *hooks = store->settings->hook;

	for (size_t i = 0; i < ABI_HOOKS_MAX && hooks[i].interface[0]; i++) {
		if (!strcmp(hooks[i].interface, name))
			return (enum abi_edge_hook)hooks[i].hook;
	}
	return (enum abi_edge_hook)setting_get(store, ABI_SET_EDGE_HOOK);
}

static char wish_for(const struct store *store, const struct interface *at)
{
	if (!at->ethernet)
		return 't';
	switch (set_for(store, at->name)) {
	case ABI_EDGE_XDP:
		return 'x';
	case ABI_EDGE_TC:
		return 't';
	case ABI_EDGE_AUTO:
		break;
	}
	return at->hardware ? 'x' : 't';
}

static int sync_one(struct hooks *hooks, const struct interface *at)
{
	char wish = wish_for(hooks->store, at), had = '-';
	enum edge_hook_kind kind = find(hooks->store, at->index, &had);
	int status;

	if (kind != EDGE_HOOK_NONE && had == wish)
		return 0;
	/* The new one first, so that no packet slips through; but a filter is
	 * replaced by its like. */
	if (kind == EDGE_HOOK_CLSACT)
		detach(hooks->store, had, kind, at->index);
	status = attach(hooks, at, wish);
	if (!status && kind != EDGE_HOOK_NONE && kind != EDGE_HOOK_CLSACT)
		detach(hooks->store, had, kind, at->index);
	return status;
}

static void remove_pin(const struct store *store, const char *name, void *keep)
{
	const struct interfaces *list = keep;
	char wish, kind;
	int index;

	if (sscanf(name, "hook_%c%c_%d", &wish, &kind, &index) != 3)
		return;
	for (size_t i = 0; list && i < list->count; i++) {
		if (list->row[i].index == index)
			return;
	}
	detach_pin(store, name, kind, index);
}

int edge_hook_sync(const struct store *store, struct error *error)
{
	struct hooks hooks = {
		.store = store, .program = {-1, -1, -1}, .error = error};
	AUTO_INTERFACES list = {0};
	int status, first = 0;

	if (!edge_hook_wanted(store)) {
		edge_hook_remove(store);
		return 0;
	}
	status = interfaces_read(&list);
	if (status)
		return error_set(error, EXIT_FAILED, status,
				 "the network interfaces cannot be read: %s",
				 strerror(-status));
	store_pins_visit(store, remove_pin, &list);
	/* One that cannot be had does not leave the others open. */
	for (size_t i = 0; i < list.count; i++) {
		status = sync_one(&hooks, &list.row[i]);
		if (status && !first)
			first = status;
	}
	for (int i = 0; i < EDGE_PROGRAM_COUNT; i++)
		cleanup_fd(&hooks.program[i]);
	return first;
}

void edge_hook_remove(const struct store *store)
{
	store_pins_visit(store, remove_pin, NULL);
}

int edge_hook_visit(const struct store *store, edge_hook_visitor *visit,
		    void *context)
{
	AUTO_INTERFACES list = {0};
	int status = interfaces_read(&list);

	for (size_t i = 0; !status && i < list.count; i++) {
		char wish = '-';
		enum edge_hook_kind kind =
			find(store, list.row[i].index, &wish);

		visit(context, list.row[i].name, kind,
		      wish == 'x'   ? EDGE_HOOK_XDP
		      : wish == 't' ? EDGE_HOOK_TCX
				    : EDGE_HOOK_NONE);
	}
	return status;
}
