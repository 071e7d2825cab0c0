// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../userspace/addr.h"
#include "../userspace/cleanup.h"
#include "../userspace/number.h"

/* More levels of processes than anybody stacks. */
#define ANCESTORS_MAX 256
/* A daemon's process of one session has one connection, and few others. */
#define SOCKETS_MAX 64
#define TCP_ESTABLISHED 1
/* A multiplexer in a multiplexer in a multiplexer. */
#define DEPTH_MAX 3

/** struct process - one above us. */
struct process {
	int pid;
	int parent;
	uid_t user;
	char command[32];
};

static bool read_process(int pid, struct process *ret_process)
{
	char path[64], line[512];
	struct process process = {.pid = pid};
	struct stat about;
	AUTO_FILE file = NULL;
	const char *end;
	const char *begin;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file || fstat(fileno(file), &about) ||
	    !fgets(line, sizeof(line), file))
		return false;
	process.user = about.st_uid;
	/* The name may have any character in it: up to the last bracket. */
	begin = strchr(line, '(');
	end = strrchr(line, ')');
	if (!begin || !end || sscanf(end, ") %*c %d", &process.parent) != 1)
		return false;
	snprintf(process.command, sizeof(process.command), "%.*s",
		 (int)(end - begin - 1), begin + 1);
	*ret_process = process;
	return true;
}

/* Not of any daemon: whoever has snictl ban an address for him must not have
 * his own connection to that protected by it. */
static bool is_ssh(const struct process *process)
{
	return !strncmp(process->command, "sshd", 4) ||
	       !strncmp(process->command, "dropbear", 8);
}

static bool is_multiplexer(const struct process *process)
{
	return !strncmp(process->command, "tmux", 4) ||
	       !strncmp(process->command, "screen", 6);
}

static size_t sockets_of(int pid, uint64_t inodes[SOCKETS_MAX])
{
	char path[64], target[64];
	struct dirent *entry;
	size_t count = 0;
	DIR *list;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	list = opendir(path);
	while (list && count < SOCKETS_MAX && (entry = readdir(list))) {
		ssize_t length = readlinkat(dirfd(list), entry->d_name, target,
					    sizeof(target) - 1);

		if (length <= 0)
			continue;
		target[length] = '\0';
		if (sscanf(target, "socket:[%" SCNu64, &inodes[count]) == 1)
			count++;
	}
	if (list)
		closedir(list);
	return count;
}

/* The words of /proc/net/tcp are in the order of the machine. */
static bool read_peer(const char *text, struct abi_endpoint *ret_peer)
{
	size_t digits = strspn(text, "0123456789ABCDEF");
	uint8_t ip[16];
	char word[9] = "";

	if ((digits != 8 && digits != 32) || text[digits] != ':')
		return false;
	for (size_t i = 0; i < digits / 8; i++) {
		uint32_t value;

		memcpy(word, text + i * 8, 8);
		value = (uint32_t)strtoul(word, NULL, 16);
		memcpy(ip + i * 4, &value, sizeof(value));
	}
	addr_from_ip(digits == 8 ? AF_INET : AF_INET6, ip, 0, ret_peer);
	return true;
}

/** struct search - for the peers of a daemon's sockets. */
struct search {
	uint64_t inodes[SOCKETS_MAX];
	size_t inode_count;
	struct abi_endpoint *peers;
	size_t count;
	size_t most;
};

static bool is_ours(const struct search *search, uint64_t inode)
{
	for (size_t i = 0; i < search->inode_count; i++) {
		if (search->inodes[i] == inode)
			return true;
	}
	return false;
}

/* In the daemon's network namespace, which need not be ours. */
static void find_peers(struct search *search, int pid, const char *table)
{
	char path[64], line[512], remote[64];
	AUTO_FILE file = NULL;
	uint64_t inode;
	unsigned state;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	file = fopen(path, "re");
	while (file && search->count < search->most &&
	       fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %*s %63s %x %*s %*s %*s %*s %*s %" SCNu64,
			   remote, &state, &inode) == 3 &&
		    state == TCP_ESTABLISHED && is_ours(search, inode) &&
		    read_peer(remote, &search->peers[search->count]))
			search->count++;
	}
}

static void search_above(struct search *search, int pid, int depth);

/* Who sees what a terminal multiplexer shows: its server is nobody's child,
 * and its clients have the same name in front, and the same user. */
static void search_clients(struct search *search, const struct process *server,
			   int depth)
{
	size_t length = strcspn(server->command, ":");
	DIR *list = opendir("/proc");
	struct dirent *entry;
	struct process client;
	uint64_t pid;

	while (list && (entry = readdir(list))) {
		if (!number_parse(entry->d_name, 1, INT_MAX, &pid) &&
		    (int)pid != server->pid &&
		    read_process((int)pid, &client) &&
		    client.user == server->user &&
		    !strncmp(client.command, server->command, length) &&
		    strcspn(client.command, ":") == length)
			search_above(search, client.parent, depth + 1);
	}
	if (list)
		closedir(list);
}

static void search_above(struct search *search, int pid, int depth)
{
	struct process process = {.parent = pid};

	for (int i = 0; i < ANCESTORS_MAX && process.parent > 0; i++) {
		if (!read_process(process.parent, &process))
			break;
		if (is_multiplexer(&process) && depth < DEPTH_MAX)
			search_clients(search, &process, depth);
		if (!is_ssh(&process))
			continue;
		search->inode_count = sockets_of(process.pid, search->inodes);
		find_peers(search, process.pid, "tcp");
		find_peers(search, process.pid, "tcp6");
	}
}

size_t session_peers(struct abi_endpoint *ret_peers, size_t most)
{
	struct search search = {.peers = ret_peers, .most = most};

	search_above(&search, getpid(), 0);
	return search.count;
}
