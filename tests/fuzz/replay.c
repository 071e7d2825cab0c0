// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* replay FILE|FOLDER...: hand every seed to a fuzzer's entry point, once, so
 * that any compiler can build a fuzzer as a test. Folders are walked whole. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#define SEED_MAX_BYTES (1 << 20)

static unsigned seeds;

static int complain(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s\n", path, what);
	return -1;
}

/* The input is an allocation of just its size: a sanitizer then sees a read
 * behind its end. */
static int replay(const char *path, size_t length)
{
	AUTO_FREE uint8_t *data = NULL;
	AUTO_FILE stream = fopen(path, "rbe");

	if (!stream)
		return complain(path, "cannot be opened");
	if (length > SEED_MAX_BYTES)
		return complain(path, "too large for a seed");
	data = malloc(length ? length : 1);
	if (!data)
		return complain(path, "no memory");
	if (fread(data, 1, length, stream) != length)
		return complain(path, "cannot be read whole");
	/* A fuzzer that finds something aborts: this names the seed. */
	printf("%s\n", path);
	fflush(stdout);
	if (LLVMFuzzerTestOneInput(data, length) != 0)
		return complain(path, "refused by the fuzzer");
	seeds++;
	return 0;
}

static int visit(const char *path, const struct stat *status, int type,
		 struct FTW *place)
{
	(void)place;
	if (type == FTW_F && S_ISREG(status->st_mode))
		return replay(path, (size_t)status->st_size);
	if (type == FTW_NS || type == FTW_DNR)
		return complain(path, "cannot be read");
	return 0;
}

int main(int count, char **paths)
{
	for (int i = 1; i < count; i++) {
		unsigned before = seeds;

		if (nftw(paths[i], visit, 16, FTW_PHYS) != 0) {
			complain(paths[i], "not replayed whole");
			return EXIT_FAILURE;
		}
		if (seeds == before) {
			complain(paths[i], "no seeds");
			return EXIT_FAILURE;
		}
	}
	if (count < 2) {
		fprintf(stderr, "usage: %s FILE|FOLDER...\n", paths[0]);
		return 2;
	}
	printf("%u seeds\n", seeds);
	return EXIT_SUCCESS;
}
