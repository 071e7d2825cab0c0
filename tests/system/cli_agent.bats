#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The command line beside an agent.
# shellcheck disable=SC2030,SC2031,SC2154 # what bats and common.bash set

load common
load router
load cli

setup_file() {
	file_lab
	start_agent --workers 2 --datapath relay
	start_peer backend1 one
}

setup() {
	routes <<-'END'
		route add .example.com 198.51.100.11
		route add gone.example.org 198.51.100.11:4
	END
}

# hold TAG NAME [ADDRESS] - a flow that lives until it is reset.
hold() {
	local log=hold-$BATS_TEST_NUMBER-$1.log
	lab_start --log "$log" client python3 -c "$(
		cat <<-'END'
			from peer import *
			c = connect(sys.argv[2])
			c.send(hello(sys.argv[1], alpn=["h2"])).expect_backend("one")
			print("held", flush=True)
			c.sock.settimeout(None)
			c.expect_reset()
			print("reset", flush=True)
		END
	)" "$2" "${3:-$router4}"
	wait_until grep -qx held "$lab_path/log/$log"
}

is_reset() {
	grep -qx reset "$lab_path/log/hold-$BATS_TEST_NUMBER-$1.log"
}

# in_client SCRIPT - of peer.py, one line.
in_client() {
	lab_exec client python3 -c "from peer import *; $1"
}

# flows [FILTER] - ids of the live flows that a jq filter selects.
flows() {
	snictl flow list --json | jq ".[] | select(${1:-true}) | .id"
}

# end_flows - the last line of a test that has held some.
end_flows() {
	snictl flow kill --client "$client4" || true
	snictl flow kill --client "$client6" || true
	wait_until no_flows
}

no_flows() {
	[[ ! $(flows) ]]
}

# ---- listeners --------------------------------------------------------------

@test "listen add returns when it listens, listen del when it does not" {
	silent listen add 8443
	listens router 8443
	run -0 snictl listen list --json
	jq -e '.[1] == {"listen": "8443", "http": false,
		"accept_proxy": [], "trust_forwarded": [],
		"state": "listening", "error": null, "holder": null}' <<<"$output"
	silent listen del 8443
	run ! listens router 8443
	silent listen add "$router4:8443"
	[[ $(lab_exec router ss -Hltn 'sport = :8443') == *"$router4:8443"* ]]
	silent listen del "$router4:8443"
}

@test "a port in use: who holds it, the others are served, tried again" {
	local holder
	lab_start router python3 -c 'import signal, socket
s = socket.create_server(("", 8443))
signal.pause()'
	holder=$started
	wait_for_port router 8443

	run -1 --separate-stderr snictl listen add 8443
	assert_equal "$stderr" "snictl: cannot listen on 8443 yet: the port is held by python3 (pid $holder); the agent tries again, \`snictl listen del 8443\` takes the listener back"
	run -0 snictl listen list --json
	jq -e --argjson pid "$holder" '.[0].state == "listening" and
		.[1].state == "failed" and .[1].error != null and .[1].holder ==
		{"listen": "0.0.0.0:8443", "pid": $pid, "command": "python3"}' \
		<<<"$output"
	run -0 snictl status
	assert_line --regexp "^ +8443 +the port is held by python3 \(pid $holder\)$"
	in_client 'connect("192.0.2.1").send(hello("a.example.com")).expect_backend("one")'

	lab_stop "$holder"
	wait_until is_listening 8443
	listens router 8443
}

is_listening() {
	snictl listen list --json | jq -e --arg port "$1" \
		'.[] | select(.listen == $port) | .state == "listening"'
}

@test "an address that is not there yet" {
	run -1 --separate-stderr snictl listen add 203.0.113.7:443
	[[ $stderr == 'snictl: cannot listen on 203.0.113.7:443 yet: '*assign* ]]
	lab_exec router ip address add 203.0.113.7/32 dev lo
	wait_until is_listening 203.0.113.7:443
	lab_exec router ip address del 203.0.113.7/32 dev lo
}

@test "apply tells the agent of its listeners, and fails where one cannot be" {
	run -0 --separate-stderr snictl apply - <<-'END'
		listen add 443
		listen add 8443
	END
	assert_equal "$stderr" ''
	listens router 8443
	run -1 --separate-stderr snictl apply - <<-'END'
		listen add 443
		listen add 203.0.113.7:443
	END
	assert_line '+ listen add 203.0.113.7:443'
	[[ $stderr == 'snictl: applied, but cannot listen on 203.0.113.7:443'* ]]
	run ! listens router 8443
}

# ---- flows ------------------------------------------------------------------

@test "flows are listed and shown" {
	local id
	hold one www.example.com
	hold two example.com "$router6"
	run -0 snictl flow list
	assert_line --regexp "relay +192\.0\.2\.10:[0-9]+ +443 +www\.example\.com +198\.51\.100\.11:443 +relay "
	id=$(flows '.name == "example.com"')
	run -0 snictl flow show "$id"
	assert_line --regexp '^Client: +\[2001:db8:1::10\]:[0-9]+$'
	assert_line --regexp '^Dialled: +\[2001:db8:1::1\]:443, listener 443$'
	assert_line --regexp '^ALPN: +h2$'
	assert_line --regexp '^Route: +\.example\.com$'
	run -0 snictl complete -- flow show ''
	assert_line "$id"
	run -0 snictl complete -- flow kill --name ''
	assert_line www.example.com
	run -0 snictl complete -- flow kill --client ''
	assert_line "$client4"
	end_flows
}

# Without what differs from run to run.
without_luck() {
	jq '(.id, .hello_ms, .connect_ms, .age_ms, .idle_ms) |= (numbers, 0 | 0)
		| (.client, .peer, .source) |= sub(":[0-9]+$"; ":0")
		| (.bytes_in, .bytes_out) |= (. > 0)
		| (.packets_in, .packets_out) |= (numbers | 0)'
}

@test "JSON: flows" {
	hold one www.example.com
	snictl flow show "$(flows)" --json | without_luck | golden flow-show
	snictl flow list --json | jq '.[]' | without_luck | golden flow-show
	end_flows
}

@test "flow kill by id, name and client ends both sides" {
	local id
	hold one www.example.com
	hold two www.example.com
	hold three example.com
	hold four www.example.com "$router6"
	id=$(flows '.name == "example.com"')
	silent flow kill "$id"
	wait_until is_reset three
	refuses 1 'no such flow' flow kill "$id"
	refuses 1 "$id" flow show "$id"
	assert_equal "$(flows | wc -l)" 3

	silent flow kill --client "$client6"
	wait_until is_reset four
	assert_equal "$(flows | wc -l)" 2

	refuses 1 'no such flow' flow kill --name example.com
	silent flow kill --name WWW.example.com.
	wait_until is_reset one
	wait_until is_reset two
	wait_until no_flows
	# The backend's side too: nothing is left there.
	wait_until backend_is_idle
}

backend_is_idle() {
	[[ ! $(lab_exec backend1 ss -Hnt state established 'sport = :443') ]]
}

@test "route list counts live flows, finished ones, bytes and failures" {
	hold one www.example.com
	hold two example.com
	run -0 snictl route show .example.com --json
	jq -e '.live == 2 and .bytes_in > 0 and .bytes_out > 0' <<<"$output"
	end_flows
	run -0 snictl route show .example.com --json
	jq -e '.live == 0 and .finished >= 2 and .bytes_in > 0' <<<"$output"

	in_client 'connect("192.0.2.1").send(hello("gone.example.org")).expect_alert(80)'
	run -0 snictl route show gone.example.org --json
	jq -e '.failures > 0 and .last_failure.target == "198.51.100.11:4" and
		.last_failure.error == "Connection refused" and
		(.last_failure.time | fromdate) <= now' <<<"$output"
	run -0 snictl route list
	assert_line --regexp '^gone\.example\.org .* ago, 198\.51\.100\.11:4: Connection refused$'
}

@test "stats count outcomes" {
	local before
	before=$(counter outcomes.unknown-name)
	in_client 'connect("192.0.2.1").send(hello("unknown.example.org")).expect_alert(112)'
	wait_until counted outcomes.unknown-name $((before + 1))
	run -0 snictl stats
	assert_line --regexp "^outcome unknown-name +$((before + 1))$"
}

counted() {
	[[ $(counter "$1") == "$2" ]]
}

# ---- the agent --------------------------------------------------------------

@test "status: a page, and JSON" {
	run -0 snictl status
	assert_line --regexp '^Agent: +running, version [0-9.]+, pid [0-9]+, up for .*, threads 2$'
	assert_line --regexp '^Listeners: +443 +listening$'
	assert_line --regexp '^Data paths: +splice +(on|off: .+)$'
	assert_line --regexp '^ +relay +on$'
	assert_line --regexp '^Flows: +0 of at most 24576$'
	assert_line --regexp '^Routes: +2$'
	assert_line --regexp '^Memory: +[0-9.]+ MiB in maps$'
	snictl status --json |
		jq '.agent.version = "X" | .agent.pid |= . > 0
			| .agent.up_ms |= . > 0 | .maps.memory_bytes |= . > 0
			| .maps.bpffs = "X" | .state.file = "X"
			| .datapaths |= map(.why = null | .on = true)' |
		golden status
}

@test "unload is refused while an agent runs" {
	refuses 1 'an agent uses the maps' unload
}

@test "without privileges: the agent too" {
	chmod 755 "$lab_path" "$lab_path/run"
	run --separate-stderr -1 lab_exec router setpriv --reuid 65534 \
		--regid 65534 --clear-groups --inh-caps=-all \
		--bounding-set=-all "$build/snictl" flow kill 1
	[[ $stderr == 'snictl: the right to talk to the agent at '*root ]]
}

@test "status exits 1 when the agent is down" {
	stop_agent
	run -1 snictl status
	assert_line --partial 'down: no agent answers'
	run -0 snictl listen list --json
	jq -e '.[0].state == null' <<<"$output"
	silent unload
}
