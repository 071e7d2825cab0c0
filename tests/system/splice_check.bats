#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The agent tries at its start whether this kernel splices as it should, in
# network namespaces of its own: what that finds, in agents whose programs do
# one thing wrong (broken/), and that nothing is left of it.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

setup() {
	lab_up --backends 1
}

# finds BROKEN WHAT - of both families.
finds() {
	snictld=$build/broken/$1/snictld
	start_agent --datapath splice
	assert_equal "$(path_of splice on)" false
	run -0 path_of splice why
	assert_output --partial "this kernel fails its test: $2: "
	refute_output --partial IPv
	grep 'the data path splice is off: this kernel fails' "$agent_log"
	run -0 snictl status
	assert_line --regexp "splice +off: this kernel fails its test: $2: "
	goes_by a.test 198.51.100.11 relay off
}

# goes_by NAME ADDRESS DATAPATH WHY - a flow whose client has the target's
# family.
goes_by() {
	local dial=192.0.2.1
	[[ $2 != *:* ]] || dial=2001:db8:1::1
	[[ -e $lab_path/log/peer-backend1.log ]] || start_peer backend1 one
	routes <<<"route add $1 $2"
	client <<-END
		c = connect("$dial").send(hello("$1"))
		c.expect_backend("one")
		wait_flows(1, datapath="$3", why=$([[ $4 ]] && echo "\"$4\"" ||
			echo None))
		c.exchange(b"x" * 5000)
		c.fin().expect_fin()
	END
	wait_for_flow "name=$1 datapath=$3 end=closed"
}

# is_proved - of both families.
is_proved() {
	assert_equal "$(path_of splice on) $(path_of splice why)" 'true null'
}

@test "on: both families are proved" {
	start_agent --datapath splice
	is_proved
	goes_by a.test 198.51.100.11 splice ''
	goes_by a.test 2001:db8:2::11 splice ''
}

@test "on: proved without CAP_SYS_ADMIN too" {
	export agent_log=$lab_path/log/agent.log
	lab_start --log agent.log router setpriv \
		--bounding-set=-sys_admin "$build/snictld" --datapath splice
	wait_until agent_answers
	is_proved
}

@test "off: bytes that do not arrive" {
	finds sequence 'bytes both ways'
}

@test "off: packets without timestamps that do not arrive" {
	finds bare 'bytes both ways without timestamps'
}

@test "off: an end that is not seen" {
	finds end 'a half-close'
}

@test "off: a reset that is not seen" {
	finds reset 'a reset'
}

@test "off: bytes right behind the hello that are lost" {
	finds eager 'bytes right behind the hello'
}

@test "off: a packet of this host's own that leaves it" {
	finds silence "a packet of this host's own"
}

@test "off for IPv6 alone" {
	snictld=$build/broken/six/snictld
	start_agent --datapath splice
	assert_equal "$(path_of splice on)" true
	run -0 snictl status
	assert_line --regexp \
		'splice +on: IPv6: this kernel fails its test: bytes both ways: '
	goes_by a.test 198.51.100.11 splice ''
	goes_by a.test 2001:db8:2::11 relay off
}

# without_namespaces OPTION... - an agent that gets none.
without_namespaces() {
	export agent_log=$lab_path/log/agent.log ASAN_OPTIONS=detect_leaks=0
	lab_start --log agent.log router strace -f -o /dev/null -e trace=unshare \
		-e inject=unshare:error=EPERM "$build/snictld" "$@"
	wait_until agent_answers
}

@test "not proved: no network namespace" {
	without_namespaces --datapath splice
	assert_equal "$(path_of splice on)" true
	run -0 path_of splice why
	assert_output 'not proved: no network namespace of its own: Operation not permitted'
	grep 'the data path splice: not proved: no network namespace' "$agent_log"
	goes_by a.test 198.51.100.11 splice ''
}

# ---- auto -------------------------------------------------------------------

@test "auto: what was proved is spliced" {
	start_agent
	is_proved
	goes_by a.test 198.51.100.11 splice ''
	goes_by a.test 2001:db8:2::11 splice ''
}

@test "auto: a family that fails is relayed" {
	snictld=$build/broken/six/snictld
	start_agent
	goes_by a.test 198.51.100.11 splice ''
	goes_by a.test 2001:db8:2::11 relay off
}

@test "auto: what is not proved is relayed" {
	without_namespaces
	assert_equal "$(path_of splice on)" false
	run -0 path_of splice why
	assert_output --partial 'not proved: no network namespace of its own'
	goes_by a.test 198.51.100.11 relay ''
}

# ---- deaths -----------------------------------------------------------------

# loaded - the programs that were, by their numbers.
loaded() {
	local pin
	for pin in "$SNICTL_BPFFS"/*/splice_program_*; do
		bpftool -j prog show pinned "$pin" | jq .id
	done
}

@test "the programs are loaded once: the next worker has them" {
	local before
	start_agent --datapath splice
	before=$(loaded)
	assert_equal "$(wc -l <<<"$before")" 2
	die
	assert_equal "$(loaded)" "$before"
	goes_by a.test 198.51.100.11 splice ''
}

# crashing_agent - that dies where $SNICTL_CRASH says so.
crashing_agent() {
	mkdir "$lab_path/run/crash"
	export SNICTL_CRASH=$lab_path/run/crash
	: >"$SNICTL_CRASH/$1"
	snictld=$build/crashing/snictld
	start_agent --datapath splice
}

# agents - processes of this lab's agent.
agents() {
	grep -lszxF "SNICTL_RUN_DIR=$SNICTL_RUN_DIR" /proc/[0-9]*/environ |
		cut -d/ -f3 |
		while read -r process; do
			[[ $(readlink "/proc/$process/exe") != */snictld ]] ||
				echo "$process"
		done
}

# are COUNT
are() {
	[[ $(agents | wc -l) == "$1" ]]
}

@test "the agent dies while it tries: nothing is left" {
	local agent_log=$lab_path/log/agent.log
	export ASAN_OPTIONS=detect_leaks=0
	lab_start --log agent.log router strace -f -o /dev/null -e trace=unshare \
		-e inject=unshare:delay_enter=100000000 \
		"$build/snictld" --datapath splice
	wait_until are 3
	kill -KILL "$(pgrep -P "$started")"
	# It would give up by itself after 20 s.
	PATIENCE=15 wait_until are 0
}

@test "the worker dies while it tries: the next one tries again" {
	crashing_agent splice-trying
	[[ ! -e $SNICTL_CRASH/splice-trying ]]
	grep 'the worker died of signal 9' "$agent_log"
	is_proved
	# The main process and the worker.
	wait_until are 2
	goes_by a.test 198.51.100.11 splice ''
}

@test "what tries dies: what it has not come to is not proved" {
	crashing_agent splice-tried
	assert_equal "$(path_of splice on)" true
	run -0 path_of splice why
	assert_output --regexp '^IPv6: not proved: its process died: '
}

@test "what was proved is not tried again, until the maps are new" {
	local worker
	crashing_agent nowhere
	worker=$(snictl status --json | jq -e .agent.pid)
	: >"$SNICTL_CRASH/splice-trying"
	kill -KILL "$worker"
	wait_until is_another_than "$worker"
	is_proved
	[[ -e $SNICTL_CRASH/splice-trying ]]
	stop_agent
	snictl unload
	start_agent --datapath splice
	[[ ! -e $SNICTL_CRASH/splice-trying ]]
}

is_another_than() {
	[[ $(snictl status --json | jq -e .agent.pid) != "$1" ]]
}
