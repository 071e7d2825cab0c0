#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A worker dies at each step of a flow's life: no connection may notice. The
# steps are those of userspace/crash.h, in a build that dies there.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

setup() {
	lab_up --backends 2
	mkdir "$lab_path/run/crash"
	snictld=$build/crashing/snictld
	export SNICTL_CRASH=$lab_path/run/crash
}

# dies_at POINT OPTION... - while that traffic is under way; it must not notice.
# On a busy machine not every round comes by every point.
dies_at() {
	local point=$1
	shift
	: >"$SNICTL_CRASH/$point"
	for _ in {1..10}; do
		run -0 --separate-stderr traffic_connect "$@"
		jq -e '.failed == 0 and .completed > 0' <<<"$output"
		[[ -e $SNICTL_CRASH/$point ]] || return 0
	done
	fail "nobody came by $point"
}

# all_steps OPTION... - those that every data path has.
all_steps() {
	local point
	for point in accepted recorded steered socket socket-recorded \
		connecting connected preface preface-sent preface-over \
		closing closed; do
		dies_at "$point" --shape echo,down,up,both,client-fin,server-fin \
			--size 0-900000 --connections 40 --concurrency 20 "$@"
	done
	for point in piece-kept piece-taken; do
		dies_at "$point" --shape echo --size 0-3000 --segment 60 \
			--segment-pace 2000 --connections 20 "$@"
	done
	dies_at broken --shape client-reset,server-reset --size 30000 \
		--connections 20 "$@"
}

# every_step POINT... - of all data paths, and these of this one's.
every_step() {
	local point
	routes <<-'END'
		route add one.test 198.51.100.11:443
		route add two.test 198.51.100.12:443 --proxy v2
	END
	before=$(left_behind)
	traffic_serve backend1
	traffic_serve backend2 --expect-proxy v2
	all_steps --name one.test,two.test
	for point; do
		dies_at "$point" --name two.test --shape all --size 0-900000 \
			--stall 5 --connections 60 --concurrency 20
	done
	traffic_check backend1
	traffic_check backend2
	wait_until nothing_is_left
}

@test "relay: at every step" {
	start_agent --datapath relay
	every_step sent pipe-filled pipe-emptied shut
}

@test "splice: at every step" {
	start_agent --datapath splice
	every_step preface-kept armed spliced silenced
	(($(counter datapaths.splice) > 100))
}

@test "sockmap: at every step" {
	start_agent --datapath sockmap
	[[ $(path_of sockmap on) == true ]] ||
		skip "off: $(path_of sockmap why)"
	every_step joining joined stopped holding parted
	(($(counter datapaths.sockmap) > 100))
}

@test "sockmap: while it sends on what was passed" {
	local point
	start_agent --datapath sockmap
	[[ $(path_of sockmap on) == true ]] ||
		skip "off: $(path_of sockmap why)"
	# Each message is beyond the limit, so each flow comes back with it.
	routes <<-'END'
		set sockmap-limit 1024
		route add two.test 198.51.100.12:443 --proxy v2
	END
	before=$(left_behind)
	traffic_serve backend2 --expect-proxy v2
	for point in passed-sent passed-taken; do
		dies_at "$point" --name two.test --shape echo \
			--size 30000 --message 3000 --connections 20
	done
	traffic_check backend2
	wait_until nothing_is_left
}

@test "a refused client gets its alert, though the worker dies" {
	start_agent
	routes <<<'route add one.test 198.51.100.11:443'
	: >"$SNICTL_CRASH/refused"
	client <<-'END'
		c = connect("192.0.2.1").send(hello("nobody.test"))
		c.expect_alert(112).expect_fin()
	END
	[[ ! -e $SNICTL_CRASH/refused ]]
	wait_for_flow 'outcome=unknown-name end=refused'
}

@test "a flow at which two workers die is ended; the third serves" {
	start_agent
	routes <<<'route add one.test 198.51.100.11:443'
	traffic_serve backend1
	: >"$SNICTL_CRASH/steered.always"
	client <<<'connect("192.0.2.1").send(hello("one.test")).expect_reset()'
	rm "$SNICTL_CRASH/steered.always"
	wait_for_flow 'end=poison'
	assert_equal "$(grep -c 'the worker died of signal 11' "$agent_log")" 2
	traffic_connect --name one.test --connections 20
	traffic_check backend1
}
