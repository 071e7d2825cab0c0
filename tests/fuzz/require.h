/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a fuzzer states: it holds for any input, or the fuzzer aborts. */
#ifndef SNICTL_FUZZ_REQUIRE_H
#define SNICTL_FUZZ_REQUIRE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

#define REQUIRE(truth)                                                         \
	do {                                                                   \
		if (!(truth))                                                  \
			abort();                                               \
	} while (0)

#endif
