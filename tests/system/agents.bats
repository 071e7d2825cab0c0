#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Two agents: only with run directory, maps and state file of their own.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

setup() {
	lab_up --backends 1
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

# other COMMAND... - of the second agent.
other() {
	SNICTL_BPFFS=$other_bpffs SNICTL_RUN_DIR=$other.run \
		SNICTL_STATE=$other "$@"
}

@test "of two agents in a network namespace one splices" {
	local first=$agent second
	needs_splice
	snictl listen del 443
	other start_agent
	second=$agent
	[[ $(other path_of splice on) == false ]]
	[[ $(other path_of splice why) == *"another snictld splices in this network namespace"* ]]
	# Also with its next worker, and the other one's.
	die
	[[ $(other path_of splice on) == false ]]
	agent=$first
	die
	[[ $(path_of splice on) == true ]]
	# Until it has ended.
	stop_agent
	agent=$second
	other die
	[[ $(other path_of splice on) == true ]]
}

@test "an agent that may not splice any more keeps what it had spliced" {
	local dead
	needs_splice
	start_peer backend1 one
	routes <<<'route add a.test 198.51.100.11:443'
	SNICTL=$build/snictl lab_start --log keeps.log client python3 -c '
import os, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
from peer import *
c = spliced("192.0.2.1", "a.test", "one")
print("idle", flush=True)
sys.stdin = open("'"$lab_path"'/run/keeps.go")
sys.stdin.readline()
c.exchange(b"still here")
print("passed", flush=True)
c.expect_reset()
print("killed", flush=True)
'
	mkfifo "$lab_path/run/keeps.go"
	wait_until grep -qx idle "$lab_path/log/keeps.log"
	dead=$(worker)
	stop_agent KILL
	wait_until nobody_is "$dead"
	# Another one is the first now.
	other start_agent
	other snictl listen del 443
	start_agent
	[[ $(path_of splice on) == false ]]
	[[ $(path_of splice why) == *"another snictld splices"* ]]
	[[ $(snictl flow list --json | jq -r '.[].phase') == spliced ]]
	echo >"$lab_path/run/keeps.go"
	wait_until grep -qx passed "$lab_path/log/keeps.log"
	client <<-'END'
		c = connect("192.0.2.1").send(hello("a.test")).expect_backend("one")
		(flow,) = flows(datapath="relay")
		equal(flow["why"], "off")
		c.fin().expect_fin()
	END
	snictl flow kill --name a.test
	wait_until grep -qx killed "$lab_path/log/keeps.log"
}
