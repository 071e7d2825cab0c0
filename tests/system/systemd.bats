#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The service under a real systemd, in a container: systemd/service is what
# happens there.

# shellcheck disable=SC2154 # set by what is loaded
load common

setup() {
	local program
	for program in systemd-nspawn nginx curl; do
		[[ $(command -v "$program") ]] ||
			skip "SKIP: no $program: the service was not tried"
	done
	folder=$BATS_TEST_TMPDIR/container
	mkdir "$folder"
}

@test "install, enable, add a route, fetch, kill -9, stop, boot again, fetch, uninstall" {
	BUILD=$build run timeout 180 unshare --mount --pid --fork \
		--kill-child --mount-proc \
		"$BATS_TEST_DIRNAME/systemd/service" "$folder"
	assert_success
	assert_line --partial 'the service has started by itself'
	assert_line --partial 'fetched: backend pbx.example.com 127.0.0.1'
	assert_line --partial 'uninstalled'
}
