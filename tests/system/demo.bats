#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `make demo`, run to its end, held, interrupted, and beside another.

# shellcheck disable=SC2154 # set by what is loaded
load common

setup() {
	export BUILD=$build
	# Its labs are told from those of others by their folder.
	export NETLAB_DIR=$BATS_TEST_TMPDIR/netlab
}

teardown() {
	[[ ! ${held:-} ]] || kill -KILL "$held" 2>/dev/null || true
	for lab in $("$netlab" list); do
		"$netlab" down "$lab"
	done
}

# hold - start a demo that stays up; its pid is $held.
hold() {
	mkfifo "$BATS_TEST_TMPDIR/enter"
	exec {enter}<>"$BATS_TEST_TMPDIR/enter"
	# A shell lets what it starts in the background ignore SIGINT.
	HOLD=1 env --default-signal=INT "$top/tools/demo/demo" \
		<"$BATS_TEST_TMPDIR/enter" >"$BATS_TEST_TMPDIR/held" 2>&1 \
		{enter}>&- 3>&- &
	held=$!
	wait_until grep -q '^Enter or Ctrl-C' "$BATS_TEST_TMPDIR/held" || {
		cat "$BATS_TEST_TMPDIR/held"
		return 1
	}
}

# end_of_held - its exit status is $status, its output $output.
end_of_held() {
	status=0
	wait "$held" || status=$?
	held=
	output=$(<"$BATS_TEST_TMPDIR/held")
}

assert_removed() {
	run "$netlab" list
	assert_output ''
}

@test "every server sees its name and the client, over IPv4 and IPv6" {
	run "$top/tools/demo/demo" </dev/null
	assert_success
	local name server row
	for row in pbx.example.com:backend1 cloud.example.com:backend2 \
		www.example.net:router; do
		name=${row%:*} server=${row#*:}
		assert_line --regexp "^ *$name +IPv4 +$server +$name +192.0.2.10 "
		assert_line --regexp \
			"^ *$name +IPv6 +$server +$name +2001:db8:1::10 "
	done
	assert_removed
}

@test "a held demo lasts until Enter, and another runs beside it" {
	hold
	run "$top/tools/demo/demo" </dev/null
	assert_success
	[[ $("$netlab" list | wc -l) == 1 ]]
	echo >&"$enter"
	end_of_held
	assert_equal "$status" 0
	assert_removed
}

@test "Ctrl-C removes everything" {
	hold
	kill -INT "$held"
	end_of_held
	assert_equal "$status" 130
	assert_removed
}

@test "a wrong answer is a failure, and everything is removed" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho backend1 pbx.example.com 198.51.100.1; echo 0\n' \
		>"$BATS_TEST_TMPDIR/bin/curl"
	chmod +x "$BATS_TEST_TMPDIR/bin/curl"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run "$top/tools/demo/demo" </dev/null
	assert_failure 1
	assert_output --partial WRONG
	assert_removed
}
