// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * edge_bench [PREFIXES...] - what the edge costs a packet with so many banned
 * addresses (0, 1,000 and 1,000,000 by default), beside a set of nftables with
 * the same addresses in the same run, as JSON, a line each.
 *
 * Packets go over a veth pair in a network namespace of its own, to a MAC
 * address that is nobody's, so that the receiver's stack throws them away
 * right behind the hooks. What a hook costs is the difference to the same
 * packets without one, in rounds that take turns; "hit" are packets from
 * banned addresses, "miss" from others. "program_ns" is the program alone, by
 * BPF_PROG_TEST_RUN. Needs root and nft.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "../../userspace/ban_set.h"
#include "../../userspace/edge_hook.h"
#include "../../userspace/number.h"

#define ROUNDS 6
#define PACKETS 5000
#define PREFIXES_MAX ABI_BANS_MAX

struct packet {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

enum side {
	SIDE_NONE,
	SIDE_EDGE,
	SIDE_NFT,
	SIDE_COUNT
};

static struct paths paths = {"/tmp/edge_bench/bpf/snictl",
			     "/tmp/edge_bench/run", "/tmp/edge_bench/state"};
static struct packet packets[2][PACKETS];

/* splitmix64: addresses that look random and are the same in every run. */
static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15ULL;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

/* Of this thread, which also does what the receiving end has to do. */
static uint64_t spent_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void run(const char *command)
{
	if (system(command))
		errx(1, "failed: %s", command);
}

static void make_place(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		err(1, "namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    (mkdir("/tmp/edge_bench", 0700) && errno != EEXIST) ||
	    mount("bench", "/tmp/edge_bench", "tmpfs", 0, NULL) ||
	    mkdir("/tmp/edge_bench/bpf", 0700) ||
	    mount("bpf", "/tmp/edge_bench/bpf", "bpf", 0, NULL))
		err(1, "/tmp/edge_bench");
	run("ip link set lo up && ip link add one type veth peer name two && "
	    "ip link set one up && ip link set two up && "
	    "nft 'add table netdev t; add set netdev t s { type ipv4_addr; }; "
	    "add chain netdev t c "
	    "{ type filter hook ingress device two priority 0; }'");
}

/* Of 24 bits below 10.0.0.0/7: the even ones may be banned, others not. */
static uint32_t address(uint64_t number, bool banned)
{
	return htonl(0x0a000000U | ((uint32_t)(mix(number) & 0x7fffff) << 1) |
		     !banned);
}

static void make_packets(size_t prefixes)
{
	for (size_t i = 0; i < 2 * (size_t)PACKETS; i++) {
		bool hit = i < PACKETS;
		struct packet *to = &packets[hit][i % PACKETS];

		*to = (struct packet){
			.ethernet = {.h_dest = {2, 9, 9, 9, 9, 9},
				     .h_source = {2, 0, 0, 0, 0, 1},
				     .h_proto = htons(ETH_P_IP)},
			.ip = {.version = 4,
			       .ihl = 5,
			       .ttl = 64,
			       .tot_len = htons(40),
			       .protocol = IPPROTO_TCP,
			       .saddr = address(
				       mix(i) % (prefixes ? prefixes : 1), hit),
			       .daddr = htonl(0xc0000201)},
			.tcp = {.source = htons(5555),
				.dest = htons(443),
				.doff = 5,
				.syn = 1},
		};
	}
}

static void fill(struct store *store, struct ban_list *list, size_t count)
{
	struct ban_prefixes prefixes = {
		calloc(count + 1, sizeof(struct abi_prefix)), 0};
	struct error error;
	FILE *nft = popen("nft -f -", "w");
	size_t kept = 0;

	if (!prefixes.row || !nft)
		err(1, "memory");
	for (size_t i = 0; i < count; i++) {
		uint32_t ip = address(i, true);
		struct abi_prefix *row = &prefixes.row[i];

		*row = (struct abi_prefix){.family = AF_INET, .length = 32};
		memcpy(row->addr, &ip, 4);
	}
	qsort(prefixes.row, count, sizeof(*prefixes.row), ban_compare_prefixes);
	fprintf(nft, "flush set netdev t s\n");
	for (size_t i = 0; i < count; i++) {
		char text[INET_ADDRSTRLEN];

		if (kept && !ban_compare_prefixes(&prefixes.row[kept - 1],
						  &prefixes.row[i]))
			continue;
		prefixes.row[kept++] = prefixes.row[i];
		inet_ntop(AF_INET, prefixes.row[kept - 1].addr, text,
			  sizeof(text));
		fprintf(nft, "%s%s",
			kept % 4096 == 1 ? "add element netdev t s { " : ", ",
			text);
		if (kept % 4096 == 0)
			fputs(" }\n", nft);
	}
	if (kept % 4096)
		fputs(" }\n", nft);
	if (pclose(nft))
		errx(1, "nft");
	prefixes.count = kept;
	if (ban_set_replace(&paths, store, list, "bench", &prefixes, &error))
		errx(1, "%s", error.text);
	ban_prefixes_done(&prefixes);
}

static void arrange(const struct store *store, enum side side)
{
	struct error error;

	run("nft flush chain netdev t c");
	edge_hook_remove(store);
	if (side == SIDE_NFT)
		run("nft add rule netdev t c ip saddr @s drop");
	if (side == SIDE_EDGE && edge_hook_sync(store, &error))
		errx(1, "%s", error.text);
}

static double send_all(int out, bool hit)
{
	uint64_t begin = spent_ns();

	for (size_t i = 0; i < PACKETS; i++) {
		if (send(out, &packets[hit][i], sizeof(struct packet), 0) < 0)
			err(1, "send");
	}
	return (double)(spent_ns() - begin) / PACKETS;
}

static int compare(const void *a, const void *b)
{
	const double *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* The median: what else the machine does is in the mean. */
static double test_run(const struct store *store, bool hit)
{
	static double each[PACKETS];
	int program;

	if (store_get(store, "edge_tc", &program))
		return 0;
	for (size_t i = 0; i < PACKETS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options,
			    .data_in = &packets[hit][i],
			    .data_size_in = sizeof(struct packet), .repeat = 1);

		if (bpf_prog_test_run_opts(program, &options))
			err(1, "test run");
		each[i] = options.duration;
	}
	close(program);
	return median(each, PACKETS);
}

static long available_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib;
}

static void measure(const struct store *store, int out, size_t count)
{
	double cost[2][SIDE_COUNT][ROUNDS], program[2];
	double median_of[2][SIDE_COUNT];

	make_packets(count);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SIDE_COUNT; i++) {
			int side = round % 2 ? SIDE_COUNT - 1 - i : i;

			arrange(store, (enum side)side);
			for (int hit = 0; hit < 2; hit++) {
				send_all(out, hit);
				cost[hit][side][round] = send_all(out, hit);
			}
		}
	}
	for (int hit = 0; hit < 2; hit++) {
		for (int side = 0; side < SIDE_COUNT; side++)
			median_of[hit][side] = median(cost[hit][side], ROUNDS);
		program[hit] = test_run(store, hit);
	}
	printf("{\"banned\": %zu, \"miss_ns\": {\"edge\": %.0f, \"nftables\": "
	       "%.0f, \"program\": %.0f}, \"drop_total_ns\": {\"none\": %.0f, "
	       "\"edge\": %.0f, \"nftables\": %.0f}, \"program_hit_ns\": "
	       "%.0f}\n",
	       count, median_of[0][SIDE_EDGE] - median_of[0][SIDE_NONE],
	       median_of[0][SIDE_NFT] - median_of[0][SIDE_NONE], program[0],
	       median_of[1][SIDE_NONE], median_of[1][SIDE_EDGE],
	       median_of[1][SIDE_NFT], program[1]);
	fflush(stdout);
}

static int open_out(void)
{
	struct sockaddr_ll address_a = {.sll_family = AF_PACKET,
					.sll_ifindex =
						(int)if_nametoindex("one")};
	int out = socket(AF_PACKET, SOCK_RAW, 0);

	if (out < 0 ||
	    bind(out, (struct sockaddr *)&address_a, sizeof(address_a)))
		err(1, "one");
	return out;
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {"1", "1000", "1000000"};
	const char *const *sizes =
		argc > 1 ? (const char *const *)(argv + 1) : usual;
	int many = argc > 1 ? argc - 1 : 3, out;
	struct store store;
	struct ban_list list;
	struct error error;

	make_place();
	out = open_out();
	if (ban_open(&paths, &store, &list, &error))
		errx(1, "%s", error.text);
	for (int i = 0; i < many; i++) {
		long before = available_kib();
		uint64_t count;

		if (number_parse(sizes[i], 1, PREFIXES_MAX, &count))
			errx(2, "\"%s\" is no number of prefixes", sizes[i]);
		fill(&store, &list, (size_t)count);
		fprintf(stderr, "%s: both tables, MiB of all memory: %ld\n",
			sizes[i], (before - available_kib()) / 1024);
		measure(&store, out, (size_t)count);
	}
	store_close(&store);
	ban_list_done(&list);
	return 0;
}
