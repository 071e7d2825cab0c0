#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A flood of SYNs from forged addresses: who is real gets through. Alone, as
# what the sender reaches is part of the test.
# shellcheck disable=SC2154 # set by what is loaded

load ../common
load ../router

# cookies - how many SYNs the router has answered with a cookie.
cookies() {
	lab_exec router nstat -asz TcpExtSyncookiesSent | awk '/Syn/ { print $2 }'
}

@test "100,000 forged SYNs a second: new connections succeed" {
	# Where peer.py is.
	local mac before BATS_TEST_DIRNAME=$BATS_TEST_DIRNAME/..
	file_lab
	start_agent
	start_peer backend1 one
	snictl route add a.test 198.51.100.11
	# Where the answers go, and end.
	lab_exec router ip route add 198.18.0.0/15 via 192.0.2.10
	lab_exec client ip route add blackhole 198.18.0.0/15
	mac=$(lab_exec router ip -j link show client | jq -r '.[0].address')
	before=$(cookies)
	lab_start --log flood.log client "$BATS_TEST_DIRNAME/syn_flood.py" \
		eth0 "$mac" 192.0.2.1 100000 15
	wait_until grep -qx ready "$lab_path/log/flood.log"
	wait_until are_sent "$before"
	client <<-'END'
		import time
		longest = 0
		for i in range(50):
		    begin = time.monotonic()
		    c = connect("192.0.2.1")
		    c.send(hello("a.test")).expect_backend("one").close()
		    longest = max(longest, time.monotonic() - begin)
		print(f"# of 50 connections the slowest took {longest * 1000:.0f} ms")
	END
	# The connections were made while it went on.
	run ! grep -q sent "$lab_path/log/flood.log"
	PATIENCE=60 wait_until grep sent "$lab_path/log/flood.log"
	printf '# %s, %d SYN cookies\n' "$(tail -n 1 "$lab_path/log/flood.log")" \
		"$(($(cookies) - before))" >&3
}

are_sent() {
	(($(cookies) > $1 + 1000))
}
