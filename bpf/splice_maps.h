/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of the splice; what user space sees of them is in abi.h. */
#ifndef SNICTL_SPLICE_MAPS_H
#define SNICTL_SPLICE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi.h"

#define MS_NS 1000000

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_flow_hot);
} flow_hot SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_splice);
} splices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct abi_bucket);
} splice_tuples SEC(".maps");

/* Whoever loads a program that looks into it sets them: abi_meta.hash_key, and
 * how many buckets there are. */
const volatile __u64 tuple_key;
const volatile __u32 tuple_buckets;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ABI_SPLICE_PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} splice_ports SEC(".maps");

#endif
