# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# What every system test begins with: `load common`.
#
# A test (in setup, or by itself) or a file (in setup_file) makes a lab of its
# own with lab_up; the teardown here removes it with all that runs in it, also
# where the test has failed, and then shows what the lab's processes said.
# Nothing has a fixed name and nothing waits for a time: wait_until waits for
# a condition, and PATIENCE only bounds what would hang.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$top/$build
netlab=$top/tools/netlab/netlab
PATIENCE=${PATIENCE:-30}
# For what is written in Python.
export PEER_PATIENCE=$PATIENCE PYTHONPATH=$top/tests/system
export PYTHONDONTWRITEBYTECODE=1
# Lines shown of each log of a lab in which a test has failed.
LOG_LINES=40
export NETLAB_IMPAIR=$build/tools/netlab/impair

bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

# ---- the lab ----------------------------------------------------------------

# lab_up [OPTION...] - make this test's (in setup_file: this file's) lab, with
# the options of `netlab up`. Sets lab and lab_path, what the programs take
# from the environment, and the addresses that clients use:
# client4 client6 router4 router6 (the public ones).
lab_up() {
	local run=${BATS_RUN_TMPDIR##*-}
	lab_scope=${BATS_TEST_NAME:-file}
	lab=bats-${TEST_RUN:-$run}-${BATS_SUITE_TEST_NUMBER:-f}-$BASHPID
	"$netlab" up "$lab" "$@"
	lab_path=$("$netlab" path "$lab")
	export lab lab_path lab_scope
	export SNICTL_BPFFS=$lab_path/bpf/snictl
	export SNICTL_RUN_DIR=$lab_path/run/snictl
	export SNICTL_STATE=$lab_path/run/state
	client4=$(address client 4)
	client6=$(address client 6)
	router4=$(address "$(lab_public_host)" 4)
	router6=$(address router 6)
	export client4 client6 router4 router6
}

# Who has the public IPv4 address: behind NAT it is the gateway.
lab_public_host() {
	if [[ -e $lab_path/ns/gateway ]]; then
		echo gateway
	else
		echo router
	fi
}

lab_down() {
	[[ ${lab:-} ]] || return 0
	"$netlab" down "$lab"
	unset lab lab_path
}

# lab_exec HOST COMMAND... - run in a host.
lab_exec() {
	"$netlab" exec "$lab" "$@"
}

# lab_start [--log FILE] HOST COMMAND... - run in the background until the lab
# goes down; its pid is $started.
# shellcheck disable=SC2034 # for the tests
lab_start() {
	local -a log=()
	if [[ $1 == --log ]]; then
		log=("$1" "$2")
		shift 2
	fi
	started=$("$netlab" start "${log[@]}" "$lab" "$@")
}

# lab_stop PID [SIGNAL] - end what lab_start began, and wait until it is gone.
lab_stop() {
	"$netlab" stop "$lab" "$@"
}

# address HOST [4|6] [INTERFACE]
address() {
	"$netlab" address "$lab" "$@"
}

# ---- waiting ----------------------------------------------------------------

# wait_until COMMAND... - until it succeeds; prints what it printed then.
wait_until() {
	local end=$((${EPOCHREALTIME/[.,]/} + PATIENCE * 1000000)) output
	until output=$("$@" 2>&1); do
		if ((${EPOCHREALTIME/[.,]/} > end)); then
			printf 'after %s s still not: %s\n%s\n' "$PATIENCE" \
				"$*" "$output"
			return 1
		fi
		sleep 0.02
	done
	[[ ! $output ]] || printf '%s\n' "$output"
}

# nobody_is PID - that process has ended.
nobody_is() {
	[[ ! -e /proc/$1 ]]
}

# wait_for_port HOST PORT - until somebody listens there.
wait_for_port() {
	wait_until listens "$1" "$2" || {
		tail -n "$LOG_LINES" "$lab_path"/log/*
		return 1
	}
}

listens() {
	[[ $(lab_exec "$1" ss -Hltn "sport = :$2") ]]
}

# ---- the programs -----------------------------------------------------------

# snictl ARGUMENT... - on the router.
snictl() {
	lab_exec router "$build/snictl" "$@"
}

# start_agent [OPTION...] - and wait until it answers. Its pid is $agent, what
# it logs is in $agent_log; it is $snictld, where that is set.
start_agent() {
	export agent_log=$lab_path/log/agent.log
	lab_start --log agent.log router "${snictld:-$build/snictld}" "$@"
	export agent=$started
	wait_until agent_answers || {
		cat "$agent_log"
		return 1
	}
}

agent_answers() {
	snictl status
}

# stop_agent [SIGNAL] - and wait until it is gone.
stop_agent() {
	lab_stop "$agent" "$@"
}

# ---- traffic ----------------------------------------------------------------

# traffic_serve HOST [OPTION...] - on port 443 of both families.
traffic_serve() {
	local host=$1
	shift
	: >"$lab_path/log/traffic-$host.log"
	lab_start --log "traffic-$host.log" "$host" \
		"$build/tests/tools/traffic" serve \
		--listen 0.0.0.0:443 --listen '[::]:443' "$@"
	echo "$started" >"$lab_path/run/traffic-$host.pid"
	wait_until grep -qx ready "$lab_path/log/traffic-$host.log"
}

# traffic_connect [OPTION...] - from the client to the router's public
# addresses, over both families in turn, unless --to says where to. Prints the
# summary; fails unless every byte was right.
traffic_connect() {
	local -a to=(--to "$router4:443" --to "[$router6]:443")
	[[ " $* " != *' --to '* ]] || to=()
	lab_exec client timeout "${TRAFFIC_TIMEOUT:-120}" \
		"$build/tests/tools/traffic" connect "${to[@]}" "$@"
}

# traffic_check HOST - end the server, print its summary; fails unless it had
# connections and every byte was right.
traffic_check() {
	lab_stop "$(<"$lab_path/run/traffic-$1.pid")"
	cat "$lab_path/log/traffic-$1.log"
	traffic_summary "$1" | jq -e '.completed > 0 and .failed == 0'
}

# traffic_summary HOST - the JSON that the server printed last.
traffic_summary() {
	sed -n '/^{/,$p' "$lab_path/log/traffic-$1.log"
}

# ---- the end ----------------------------------------------------------------

show_lab() {
	[[ ${lab:-} && -d ${lab_path:-} ]] || return 0
	"$netlab" show "$lab" || true
	tail -v -n "$LOG_LINES" "$lab_path"/log/* || true
	[[ ! -x $build/snictl ]] || snictl flow list || true
}

common_teardown() {
	[[ ${BATS_TEST_COMPLETED:-} || ${BATS_TEST_SKIPPED:-} ]] || show_lab
	[[ ${lab_scope:-} != "$BATS_TEST_NAME" ]] || lab_down
}

teardown() {
	common_teardown
}

teardown_file() {
	[[ ${lab_scope:-} != file ]] || lab_down
}
