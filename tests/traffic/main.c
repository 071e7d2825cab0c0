// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage_text[] =
	"traffic serve --listen ADDR:PORT [OPTION...]\n"
	"traffic connect --to ADDR:PORT [OPTION...]\n"
	"Both may name several ends; [IPv6]:PORT. Exit status 0: every byte of\n"
	"every connection was right, and there was at least one.\n"
	"\n"
	"connect: what is sent\n"
	"  --shape LIST      echo down up both immediate client-fin server-fin\n"
	"                    client-reset server-reset client-stall\n"
	"                    server-stall bytes eager burst idle, or all (but\n"
	"                    idle); each connection takes one of them (echo)\n"
	"  --size N[-M]      bytes each way, or unlimited (65536)\n"
	"  --message N       bytes of a message of echo and idle (1024)\n"
	"  --reset-at N      offset of a reset (any, up to the size)\n"
	"  --stall MS        how long a stalled reader stalls; `signal`: until\n"
	"                    SIGUSR1, `parked` is printed when all do (200)\n"
	"  --park SECONDS    send the SIGUSR1 to itself so long after that\n"
	"  --chunk N         bytes a segment, for echo, down, up and both\n"
	"  --pace US         wait up to so long before each segment of these\n"
	"connect: how many\n"
	"  --connections N   in all (1; without end if --seconds is given)\n"
	"  --concurrency N   at once (64)\n"
	"  --rate N          begin at most so many a second\n"
	"  --seconds N[.N]   begin none after that, end the unlimited\n"
	"  --seed N          same seed, same shapes, sizes and bytes (1)\n"
	"connect: the ClientHello\n"
	"  --name LIST       server names, taken in turn\n"
	"  --name-last       server_name is the last extension\n"
	"  --alpn LIST       protocols\n"
	"  --hello-bytes N   pad the message to that size, at most 65536\n"
	"  --records N       spread it over so many TLS records\n"
	"  --segment N       bytes a TCP segment\n"
	"  --segment-pace US wait up to so long before each\n"
	"  --bind ADDR       from this address\n"
	"  --send-proxy v1|v2 --proxy-source ADDR:PORT\n"
	"                    --proxy-destination ADDR:PORT\n"
	"serve\n"
	"  --expect-proxy off|v1|v2  with the client's address and port (off)\n"
	"  --any-source      the addresses in it are not compared\n"
	"  --expect-name LIST  any other server name is a failure\n"
	"  --connections N   end after so many (at SIGTERM)\n"
	"  --congestion NAME congestion control (the network namespace's)\n"
	"both\n"
	"  --processes N     share the connections; no --connections or --rate then (1)\n"
	"  --ready-fd N      where to write `ready` or `parked` (1, connect: 2)\n"
	"  --greeting N      the server sends so many bytes at once (0)\n"
	"  --answer N        it sends them when the hello has come, and clients\n"
	"                    send nothing before that\n"
	"  --timeout SECONDS fail what makes no progress (30)\n";

static void usage_error(const char *what, const char *value)
{
	fprintf(stderr, "traffic: %s \"%s\"; see traffic help\n", what, value);
	exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > max)
		usage_error("no number in range:", text);
	return value;
}

/* Return: nanoseconds. */
static int64_t duration(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*text < '0' || *text > '9' || *end || !(seconds <= 86400))
		usage_error("no seconds in range:", text);
	return (int64_t)(seconds * (double)NS_PER_S);
}

static void endpoint(const char *text, bool port_wanted,
		     struct sockaddr_storage *ret_end)
{
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = port_wanted ? strrchr(text, ':') : NULL;
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	const char *begin = text;
	in_port_t port = 0;

	if ((port_wanted && !colon) || length >= sizeof(host))
		usage_error("no ADDR:PORT:", text);
	if (colon)
		port = htons((uint16_t)number(colon + 1, 65535));
	if (*begin == '[' && length > 2) {
		begin++;
		length -= 2;
	}
	memcpy(host, begin, length);
	host[length] = '\0';
	memset(ret_end, 0, sizeof(*ret_end));
	if (inet_pton(AF_INET6, host, &ipv6.sin6_addr) == 1) {
		ipv6.sin6_port = port;
		memcpy(ret_end, &ipv6, sizeof(ipv6));
	} else if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1) {
		ipv4.sin_port = port;
		memcpy(ret_end, &ipv4, sizeof(ipv4));
	} else {
		usage_error("no address:", text);
	}
}

static void add_end(struct options *options, const char *text)
{
	if (options->end_count == LIST_MAX)
		usage_error("too many:", text);
	endpoint(text, true, &options->ends[options->end_count++]);
}

/* Points into @text. */
static unsigned list(char *text, char **ret_words)
{
	unsigned count = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (count == LIST_MAX || strlen(word) > 253)
			usage_error("too long:", word);
		ret_words[count++] = word;
	}
	return count;
}

static void sizes(struct options *options, char *text)
{
	char *dash = strchr(text, '-');

	if (!strcmp(text, "unlimited")) {
		options->size_min = options->size_max = UNLIMITED;
		return;
	}
	if (dash)
		*dash = '\0';
	options->size_min = number(text, 1ULL << 50);
	options->size_max =
		dash ? number(dash + 1, 1ULL << 50) : options->size_min;
	if (options->size_max < options->size_min)
		usage_error("the smaller size comes first:", text);
}

static int proxy_version(const char *text)
{
	if (!strcmp(text, "off"))
		return 0;
	if (strcmp(text, "v1") != 0 && strcmp(text, "v2") != 0)
		usage_error("off, v1 or v2:", text);
	return text[1] - '0';
}

static void place(const char *text, struct place *ret_place)
{
	struct sockaddr_storage end;

	endpoint(text, true, &end);
	place_from_sockaddr(&end, ret_place);
}

static void parse_traffic(struct options *options, char which, char *value)
{
	switch (which) {
	case 's':
		options->shapes = shape_parse(value);
		if (!options->shapes)
			usage_error("unknown shape in", value);
		break;
	case 'z':
		sizes(options, value);
		break;
	case 'm':
		options->message = (uint32_t)number(value, 1 << 30);
		break;
	case 'x':
		options->reset_at = number(value, 1ULL << 50);
		break;
	case 'w':
		options->stall_ms = !strcmp(value, "signal")
					    ? UNTIL_RELEASE
					    : (uint32_t)number(value, 3600000);
		break;
	case 'k':
		options->park_seconds = (int64_t)number(value, 86400);
		break;
	case 'n':
		options->connections = number(value, UINT64_MAX);
		break;
	case 'c':
		options->concurrency = number(value, 1 << 20);
		break;
	case 't':
		options->duration_ns = duration(value);
		break;
	case 'd':
		options->seed = number(value, UINT64_MAX);
		break;
	case 'e':
		options->rate = number(value, 1000000);
		break;
	case 'C':
		options->chunk = (uint32_t)number(value, PATTERN_BLOCK);
		break;
	case 'p':
		options->pace_us = (uint32_t)number(value, 60000000);
		break;
	}
}

static void parse_preface(struct options *options, char which, char *value)
{
	switch (which) {
	case 'N':
		options->name_count = list(value, options->names);
		break;
	case 'L':
		options->name_last = true;
		break;
	case 'A':
		options->alpn_count = list(value, options->alpn);
		break;
	case 'B':
		options->hello_bytes = number(value, 65536);
		break;
	case 'R':
		options->records = number(value, 65536);
		break;
	case 'S':
		options->segment = (uint32_t)number(value, 65536);
		break;
	case 'W':
		options->segment_pace_us = (uint32_t)number(value, 1000000);
		break;
	case 'P':
		options->proxy_version = proxy_version(value);
		break;
	case 'F':
		place(value, &options->proxy_source);
		break;
	case 'T':
		place(value, &options->proxy_destination);
		break;
	case 'Y':
		options->any_source = true;
		break;
	}
}

static void parse_ends(struct options *options, char which, char *value)
{
	switch (which) {
	case 'l':
		add_end(options, value);
		break;
	case 'b':
		endpoint(value, false, &options->bind_to);
		break;
	case 'a':
		options->congestion = value;
		break;
	case 'g':
	case 'q':
		options->greeting = (uint32_t)number(value, PATTERN_BLOCK);
		options->answer = which == 'q';
		break;
	case 'f':
		options->processes = number(value, PROCESSES_MAX);
		break;
	case 'o':
		options->timeout_seconds = (int64_t)number(value, 86400);
		break;
	case 'r':
		options->ready_fd = (int)number(value, 1 << 20);
		break;
	}
}

static const struct option connect_options[] = {
	{"to", required_argument, NULL, 'l'},
	{"shape", required_argument, NULL, 's'},
	{"size", required_argument, NULL, 'z'},
	{"message", required_argument, NULL, 'm'},
	{"reset-at", required_argument, NULL, 'x'},
	{"stall", required_argument, NULL, 'w'},
	{"park", required_argument, NULL, 'k'},
	{"connections", required_argument, NULL, 'n'},
	{"concurrency", required_argument, NULL, 'c'},
	{"rate", required_argument, NULL, 'e'},
	{"seconds", required_argument, NULL, 't'},
	{"chunk", required_argument, NULL, 'C'},
	{"pace", required_argument, NULL, 'p'},
	{"seed", required_argument, NULL, 'd'},
	{"name", required_argument, NULL, 'N'},
	{"name-last", no_argument, NULL, 'L'},
	{"alpn", required_argument, NULL, 'A'},
	{"hello-bytes", required_argument, NULL, 'B'},
	{"records", required_argument, NULL, 'R'},
	{"segment", required_argument, NULL, 'S'},
	{"segment-pace", required_argument, NULL, 'W'},
	{"bind", required_argument, NULL, 'b'},
	{"send-proxy", required_argument, NULL, 'P'},
	{"proxy-source", required_argument, NULL, 'F'},
	{"proxy-destination", required_argument, NULL, 'T'},
	{"greeting", required_argument, NULL, 'g'},
	{"answer", required_argument, NULL, 'q'},
	{"processes", required_argument, NULL, 'f'},
	{"timeout", required_argument, NULL, 'o'},
	{"ready-fd", required_argument, NULL, 'r'},
	{0}};

static const struct option serve_options[] = {
	{"listen", required_argument, NULL, 'l'},
	{"expect-proxy", required_argument, NULL, 'P'},
	{"any-source", no_argument, NULL, 'Y'},
	{"expect-name", required_argument, NULL, 'N'},
	{"connections", required_argument, NULL, 'n'},
	{"congestion", required_argument, NULL, 'a'},
	{"greeting", required_argument, NULL, 'g'},
	{"answer", required_argument, NULL, 'q'},
	{"processes", required_argument, NULL, 'f'},
	{"timeout", required_argument, NULL, 'o'},
	{"ready-fd", required_argument, NULL, 'r'},
	{0}};

static void check_options(struct options *options)
{
	if (!options->end_count)
		usage_error(options->client ? "--to is missing"
					    : "--listen is missing",
			    "");
	if (options->processes > 1 && (options->connections || options->rate))
		usage_error("--processes does not go with",
			    "--connections, --rate");
	if (options->processes > 1 && options->client && !options->duration_ns)
		usage_error("--processes needs", "--seconds");
	if (!options->connections)
		options->connections = options->client && !options->duration_ns
					       ? 1
					       : UINT64_MAX;
	if (!options->message || !options->records || !options->concurrency ||
	    !options->processes)
		usage_error("at least 1, not", "0");
	if (options->processes > options->concurrency)
		usage_error("--processes are at most", "--concurrency");
	if (options->size_max == UNLIMITED &&
	    (!options->duration_ns ||
	     options->shapes & ~shape_parse("echo,down,up,both")))
		usage_error("--size unlimited needs --seconds and a shape of",
			    "echo,down,up,both");
	if (options->client && options->proxy_version &&
	    (!options->proxy_source.port || !options->proxy_destination.port))
		usage_error("--send-proxy needs", "--proxy-source and "
						  "--proxy-destination");
}

int main(int argc, char **argv)
{
	static struct options options = {.concurrency = 64,
					 .processes = 1,
					 .timeout_seconds = 30,
					 .seed = 1,
					 .size_min = 65536,
					 .size_max = 65536,
					 .reset_at = UNLIMITED,
					 .message = 1024,
					 .stall_ms = 200,
					 .records = 1};
	struct rlimit files;
	int which;

	if (argc < 2 || !strcmp(argv[1], "help") ||
	    !strcmp(argv[1], "--help")) {
		fputs(usage_text, stdout);
		return argc < 2 ? 2 : 0;
	}
	options.client = !strcmp(argv[1], "connect");
	if (!options.client && strcmp(argv[1], "serve") != 0)
		usage_error("unknown command", argv[1]);
	options.ready_fd = options.client ? 2 : 1;
	options.shapes = shape_parse("echo");
	optind = 2;
	while ((which = getopt_long(argc, argv, "",
				    options.client ? connect_options
						   : serve_options,
				    NULL)) != -1) {
		if (which == '?')
			return 2;
		parse_traffic(&options, (char)which, optarg);
		parse_preface(&options, (char)which, optarg);
		parse_ends(&options, (char)which, optarg);
	}
	if (optind < argc)
		usage_error("unexpected", argv[optind]);
	check_options(&options);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	pattern_init();
	return processes_run(&options) ? 0 : 1;
}
