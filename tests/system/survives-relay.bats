#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Workers die by the dozen, at random, under load: no connection may notice. The
# same tests for every data path: which one is in the name by which this file
# is run.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load survival

datapath=${BATS_TEST_FILENAME##*-}
datapath=${datapath%.bats}
DEATHS=${DEATHS:-12}
RATE=${RATE:-200} # new connections a second
# All that are over soon.
SHORT=echo,down,up,both,immediate,client-fin,server-fin,client-reset
SHORT+=,server-reset,eager,burst

setup() {
	lab_up --backends 2
	snictld=$lab_path/snictld
	install_program "$build/snictld"
	start_agent --datapath "$datapath"
	[[ $(path_of "$datapath" on) == true ]] ||
		skip "the data path $datapath is off: $(path_of "$datapath" why)"
	routes <<-'END'
		set log json
		route add short.test 198.51.100.11:443
		route add long.test 198.51.100.12:443 --proxy v2
	END
	before=$(left_behind)
}

# traffic_of_all_kinds - 220 long flows, and new ones all the time; few of them of
# one-byte segments, which cost as much as all the others.
traffic_of_all_kinds() {
	traffic_serve backend1
	traffic_serve backend2 --expect-proxy v2
	begin_traffic long --name long.test --shape both,down,up --seconds 3600 \
		--size unlimited --chunk 20000 --pace 1000000 \
		--connections 200 --concurrency 200
	wait_until has_flows 200
	begin_traffic stall --name long.test --shape client-stall,server-stall \
		--seconds 3600 --size 1000000 --stall 200 --concurrency 20
	begin_traffic short --name short.test --shape "$SHORT" --size 0-30000 \
		--seconds 3600 --rate "$RATE" --concurrency 64
	begin_traffic bytes --name short.test --shape bytes --size 0-1000 \
		--seconds 3600 --rate "$((RATE / 50))" --concurrency 8
}

# all_right - nobody has noticed anything, and nothing is left over.
all_right() {
	ends_right short
	ends_right bytes
	ends_right stall
	ends_right long
	traffic_check backend1
	traffic_check backend2
	wait_until nothing_is_left
}

@test "deaths at random: long flows and new ones lose nothing" {
	traffic_of_all_kinds
	deaths "$DEATHS"
	all_right
}

@test "deaths, upgrades and changes at random: likewise" {
	traffic_of_all_kinds
	upheavals "$((DEATHS / 2))"
	all_right
}
