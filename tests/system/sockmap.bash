# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # set by common.bash
# What a sockmap holds.

# outstanding - of each flow, the bytes from the backend that the router has
# acknowledged and the client has not: the most there is.
outstanding() {
	local list
	list=$(snictl flow list --json | jq -r '.[] | [.source, .peer] | @tsv')
	lab_exec router ss -HtniO state connected |
		flows=$list awk '
		{
			if (match($0, /bytes_received:[0-9]+/))
				received[$4] = substr($0, RSTART + 15, RLENGTH - 15)
			if (match($0, /bytes_acked:[0-9]+/))
				acked[$5] = substr($0, RSTART + 12, RLENGTH - 12)
		}
		END {
			count = split(ENVIRON["flows"], flow, "\n")
			for (i = 1; i <= count; i++) {
				split(flow[i], end, "\t")
				held = received[end[1]] - acked[end[2]]
				if (held > most)
					most = held
			}
			print count, most
		}'
}

# stands_still COMMAND... - says the same twice, a little later.
stands_still() {
	local first
	first=$("$@")
	sleep 0.2
	[[ $("$@") == "$first" ]]
}

# stall COUNT SIZE - so many readers that stop after a quarter of SIZE, behind
# servers that send as fast as they can; returns when nothing moves any more.
# The client's pid is $stalled; on SIGUSR1 they read on.
# shellcheck disable=SC2034 # for the tests
stall() {
	# What the ends' own kernels take for them is not much.
	lab_exec client sysctl -qw net.ipv4.tcp_rmem='4096 131072 262144'
	lab_exec backend2 sysctl -qw net.ipv4.tcp_wmem='4096 16384 262144'
	traffic_serve backend2 --timeout 600
	lab_start --log stall.log client "$build/tests/tools/traffic" connect \
		--to 192.0.2.1:443 --name traffic.test --shape client-stall \
		--stall signal --connections "$1" --concurrency "$1" \
		--size "$2" --timeout 600
	stalled=$started
	PATIENCE=120 wait_until grep -qx parked "$lab_path/log/stall.log"
	PATIENCE=120 wait_until stands_still outstanding
}

# at_most_2_mib COUNT - is held of each of so many flows, and something is.
at_most_2_mib() {
	local count most
	run -0 outstanding
	read -r count most <<<"$output"
	assert_equal "$count" "$1"
	((most > 100000 && most <= 2 << 20)) || fail "$most bytes are held"
}

# all_arrives - the stalled readers read on, and every byte is right.
all_arrives() {
	kill -USR1 "$stalled"
	PATIENCE=300 wait_until grep -q '"failed": 0' "$lab_path/log/stall.log"
	traffic_check backend2
}
