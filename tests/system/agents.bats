#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Two agents: only with run directory, maps and state file of their own.

# shellcheck disable=SC2154 # set by what is loaded
load common
load survival

setup() {
	lab_up
	start_agent
	other=$lab_path/run/other
	other_bpffs=$lab_path/bpf/other
}

# refused SENTENCE OPTION... - another agent is, and says so at once.
refused() {
	local sentence=$1
	shift
	run -1 lab_exec router timeout 60 "$build/snictld" "$@"
	assert_output --partial "$sentence"
	agent_answers
}

@test "an agent that would share something with another is refused" {
	refused "already runs with the run directory $SNICTL_RUN_DIR" \
		--state "$other" --bpffs "$other_bpffs"
	refused "works with the maps in $SNICTL_BPFFS" \
		--state "$other" --run-dir "$other.run"
	refused "works with the state file $SNICTL_STATE" \
		--bpffs "$other_bpffs" --run-dir "$other.run"
}

@test "it is also when the first one's worker has died" {
	local worker
	worker=$(worker)
	kill -KILL "$worker"
	wait_until next_worker "$worker"
	refused "works with the maps in $SNICTL_BPFFS" \
		--state "$other" --run-dir "$other.run"
	refused "works with the state file $SNICTL_STATE" \
		--bpffs "$other_bpffs" --run-dir "$other.run"
}

@test "what an agent had is free when it has ended, however it did" {
	local signal
	for signal in TERM KILL; do
		stop_agent "$signal"
		start_agent
	done
}

@test "two agents with nothing in common run side by side" {
	snictl listen del 443
	SNICTL_BPFFS=$other_bpffs SNICTL_RUN_DIR=$other.run \
		SNICTL_STATE=$other start_agent
	agent_answers
	SNICTL_BPFFS=$other_bpffs SNICTL_RUN_DIR=$other.run run -0 snictl status
	assert_output --partial 'listening'
}
