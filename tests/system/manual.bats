#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# snictld.8 says what snictld does. (snictl.8 is made from the tables.)

# shellcheck disable=SC2154 # set by what is loaded
load common

setup() {
	page=$top/userspace/snictld.8
}

# section NAME - its lines.
section() {
	sed -n "/^\.Sh $1\$/,/^\.Sh /p" "$page"
}

# fields - of the log, as the manual lists them, one a line.
fields() {
	section LOG | sed -n 's/^\.It Va //p' | sed 's/ , /\n/g'
}

# a_flow - make a connection that ends, and wait for its line.
a_flow() {
	lab_exec client bash -c "exec 3<>/dev/tcp/$router4/443"
	wait_until grep client-gone "$agent_log"
}

@test "the options are those of snictld --help" {
	local listed
	listed=$("$build/snictld" --help | grep -oE -- '--[a-z-]+' | sort -u)
	[[ $(wc -l <<<"$listed") -ge 7 ]]
	assert_equal "$(section DESCRIPTION |
		sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' | sort -u)" "$listed"
}

@test "the log's fields are those of a text line, in their order" {
	lab_up
	start_agent
	run a_flow
	assert_success
	# The last, error, is only there where one happened.
	assert_equal "$(fields | sed '$d')" \
		"$(grep -oE '[a-z_]+=' <<<"$output" | tr -d =)"
	assert_equal "$(fields | tail -n 1)" error
}

@test "the keys of a JSON line are fields of the log" {
	lab_up
	snictl set log json
	start_agent
	run a_flow
	assert_success
	jq -e 'length > 10' <<<"$output"
	assert_equal "$(jq -r 'keys_unsorted[]' <<<"$output" |
		grep -vxFf <(fields))" ''
}

@test "the outcomes are those of the counters" {
	lab_up
	snictl listen del 443
	assert_equal "$(section OUTCOMES | sed -n 's/^\.It Cm //p' | sort)" \
		"$(snictl stats --json | jq -r '.outcomes | keys[]' | sort)"
}

@test "the paths are the defaults" {
	run "$build/snictld" --help
	local path
	for path in /sys/fs/bpf/snictl /run/snictl /var/lib/snictl/state; do
		assert_output --partial "($path)"
		section FILES | grep -q "^\.It Pa $path"
	done
}
