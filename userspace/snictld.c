// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* snictld, the agent: options, then the supervisor. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include "error.h"
#include "number.h"
#include "store.h"
#include "supervisor.h"
#include "words.h"

static const struct option snictld_options[] = {
	{"bpffs", required_argument, NULL, 'b'},
	{"run-dir", required_argument, NULL, 'r'},
	{"state", required_argument, NULL, 's'},
	{"workers", required_argument, NULL, 'w'},
	{"datapath", required_argument, NULL, 'd'},
	{"check", no_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static const char snictld_help[] =
	"Usage: snictld [OPTION]...\n"
	"Steers TLS connections by server name; snictl(8) sets the routes.\n"
	"\n"
	"  --bpffs DIR      folder of the pinned maps (" PATHS_BPFFS ")\n"
	"  --run-dir DIR    folder of the control socket (" PATHS_RUN_DIR ")\n"
	"  --state FILE     state file (" PATHS_STATE ")\n"
	"  --workers N      threads; one a CPU by default\n"
	"  --datapath WORD  auto, splice, sockmap or relay: for all routes\n"
	"                   that name none\n"
	"  --check          say whether it could start, and end\n"
	"  --help, --version\n";

static unsigned snictld_cpus(void)
{
	cpu_set_t set;
	int count = 1;

	if (!sched_getaffinity(0, sizeof(set), &set))
		count = CPU_COUNT(&set);
	return count > ABI_THREADS_MAX ? ABI_THREADS_MAX : (unsigned)count;
}

static int snictld_usage(const char *option, const char *value,
			 const char *wanted)
{
	fprintf(stderr, "snictld: --%s \"%s\": %s\n", option, value, wanted);
	return EXIT_USAGE;
}

/* The supervisor of another version reads the line. */
static int snictld_check(const struct paths *paths)
{
	AUTO_STORE store = STORE_NONE;
	struct error error;
	int result = store_open(paths, STORE_READ, &store, &error);

	/* Where there are no maps it makes them. */
	if (result && result != -ENOENT) {
		fprintf(stderr, "snictld: %s\n", error.text);
		return (int)error.status;
	}
	store_close(&store);
	puts("snictld " SNICTL_VERSION " can start");
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct worker_options options = {.threads = snictld_cpus()};
	bool check = false;
	uint64_t number;
	int letter, word;

	paths_init(&options.paths);
	while ((letter = getopt_long(argc, argv, "", snictld_options, NULL)) >=
	       0) {
		switch (letter) {
		case 'b':
			options.paths.bpffs = optarg;
			break;
		case 'r':
			options.paths.run_dir = optarg;
			break;
		case 's':
			options.paths.state = optarg;
			break;
		case 'w':
			if (number_parse(optarg, 1, ABI_THREADS_MAX, &number))
				return snictld_usage("workers", optarg,
						     "a number from 1 to 64");
			options.threads = (unsigned)number;
			break;
		case 'd':
			word = words_find(words_datapath, optarg);
			if (word < 0)
				return snictld_usage("datapath", optarg,
						     "auto, splice, sockmap "
						     "or relay");
			options.datapath = (enum abi_datapath)word;
			break;
		case 'c':
			check = true;
			break;
		case 'h':
			fputs(snictld_help, stdout);
			return EXIT_DONE;
		case 'V':
			puts("snictld " SNICTL_VERSION);
			return EXIT_DONE;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "snictld: \"%s\": unknown argument\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return check ? snictld_check(&options.paths)
		     : supervisor_run(&options, argv);
}
