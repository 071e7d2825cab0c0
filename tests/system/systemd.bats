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
	mapfile -t cgroups < <(own_cgroups)
	((${#cgroups[@]} == 0)) || mkdir "${cgroups[@]}"
}

# systemd-nspawn leaves behind what it makes in the cgroup that it runs in, and
# two of them would share it.
teardown() {
	local cgroup
	for cgroup in "${cgroups[@]}"; do
		wait_until is_empty "$cgroup"
		find "$cgroup" -depth -type d -exec rmdir {} \;
	done
}

# own_cgroups - where this test's go, in the hierarchies that systemd uses.
own_cgroups() {
	local controllers path mount
	while IFS=: read -r _ controllers path; do
		case $controllers in
		'') mount=$(findmnt -fno TARGET -t cgroup2) || continue ;;
		name=systemd) mount=/sys/fs/cgroup/systemd ;;
		*) continue ;;
		esac
		echo "$mount${path%/}/snictl-test-$$"
	done </proc/self/cgroup
}

is_empty() {
	[[ ! $(find "$1" -name cgroup.procs -exec cat {} +) ]]
}

# in_cgroups COMMAND... - run in them.
in_cgroups() {
	local cgroup
	for cgroup in "${cgroups[@]}"; do
		echo "$BASHPID" >"$cgroup/cgroup.procs"
	done
	exec "$@"
}

# in_container PROGRAM - systemd/PROGRAM, with namespaces of its own.
in_container() {
	BUILD=$build run in_cgroups timeout 300 unshare --mount --pid --fork \
		--kill-child --mount-proc \
		"$BATS_TEST_DIRNAME/systemd/$1" "$folder"
	assert_success
}

@test "install, enable, reload, restart, kill -9, stop, boot again, uninstall" {
	in_container service
	assert_line --partial "what root has changed is the user's"
	assert_line --partial 'upgraded by a reload, and back'
	# What is relayed is kept too, and goes on.
	assert_line --partial 'systemctl restart: connections open between two processes: 1'
	assert_line --partial 'systemctl restart: a connection answered'
	assert_line --partial 'systemctl restart: a request answered'
	assert_line --partial 'systemctl restart: who connected meanwhile was served'
	assert_line --partial 'systemctl kill: connections open between two processes: 0'
	assert_line --partial 'systemctl kill: a connection ended'
	assert_line --partial 'systemctl kill: a request ended'
	assert_line --partial 'systemctl kill: who connected meanwhile was served'
	assert_line --partial 'stopped'
	assert_line --partial 'the service has started by itself'
	assert_line --partial 'fetched: backend pbx.example.com 127.0.0.1'
	assert_line --partial 'uninstalled'
}

@test "Debian package: install, upgrade with a connection open, remove, purge" {
	[[ $(command -v dh) && $(command -v lintian) ]] ||
		skip 'SKIP: no debhelper or lintian: the package was not built'
	in_container package
	assert_line --partial 'upgraded: a relayed connection answered'
	assert_line --partial 'a version that cannot start has changed nothing'
	assert_line --partial 'removed, but for the routes'
	assert_line --partial 'purged'
}
