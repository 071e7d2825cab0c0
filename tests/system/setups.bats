#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The set-ups that people run today, each named after what it is. Each has a
# lab of its own; certificates are verified, files compared, and what the
# servers log is read in their logs.

# shellcheck disable=SC2154 # set by what is loaded
load common
load router
load servers

# begin [OPTION...] - of `netlab up`: the lab with an agent in it.
begin() {
	lab_up "$@"
	servers_begin
	start_agent
}

# expect_client NAME SERVER LOG CLIENT ADDRESS [FROM] - FROM (the client)
# fetches NAME from ADDRESS; SERVER must answer, and its LOG must have a line
# with CLIENT as the client's address, and the client's port where it knows it.
expect_client() {
	local from=${6:-client} port
	run -0 fetch "$from" "$5" "$1"
	assert_line --partial "server=$2"
	port=${lines[-1]}
	wait_for_log "$3" "client=$4 port=$port"
	fetch_big "$from" "$5" "$1"
}

@test "a PBX that keeps its certificate beside web applications whose TLS a local nginx offloads" {
	begin --backends 2
	start_apache backend1 Off pbx.example.com
	start_application backend2 applications
	start_offload router 198.51.100.12:8080 \
		cloud.example.com wiki.example.com
	routes <<-'END'
		route add pbx.example.com 198.51.100.11:443
		route add default 127.0.0.1:8443 --proxy v2
	END

	local router name client
	for router in 192.0.2.1:443 '[2001:db8:1::1]:443'; do
		client=192.0.2.10
		[[ $router != \[* ]] || client=2001:db8:1::10
		# The PBX does not expect PROXY: it sees the router.
		run -0 fetch client "$router" pbx.example.com
		assert_line server=pbx.example.com
		wait_for_log backend1-apache \
			'client=198.51.100.1 sni=pbx.example.com'
		fetch_big client "$router" pbx.example.com

		for name in cloud.example.com wiki.example.com; do
			expect_client "$name" applications router-offload \
				"$client" "$router"
			assert_line "server=applications client=$client"
			wait_for_log backend2-application \
				"client=$client host=$name"
		done
	done
	wait_for_flow 'name=pbx.example.com route=pbx.example.com proxy=off'
	wait_for_flow 'name=wiki.example.com route=default target=127.0.0.1:8443 proxy=v2'
	# Nobody has the certificate of another.
	run ! fetch client 192.0.2.1:443 other.example.com
	assert_output --partial 'SSL'
}

# several_names BACKEND1 BACKEND2 - their addresses.
several_names() {
	start_nginx backend1 'ssl proxy_protocol' \
		mail.example.com '*.mail.example.com'
	start_apache backend2 On cloud.example.com example.org '*.example.org'
	start_application router applications
	start_offload router 127.0.0.1:8080 www.example.com
	routes <<-END
		route add mail.example.com $1:443 --proxy v2
		route add *.mail.example.com $1:443 --proxy v1
		route add cloud.example.com $2:443 --proxy v2
		route add .example.org $2:443 --proxy v1
		route add default 127.0.0.1:8443 --proxy v2
	END

	local router client
	for router in 192.0.2.1:443 '[2001:db8:1::1]:443'; do
		client=192.0.2.10
		[[ $router != \[* ]] || client=2001:db8:1::10
		expect_client mail.example.com mail.example.com \
			backend1-nginx $client "$router"
		expect_client imap.mail.example.com mail.example.com \
			backend1-nginx $client "$router"
		expect_client cloud.example.com cloud.example.com \
			backend2-apache $client "$router"
		expect_client example.org cloud.example.com \
			backend2-apache $client "$router"
		expect_client www.example.org cloud.example.com \
			backend2-apache $client "$router"
		expect_client www.example.com applications \
			router-offload $client "$router"
		wait_for_log router-application "client=$client host=www.example.com"
	done
	wait_for_flow 'name=imap.mail.example.com route=\*.mail.example.com'
	wait_for_flow 'name=www.example.org route=.example.org'
}

@test "several names on two backends that all get PROXY, default on 127.0.0.1:8443" {
	begin --backends 2
	several_names 198.51.100.11 198.51.100.12
}

@test "several names on two backends that all get PROXY, reached over IPv6" {
	begin --backends 2
	several_names '[2001:db8:2::11]' '[2001:db8:2::12]'
}

@test "several names on two backends that all get PROXY, one-armed" {
	begin --topology one-armed --backends 2
	several_names 192.0.2.101 192.0.2.102
	# A backend that asks for another's name, and for its own.
	expect_client cloud.example.com cloud.example.com backend2-apache \
		192.0.2.101 192.0.2.1:443 backend1
	expect_client mail.example.com mail.example.com backend1-nginx \
		192.0.2.101 192.0.2.1:443 backend1
	expect_client mail.example.com mail.example.com backend1-nginx \
		2001:db8:1::101 '[2001:db8:1::1]:443' backend1
}

@test "a backend that fetches its own public name (hairpin)" {
	begin --topology hairpin --backends 2
	start_nginx backend1 'ssl proxy_protocol' cloud.example.com
	start_nginx backend2 'ssl proxy_protocol' mail.example.com
	routes <<-'END'
		route add cloud.example.com 198.51.100.11:443 --proxy v2
		route add mail.example.com 198.51.100.12:443 --proxy v2
	END
	# From outside, through the gateway's NAT.
	expect_client cloud.example.com cloud.example.com backend1-nginx \
		192.0.2.10 192.0.2.1:443
	expect_client cloud.example.com cloud.example.com backend1-nginx \
		2001:db8:1::10 '[2001:db8:2::2]:443'
	# From inside the gateway masquerades IPv4, so its address is known.
	run -0 fetch backend1 192.0.2.1:443 cloud.example.com
	assert_line 'server=cloud.example.com client=198.51.100.1'
	fetch_big backend1 192.0.2.1:443 cloud.example.com
	expect_client cloud.example.com cloud.example.com backend1-nginx \
		2001:db8:2::11 '[2001:db8:2::2]:443' backend1
	# And another backend's name.
	fetch_big backend1 192.0.2.1:443 mail.example.com
	wait_for_flow 'client=198.51.100.1:.* local=198.51.100.2:443 name=mail.example.com outcome=routed'
}

@test "a listener on one address beside another server's 443" {
	lab_up --backends 1
	servers_begin
	nginx_ipv4=198.51.100.1 nginx_ipv6='[2001:db8:2::1]' \
		start_nginx router ssl beside.example.com
	start_nginx backend1 ssl cloud.example.com
	# Without an agent, listen changes what it will open.
	snictl listen del 443
	snictl listen add 192.0.2.1:443
	snictl listen add '[2001:db8:1::1]:443'
	snictl route add cloud.example.com 198.51.100.11:443
	start_agent
	export log_from=0
	fetch_big client 192.0.2.1:443 cloud.example.com
	fetch_big client '[2001:db8:1::1]:443' cloud.example.com
	fetch_big client 198.51.100.1:443 beside.example.com
	fetch_big client '[2001:db8:2::1]:443' beside.example.com
	wait_for_flow 'client=192.0.2.10:.* listener=192.0.2.1:443 name=cloud.example.com'
	wait_for_flow 'listener=\[2001:db8:1::1\]:443 name=cloud.example.com'
	run ! flow_line name=beside.example.com
}

@test "a port that another server holds: who it is, the others are served, taken when free" {
	begin --backends 1
	start_nginx backend1 ssl cloud.example.com
	routes <<-'END'
		listen add 8443
		route add cloud.example.com 198.51.100.11:443
	END
	nginx_ipv4=192.0.2.1 nginx_ipv6='[2001:db8:1::1]' \
		start_nginx router ssl beside.example.com
	local nginx=$started

	run ! snictl listen add 443
	assert_output --partial nginx
	run snictl listen list
	assert_line --regexp '^443 .*nginx'
	run snictl status
	assert_output --partial nginx
	fetch_big client 192.0.2.1:8443 cloud.example.com
	fetch_big client 192.0.2.1:443 beside.example.com

	lab_stop "$nginx"
	wait_until fetch_big client 192.0.2.1:443 cloud.example.com
	fetch_big client '[2001:db8:1::1]:443' cloud.example.com
	run -0 snictl listen list
	refute_output --partial nginx
}
