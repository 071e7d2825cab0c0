#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# No room for a file: the old state holds, in the files and in the maps, nothing
# half-written is left, and whoever asked is told.

# shellcheck disable=SC2154 # set by what is loaded
load common

setup() {
	lab_up
	disk=$lab_path/run/disk
	mkdir "$disk"
	mount -t tmpfs -o size=64k disk "$disk"
	export SNICTL_STATE=$disk/state
	config=$BATS_TEST_TMPDIR/config
	bans=$BATS_TEST_TMPDIR/bans
	# Longer than the 1 KiB to which a file is limited below.
	{
		echo 'listen add 443'
		printf 'route add %s.example drop\n' {1..100}
	} | snictl apply - >/dev/null
	printf '203.0.113.%s\n' {1..100} >"$bans"
	snictl ban import "$bans" >/dev/null
	snictl ban import "$bans" --set list >/dev/null
	snictl ban allow add 192.0.2.77
	{
		echo 'listen add 8443'
		printf 'route add %s.example reject\n' {1..100}
	} >"$config"
}

teardown() {
	umount "$disk"
	common_teardown
}

# all_state - as the maps have it, and as the files do.
all_state() {
	snictl save
	snictl ban list --json
	snictl ban list --set list --json
	snictl ban allow list
	(cd "$disk" && sha256sum state*)
}

# Everything that writes a file.
commands=(
	'route add b.example drop'
	'route replace 1.example reject'
	'route del 1.example'
	'set hello-timeout 8s'
	'listen add 8443'
	'listen del 443'
	'apply CONFIG'
	'ban add 203.0.113.200'
	'ban del 203.0.113.1'
	'ban import BANS --set other'
	'ban allow add 192.0.2.78'
	'ban allow del 192.0.2.77'
)

# refused WHY [WRAPPER...] - each command is, and has changed nothing.
refused() {
	local why=$1 before command
	local -a words
	shift
	before=$(all_state)
	printf '%s\n' 203.0.113.128/25 >>"$bans"
	for command in "${commands[@]}"; do
		command=${command/CONFIG/$config}
		read -r -a words <<<"${command/BANS/$bans}"
		run lab_exec router "$@" "$build/snictl" "${words[@]}"
		assert_failure 1
		assert_line --regexp "^snictl: $disk/state.*: $why: nothing was changed$"
		assert_equal "$command: $(all_state)" "$command: $before"
		assert_equal "$command: $(find "$disk" -name '*.new')" "$command: "
	done
}

@test "a full disk" {
	cat /dev/zero >"$disk/filler" 2>/dev/null || true
	commands+=('ban import /dev/null --set list')
	refused 'No space left on device'
	rm "$disk/filler"
	snictl route add b.example drop
	snictl ban add 203.0.113.200
}

@test "a file must not grow so large" {
	# shellcheck disable=SC2016 # for that shell
	local -a limited=(bash -c 'ulimit -f 1; exec "$@"' -)
	refused 'File too large' "${limited[@]}"
	# A set that goes leaves a short file, and then a long one.
	run lab_exec router "${limited[@]}" "$build/snictl" \
		ban import /dev/null --set list
	assert_failure 1
	assert_output 'snictl: the set "list" is empty, but could not be removed: File too large'
	assert_equal "$(snictl ban list --set list --json)" '[]'
	snictl ban import /dev/null --set list
	run ! snictl ban list --set list
}
