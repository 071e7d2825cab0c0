#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the whole machine has left while readers stall: socket statistics do
# not see all that a sockmap can hold. Nothing else may run beside it.

# shellcheck disable=SC2154 # set by what is loaded
load ../common
load ../router
load ../sockmap

setup_file() {
	file_lab --backends 2
	start_agent --datapath sockmap
}

setup() {
	routes <<<'route add traffic.test 198.51.100.12:443'
	[[ $(path_of sockmap on) == true ]] ||
		skip "the data path is off: $(path_of sockmap why)"
}

# available - KiB.
available() {
	awk '/^MemAvailable/ { print $2 }' /proc/meminfo
}

# Of 3 GB that are on their way: 2 MiB a flow, half as much again for the
# kernel's own structs, and 1 MiB for the buffers of both ends.
is_bounded() {
	local used=$((before - $(available)))
	((used < 100 * 4096)) || {
		echo "$used KiB are gone"
		return 1
	}
}

@test "100 readers that stop take no more of the machine's memory than bounds allow" {
	local before
	before=$(available)
	stall 100 30000000
	# What was under way when they stopped is on its way back.
	wait_until is_bounded
	at_most_2_mib 100
	is_bounded
	all_arrives
}
