#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The real fail2ban, on a backend and on the router; what tools/fail2ban has.
# shellcheck disable=SC2154 # set by what is loaded

load common
load router
load servers
load ssh

setup() {
	lab_up
	servers_begin
	start_agent
	lab_exec client ip address add 192.0.2.11/24 dev eth0
}

# start_login - nginx with a password on backend1, its log is $folder/error.log.
start_login() {
	server_folder backend1 login login.test
	printf 'user:%s\n' "$(openssl passwd -apr1 right)" >"$folder/passwords"
	fill "$folder" nginx-login.conf
	lab_start --log login.log backend1 nginx -p "$folder" \
		-c "$folder/nginx-login.conf"
	wait_for_port backend1 443
	snictl route add login.test 198.51.100.11 --proxy v2
}

# start_fail2ban HOST LOG ACTION - one jail over the log of nginx that bans
# after two failures, for $jail_time. To find out its own addresses it would
# ask name servers that no lab has.
start_fail2ban() {
	local config=$lab_path/run/fail2ban
	mkdir -p "$config/action.d" "$config/filter.d"
	cp "$top"/tools/fail2ban/*.conf "$config/action.d"
	cp /etc/fail2ban/filter.d/{common,nginx-error-common,nginx-http-auth}.conf \
		"$config/filter.d" 2>/dev/null || true
	cat >"$config/fail2ban.conf" <<-END
		[Definition]
		loglevel = INFO
		logtarget = $lab_path/log/fail2ban.log
		syslogsocket = auto
		socket = $config/socket
		pidfile = $config/pid
		dbfile = None
		dbpurgeage = 1d
		dbmaxmatches = 1
	END
	cat >"$config/jail.conf" <<-END
		[login]
		enabled = true
		filter = nginx-http-auth
		backend = polling
		logpath = $2
		usedns = no
		ignoreself = false
		maxretry = 2
		findtime = 600
		bantime = $jail_time
		action = $3
	END
	lab_start --log fail2ban-out.log "$1" fail2ban-server -f -c "$config" \
		-s "$config/socket" -p "$config/pid" start
	wait_until grep -F "Jail 'login' started" "$lab_path/log/fail2ban.log" ||
		{ cat "$lab_path"/log/fail2ban*; return 1; }
}

# login ADDRESS PASSWORD - prints the status of the answer; 000: none.
login() {
	lab_exec client curl -s -o /dev/null -w '%{http_code}' --max-time 5 \
		--interface "$1" --cacert "$ca" -u "user:$2" \
		--connect-to login.test:443:192.0.2.1:443 \
		https://login.test/index.txt || true
}

is_banned() {
	snictl ban show "$1"
}

is_free() {
	! snictl ban show "$1" && [[ $(login "$1" right) == 200 ]]
}

# guess ADDRESS - fail twice, and hold a connection open beside it.
guess() {
	lab_start --log "held.log" client python3 -c "$(
		cat <<-'END'
			import socket, ssl, sys
			context = ssl.create_default_context(cafile=sys.argv[2])
			c = context.wrap_socket(
			    socket.create_connection(
			        ("192.0.2.1", 443), source_address=(sys.argv[1], 0)),
			    server_hostname="login.test")
			print("held", flush=True)
			try:
			    while c.recv(65536):
			        pass
			except OSError:
			    pass
			print("ended", flush=True)
		END
	)" "$1" "$ca"
	wait_until grep -qx held "$lab_path/log/held.log"
	assert_equal "$(login "$1" wrong)" 401
	assert_equal "$(login "$1" wrong)" 401
}

@test "a client fails logins at a backend, whose fail2ban bans it at the router" {
	local jail_time=20 before
	start_login
	start_sshd backend "restrict,command=\"$(snictl_command ban-shell)\""
	start_fail2ban backend1 "$folder/error.log" \
		"snictl-router[router=198.51.100.1, key=\"$ssh/backend\", options=\"-F none -o UserKnownHostsFile=$ssh/known_hosts\"]"
	assert_equal "$(login 192.0.2.11 right)" 200

	guess 192.0.2.11
	wait_until is_banned 192.0.2.11 || {
		cat "$lab_path"/log/fail2ban* "$lab_path/log/sshd.log" "$folder/error.log"
		return 1
	}
	snictl ban list --json | jq -e '.[0].reason == "ban-shell login"'
	# Its open connection has ended; the kernel drops what it sends.
	wait_until grep -qx ended "$lab_path/log/held.log"
	before=$(counter edge.banned)
	assert_equal "$(login 192.0.2.11 right)" 000
	(($(counter edge.banned) > before))
	assert_equal "$(login 192.0.2.10 right)" 200
	# The key opens nothing else.
	run ! ssh_from backend1 backend 198.51.100.1 reboot
	run -2 ssh_from backend1 backend 198.51.100.1 add 0.0.0.0/0
	# It comes back when the time is over.
	PATIENCE=60 wait_until is_free 192.0.2.11
}

@test "fail2ban on the router itself bans and lets in again" {
	local jail_time=600
	start_login
	start_fail2ban router "$folder/error.log" \
		"snictl[snictl=\"$build/snictl\"]"
	guess 192.0.2.11
	wait_until is_banned 192.0.2.11
	snictl ban list --json | jq -e '.[0].reason == "fail2ban login"'
	wait_until grep -qx ended "$lab_path/log/held.log"
	lab_exec router fail2ban-client -s "$lab_path/run/fail2ban/socket" \
		unban 192.0.2.11
	wait_until is_free 192.0.2.11
}

@test "CrowdSec's decisions become a set" {
	cat >"$BATS_TEST_TMPDIR/decisions.json" <<-'END'
		[{"id": 7, "source": {"ip": "203.0.113.7"}, "decisions": [
		  {"duration": "3h59m", "id": 9, "origin": "crowdsec",
		   "scenario": "crowdsecurity/ssh-bf", "scope": "Ip",
		   "simulated": false, "type": "ban", "value": "203.0.113.7"}]},
		 {"id": 8, "decisions": [
		  {"duration": "1h", "origin": "cscli", "scope": "Range",
		   "type": "ban", "value": "198.18.0.0/15"},
		  {"duration": "1h", "scope": "Ip", "type": "captcha",
		   "value": "203.0.113.8"},
		  {"duration": "1h", "scope": "Country", "type": "ban",
		   "value": "XX"}]}]
	END
	"$top/tools/fail2ban/crowdsec-decisions" \
		<"$BATS_TEST_TMPDIR/decisions.json" |
		snictl ban import --set crowdsec -
	snictl ban list --set crowdsec --json |
		jq -e 'map(.prefix) == ["198.18.0.0/15", "203.0.113.7/32"]'
	echo null | "$top/tools/fail2ban/crowdsec-decisions" |
		snictl ban import --set crowdsec -
	[[ $(snictl status --json | jq .edge.bans) == 0 ]]
}
