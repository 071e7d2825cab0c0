// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "words.h"

#include <stddef.h>
#include <string.h>

const char *const words_outcome[ABI_OUTCOME_COUNT] = {
	[ABI_OUTCOME_PENDING] = "pending",
	[ABI_OUTCOME_ROUTED] = "routed",
	[ABI_OUTCOME_NO_SNI] = "no-sni",
	[ABI_OUTCOME_UNKNOWN_NAME] = "unknown-name",
	[ABI_OUTCOME_MALFORMED] = "malformed",
	[ABI_OUTCOME_TOO_LARGE] = "too-large",
	[ABI_OUTCOME_HELLO_TIMEOUT] = "hello-timeout",
	[ABI_OUTCOME_NOT_TLS] = "not-tls",
	[ABI_OUTCOME_REJECTED] = "rejected",
	[ABI_OUTCOME_DROPPED] = "dropped",
	[ABI_OUTCOME_CONNECT_FAILED] = "connect-failed",
	[ABI_OUTCOME_LIMITED] = "limited",
	[ABI_OUTCOME_BANNED] = "banned",
	[ABI_OUTCOME_CLIENT_GONE] = "client-gone",
	[ABI_OUTCOME_REDIRECTED] = "redirected",
	[ABI_OUTCOME_HTTP_ON_TLS] = "http-on-tls",
	[ABI_OUTCOME_TLS_ON_HTTP] = "tls-on-http",
};

const char *const words_phase[ABI_PHASE_COUNT] = {
	[ABI_PHASE_FREE] = "free",	 [ABI_PHASE_HELLO] = "hello",
	[ABI_PHASE_CONNECT] = "connect", [ABI_PHASE_PREFACE] = "preface",
	[ABI_PHASE_REQUEST] = "request", [ABI_PHASE_EXCHANGE] = "exchange",
	[ABI_PHASE_RELAY] = "relay",	 [ABI_PHASE_KERNEL] = "kernel",
	[ABI_PHASE_RETURN] = "return",	 [ABI_PHASE_REFUSE] = "refuse",
	[ABI_PHASE_ARMED] = "armed",	 [ABI_PHASE_SPLICED] = "spliced",
};

const char *const words_datapath[ABI_DATAPATH_COUNT + 1] = {
	[ABI_DATAPATH_AUTO] = "auto",
	[ABI_DATAPATH_SPLICE] = "splice",
	[ABI_DATAPATH_SOCKMAP] = "sockmap",
	[ABI_DATAPATH_RELAY] = "relay",
};

const char *const words_why[ABI_WHY_COUNT] = {
	[ABI_WHY_NONE] = "",
	[ABI_WHY_OFF] = "off",
	[ABI_WHY_REFUSED] = "refused",
	[ABI_WHY_READER] = "slow-reader",
	[ABI_WHY_FAMILY] = "other-family",
	[ABI_WHY_SLOTS] = "no-ports",
	[ABI_WHY_LATE] = "late",
	[ABI_WHY_STATE] = "ending",
	[ABI_WHY_EAGER] = "eager",
	[ABI_WHY_OPTIONS] = "tcp-options",
	[ABI_WHY_ECN] = "ecn",
	[ABI_WHY_MTU] = "mtu",
	[ABI_WHY_ROUTE] = "no-route",
	[ABI_WHY_PATH] = "long-path",
	[ABI_WHY_MEMORY] = "memory",
};

const char *const words_proxy[ABI_PROXY_V2 + 2] = {
	[ABI_PROXY_OFF] = "off",
	[ABI_PROXY_V1] = "v1",
	[ABI_PROXY_V2] = "v2",
};

const char *const words_log[ABI_LOG_JSON + 2] = {
	[ABI_LOG_OFF] = "off",
	[ABI_LOG_TEXT] = "text",
	[ABI_LOG_JSON] = "json",
};

const char *const words_edge_hook[ABI_EDGE_TC + 2] = {
	[ABI_EDGE_AUTO] = "auto",
	[ABI_EDGE_XDP] = "xdp",
	[ABI_EDGE_TC] = "tc",
};

const char *const words_limit[ABI_LIMIT_COUNT] = {
	[ABI_LIMIT_FLOWS] = "limited",
	[ABI_LIMIT_SOURCE] = "limited-flows",
	[ABI_LIMIT_PENDING] = "limited-pending",
	[ABI_LIMIT_RATE] = "limited-rate",
};

const char *const words_http[ABI_HTTP_COUNT + 1] = {
	[ABI_HTTP_ACME] = "acme",
	[ABI_HTTP_REDIRECT] = "redirect",
	[ABI_HTTP_PROXY] = "proxy",
	[ABI_HTTP_OFF] = "off",
};

int words_find(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(words[i], word))
			return i;
	}
	return -1;
}
