/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The words for values of the ABI, the same in CLI, log, JSON and files. */
#ifndef SNICTL_WORDS_H
#define SNICTL_WORDS_H

#include "../bpf/abi.h"

/* Each is indexed by its enum. words_proxy, words_datapath, words_log and
 * words_http end with NULL, so that a parser can walk them. */
extern const char *const words_outcome[ABI_OUTCOME_COUNT];
extern const char *const words_phase[ABI_PHASE_COUNT];
extern const char *const words_datapath[ABI_DATAPATH_COUNT + 1];
extern const char *const words_why[ABI_WHY_COUNT];
extern const char *const words_proxy[ABI_PROXY_V2 + 2];
extern const char *const words_log[ABI_LOG_JSON + 2];
extern const char *const words_edge_hook[ABI_EDGE_TC + 2];
/* How a flow ended whose outcome is "limited". */
extern const char *const words_limit[ABI_LIMIT_COUNT];
extern const char *const words_http[ABI_HTTP_COUNT + 1];

/** words_find() - index of a word in a list ended by NULL, or -1. */
int words_find(const char *const *words, const char *word);

#endif
