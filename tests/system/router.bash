# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # set by common.bash
# What the tests share that have one agent for the whole file. Its tests run
# one after the other, and each begins with routes().

# file_lab [OPTION...] - of `netlab up`: the file's lab; in setup_file.
file_lab() {
	export BATS_NO_PARALLELIZE_WITHIN_FILE=true
	lab_up "$@"
}

# routes - make the routes of standard input, one a line as in `snictl save`;
# settings and listeners go back to their defaults, unless lines say otherwise.
routes() {
	local rows
	rows=$(cat)
	[[ $rows == *'listen add'* ]] || rows="listen add 443"$'\n'$rows
	snictl apply - <<<"$rows" >/dev/null
	log_from=$(stat -c %s "$agent_log")
}

# ---- what became of a flow --------------------------------------------------

# news - what the agent has logged since routes().
news() {
	tail -c "+$((log_from + 1))" "$agent_log"
}

# in_order WORDS - a regular expression for a line with these words in that
# order, whatever stands between; each word is a regular expression.
in_order() {
	printf '(^| )%s( |$)' "${1// /( .*)? }"
}

# flow_line WORDS - the lines of flows that have ended, with WORDS.
flow_line() {
	news | grep '^flow ' | grep -E -- "$(in_order "$1")"
}

# wait_for_flow WORDS - until there is such a line; prints it.
wait_for_flow() {
	wait_until flow_line "$1" || {
		news
		return 1
	}
}

# has_phase PHASE - the flow is there.
has_phase() {
	snictl flow list --json | jq -e --arg phase "$1" '.[0].phase == $phase'
}

# spliced_are COUNT - so many flows are.
spliced_are() {
	(($(snictl flow list --json |
		jq '[.[] | select(.phase == "spliced")] | length') == $1))
}

# tracks_nothing - the router's conntrack is empty.
tracks_nothing() {
	[[ $(lab_exec router cat /proc/sys/net/netfilter/nf_conntrack_count) == 0 ]]
}

# counter PATH - of `snictl stats`, such as outcomes.malformed.
counter() {
	snictl stats --json | jq -e --arg path "$1" 'getpath($path / ".")'
}

# counter_is PATH VALUE
counter_is() {
	[[ $(counter "$1") == "$2" ]]
}

# ---- peer.py ----------------------------------------------------------------

# client [HOST] - run the peer.py script on standard input, in "client".
client() {
	{
		printf 'from peer import *\n'
		cat
	} | SNICTL=$build/snictl lab_exec "${1:-client}" python3 -
}

# start_peer HOST TAG - peer.py's backend.
start_peer() {
	lab_start --log "peer-$1.log" "$1" \
		"$BATS_TEST_DIRNAME/peer.py" serve "$2"
	wait_until grep -qx ready "$lab_path/log/peer-$1.log"
}

# needs_splice - skip the test where that data path is off.
needs_splice() {
	[[ $(path_of splice on) == true ]] ||
		skip "the data path is off: $(path_of splice why)"
}

# path_of NAME KEY - of a data path, in `snictl status`.
path_of() {
	snictl status --json | jq -r --arg name "$1" --arg key "$2" \
		'.datapaths[] | select(.name == $name)[$key]'
}
