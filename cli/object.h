/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* JSON of what several commands print. All return new references. */
#ifndef SNICTL_OBJECT_H
#define SNICTL_OBJECT_H

#include <jansson.h>
#include <stdint.h>
#include "../bpf/abi.h"

/** object_endpoint() - "192.0.2.1:443"; null where there is none. */
json_t *object_endpoint(const struct abi_endpoint *endpoint);

/** object_text() - a string; null for NULL. */
json_t *object_text(const char *text);

/** object_time() - CLOCK_REALTIME as "2026-01-31T23:59:59Z"; null for 0. */
json_t *object_time(uint64_t realtime_ns);

#endif
