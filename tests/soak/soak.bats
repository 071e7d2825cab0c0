#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What takes too long for every run: connections by the hundred thousand, and
# readers that stall for a minute by the thousand.

# shellcheck disable=SC2154 # set by what is loaded
load ../system/common
load ../system/router
load ../system/sockmap

CONNECTIONS=${CONNECTIONS:-100000}
SEED=${SEED:-$RANDOM}

# soak DATAPATH LIMIT - verified traffic of every shape. What is looked for is
# wrong bytes, not a machine that does other things for seconds.
soak() {
	lab_up --backends 2
	start_agent --datapath "$1"
	routes <<-END
		set sockmap-limit $2
		set log off
		set hello-timeout 1m
		set connect-timeout 1m
		route add traffic.test 198.51.100.12:443 --proxy v2
	END
	traffic_serve backend2 --expect-proxy v2
	printf '# seed %s\n' "$SEED" >&3
	TRAFFIC_TIMEOUT=7200 run -0 --separate-stderr traffic_connect \
		--name traffic.test --shape all --size 0-300000 --stall 50 \
		--connections "$CONNECTIONS" --concurrency 300 --seed "$SEED"
	jq -e --argjson count "$CONNECTIONS" \
		'.failed == 0 and .completed == $count' <<<"$output"
	traffic_check backend2
	snictl stats | sed -n 's/^\(data\|returns\|relayed\)/# &/p' >&3
}

@test "relay: every shape" {
	soak relay 2097152
}

@test "sockmap: every shape" {
	soak sockmap 2097152
	(($(counter datapaths.sockmap) > CONNECTIONS / 4))
}

@test "sockmap: every shape, there and back" {
	soak sockmap 4096
	(($(counter returns) > CONNECTIONS / 20))
}

@test "splice: every shape" {
	soak splice 2097152
	# Half of the clients have IPv6, the target has not.
	(($(counter datapaths.splice) > CONNECTIONS / 10))
}

# eager TO NAME - clients that send more 0-3 ms behind the hello, half of all.
eager() {
	TRAFFIC_TIMEOUT=7200 run -0 --separate-stderr traffic_connect \
		--to "$1" --name "$2" --shape eager --size 0-3000 \
		--connections $((CONNECTIONS / 2)) --concurrency 20 \
		--seed "$SEED"
	jq -e --argjson count "$CONNECTIONS" \
		'.failed == 0 and .completed * 2 == $count' <<<"$output"
}

@test "splice: NOTHING ACKED AND MISSING" {
	lab_up --backends 2
	start_agent --datapath splice
	routes <<-'END'
		set log off
		route add four.test 198.51.100.12:443
		route add six.test [2001:db8:2::12]:443
	END
	traffic_serve backend2
	printf '# seed %s\n' "$SEED" >&3
	eager "$router4:443" four.test
	eager "[$router6]:443" six.test
	traffic_check backend2
	snictl stats | sed -n 's/^\(data\|relayed\)/# &/p' >&3
	# The flip that sees more bytes, and the one that does not.
	(($(counter datapaths.splice) > CONNECTIONS / 10))
	(($(counter relayed.eager) > 0))
}

@test "sockmap: 1,000 readers that stop for a minute" {
	local before
	lab_up --backends 2
	start_agent --datapath sockmap
	routes <<<'route add traffic.test 198.51.100.12:443'
	stall 1000 8000000
	before=$(ticks)
	for _ in {1..60}; do
		at_most_2_mib 1000
		sleep 1
	done
	printf '# a minute of it took %s s of CPU\n' \
		"$((($(ticks) - before) / 100))" >&3
	all_arrives
}

# ticks - CPU time of the whole machine so far, in hundredths of a second.
ticks() {
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}
