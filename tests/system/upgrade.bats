#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The agent goes on as the program that is installed now.

# shellcheck disable=SC2154 # set by what is loaded
load common
load cli
load router
load survival

# Each test has an agent of its own, which it upgrades.
setup() {
	lab_up --backends 2
	start_peer backend1 one
	snictld=$lab_path/snictld
	install_program "$build/snictld"
	start_agent --datapath splice
	routes <<-'END'
		route add a.test 198.51.100.11:443
		route add relay.test 198.51.100.12:443 --datapath relay
		route add sockmap.test 198.51.100.12:443 --datapath sockmap
		route add spliced.test 198.51.100.12:443
	END
}

# install_script - standard input.
install_script() {
	cat >"$snictld.new"
	chmod +x "$snictld.new"
	mv "$snictld.new" "$snictld"
}

version() {
	snictl status --json | jq -r .agent.version
}

serves() {
	client <<<'connect("192.0.2.1").send(hello("a.test")).expect_backend("one")'
}

descriptors_are() {
	[[ $(descriptors) == "$1" ]]
}

can_splice() {
	[[ $(path_of splice on) == true ]]
}

all_spliced() {
	(($(snictl flow list --json | jq \
		'[.[] | select(.phase == "spliced")] | length') == $1))
}

# stays TEXT - an upgrade fails, with TEXT; the same worker goes on.
stays() {
	local worker
	worker=$(pgrep -P "$agent")
	refuses 1 "$1" upgrade
	grep -F 'not upgraded, ' "$agent_log" | grep -F -- "$1"
	serves
	assert_equal "$(pgrep -P "$agent")" "$worker"
}

# stream PATH - four that go on, of clients that wait for an answer first.
stream() {
	lab_start --log "traffic-$1.log" client "$build/tests/tools/traffic" \
		connect --to 192.0.2.1:443 --name "$1.test" --shape down \
		--size unlimited --chunk 1000 --pace 1000 --connections 4 \
		--seconds 600
	streams[$1]=$started
}

@test "20 upgrades, to the next version and back: no connection is lost" {
	local old before load path
	local -A streams=()
	old=$(version)
	before=$(descriptors)
	traffic_serve backend2
	for path in relay sockmap spliced; do
		stream $path
	done
	! can_splice || wait_until all_spliced 4
	lab_start --log traffic-load.log client "$build/tests/tools/traffic" connect \
		--to 192.0.2.1:443 --to '[2001:db8:1::1]:443' \
		--name relay.test,sockmap.test --size 1000 --rate 300 --seconds 600
	load=$started
	for _ in {1..10}; do
		install_program "$build/next/snictld"
		run -0 snictl upgrade
		assert_output "snictld $old+next serves"
		install_program "$build/snictld"
		run -0 snictl upgrade
		assert_output "snictld $old serves"
	done
	lab_stop "$load"
	run -0 jq -c '[.completed > 1000, .failed]' <(traffic_summary load)
	assert_output '[true,0]'
	! can_splice || all_spliced 4
	for path in "${!streams[@]}"; do
		lab_stop "${streams[$path]}"
		run -0 jq -c '[.connections, .failed, .bytes_received > 10000]' \
			<(traffic_summary "$path")
		assert_output '[4,0,true]'
	done
	[[ $(pgrep -P "$agent" | wc -l) == 1 ]]
	traffic_check backend2
	serves
	# Whoever begins with no flow has nothing of those before.
	snictl upgrade
	wait_until descriptors_are "$before"
}

# The worker neither accepts nor leaves in order.
@test "who connects meanwhile waits, and is served by the next version" {
	local worker
	worker=$(pgrep -P "$agent")
	install_program "$build/next/snictld"
	kill -STOP "$worker"
	kill -USR2 "$agent"
	waiting_are_served "$worker"
	[[ $(version) == *+next ]]
}

# There is a thread a processor, and a listening socket a thread.
@test "who waits is served by a next version on fewer processors" {
	local worker
	(($(nproc) > 1)) || skip 'SKIP: this machine has one processor'
	worker=$(pgrep -P "$agent")
	install_script <<-END
		#!/bin/sh
		exec taskset --cpu-list 0 $build/snictld "\$@"
	END
	kill -STOP "$worker"
	kill -USR2 "$agent"
	waiting_are_served "$worker"
	[[ $(snictl status --json | jq .agent.threads) == 1 ]]
	[[ $(lab_exec router ss -Htln 'sport = :443' | wc -l) == 2 ]]
}

@test "a command that comes meanwhile waits, and is answered by the next version" {
	local worker
	worker=$(pgrep -P "$agent")
	install_program "$build/next/snictld"
	kill -STOP "$worker"
	kill -USR2 "$agent"
	snictl status --json >"$lab_path/log/status.log" &
	wait_until asks
	kill -KILL "$worker"
	wait $!
	jq -e '.agent.version | endswith("+next")' "$lab_path/log/status.log"
}

# asks - somebody waits at the control socket.
asks() {
	lab_exec router ss -Hxln | awk '$5 ~ /control$/ { n += $3 }
		END { exit !n }'
}

@test "a signal upgrades too" {
	install_program "$build/next/snictld"
	kill -USR2 "$agent"
	wait_until grep -F 'upgraded: this is' "$agent_log"
	[[ $(version) == *+next ]]
	serves
}

@test "what is installed cannot start: the old version goes on" {
	rm "$snictld"
	stays 'No such file or directory'
	install_script <<<'no program'
	stays 'Exec format error'
	install_script <<-'END'
		#!/bin/sh
		exit 0
	END
	stays 'exit status 0'
	install_script <<-'END'
		#!/bin/sh
		printf 'no \377 \33[1mlibrary\n' >&2
		exit 127
	END
	stays 'exit status 127: no ? ?[1mlibrary'
	install_script <<-'END'
		#!/bin/sh
		kill -SEGV $$
	END
	stays 'ended by signal 11'
	install_program "$build/other/snictld"
	stays 'holds the maps of another version of snictl (v'
}

@test "what is installed hangs: the old version goes on" {
	install_script <<-'END'
		#!/bin/sh
		exec sleep infinity
	END
	stays 'ended by signal 9'
}

# Its check is content, but its worker is not.
@test "the new version does not serve: the old one is back" {
	local before
	before=$(descriptors)
	install_script <<-END
		#!/bin/bash
		[[ \$1 == --check ]] && exec "$build/next/snictld" "\$@"
		exec -a "\$0" "$build/other/snictld" "\$@"
	END
	refuses 1 'did not start (exit status 3)' upgrade
	grep -F 'going back to the old version' "$agent_log"
	serves
	wait_until descriptors_are "$before"
	assert_equal "$(ps -o comm= "$agent")" snictld
	install_program "$build/next/snictld"
	run -0 snictl upgrade
	assert_output --partial '+next serves'
	serves
}

@test "one upgrade at a time; an end comes first" {
	mkfifo "$lab_path/go"
	install_script <<-END
		#!/bin/bash
		echo trying >&2
		[[ \$1 != --check ]] || read -r <"$lab_path/go"
		exec -a "\$0" "$build/next/snictld" "\$@"
	END
	snictl upgrade >"$lab_path/log/first.log" 2>&1 &
	wait_until pgrep -f "$snictld --check"
	run -1 snictl upgrade
	assert_output --partial 'an upgrade is under way'
	kill -TERM "$agent"
	echo >"$lab_path/go"
	wait
	cat "$lab_path/log/first.log"
	wait_until test ! -e "/proc/$agent"
}

@test "maps of another version: exit status 3, and what is spliced goes on" {
	can_splice || skip "the data path is off: $(path_of splice why)"
	lab_start --log held.log client python3 -c '
from peer import *
c = connect("192.0.2.1").send(hello("a.test")).expect_backend("one")
print("held", flush=True)
open("'"$lab_path"'/go").readline()
c.exchange(b"x" * 100000).fin().expect_fin()
print("right", flush=True)
'
	mkfifo "$lab_path/go"
	wait_until grep -qx held "$lab_path/log/held.log"
	wait_until all_spliced 1
	stop_agent
	other=$build/other
	run -3 lab_exec router "$other/snictld"
	assert_output --partial 'holds the maps of another version of snictl (v'
	run -3 lab_exec router "$other/snictl" route list
	assert_output --partial 'holds the maps of another version of snictl (v'
	echo >"$lab_path/go"
	wait_until grep -qx right "$lab_path/log/held.log"
	run -0 lab_exec router "$other/snictl" unload
	lab_start --log agent.log router "$other/snictld"
	wait_until serves
}

# The service manager here never lets go of a socket.
@test "a listener that is taken away refuses, whoever else has it open" {
	lab_start --log manager.log router python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("'"$lab_path"'/notify")
held = []
while True:
    text, fds, _, _ = socket.recv_fds(s, 4096, 1)
    held += fds
    print(text.decode().replace("\n", " "), flush=True)
'
	wait_until test -S "$lab_path/notify"
	stop_agent
	lab_start --log agent.log router \
		env NOTIFY_SOCKET="$lab_path/notify" "$snictld"
	wait_until grep -q READY=1 "$lab_path/log/manager.log"
	grep 'FDSTORE=1 FDNAME=listener-[0-9]* FDPOLL=0' \
		"$lab_path/log/manager.log"
	snictl listen add 8443
	client <<<'connect("192.0.2.1", port=8443)'
	snictl listen del 8443
	client <<-'END'
		try:
		    socket.create_connection(("192.0.2.1", 8443), 5)
		    fail("not refused")
		except ConnectionRefusedError:
		    pass
	END
	serves
}
