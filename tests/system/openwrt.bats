#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# OpenWrt's init script, in a root folder of OpenWrt's kind. The programs that
# it starts there: see tests/vm.

# shellcheck disable=SC2154 # set by what is loaded
load common

# As on OpenWrt: /var is a RAM disk, and there is no /run.
setup() {
	root=$BATS_TEST_TMPDIR/root
	mkdir -p "$root"/{etc/init.d,usr,proc,sys/fs/bpf,tmp}
	ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
	ln -s tmp "$root/var"
	install -m 644 "$top/tests/vm/rc.common" "$root/etc/"
	install "$top/tools/openwrt/snictld.init" "$root/etc/init.d/snictld"
}

# init ACTION - then the mounts.
init() {
	# shellcheck disable=SC2016 # for that shell
	unshare --mount sh -ec '
		mount --bind /usr "$1/usr"
		mount -t proc proc "$1/proc"
		chroot "$1" /etc/init.d/snictld "$2"
		chroot "$1" /etc/init.d/snictld "$2" >/dev/null
		grep "$1.*bpf" /proc/mounts | cut -d " " -f 3' - "$root" "$1"
}

@test "make STATIC=1 has all functions of libmnl that are called" {
	local name count=0
	while read -r name; do
		grep -q "[ *]$name(" "$top/tools/static/libmnl.c" ||
			fail "tools/static/libmnl.c has no $name()"
		count=$((count + 1))
	done < <(grep -oh '\<mnl_[a-z0-9_]*(' "$top"/userspace/*.c |
		tr -d '(' | sort -u)
	((count > 10))
}

@test "procd is told how to run the agent" {
	run init start
	assert_success
	assert_output - <<-'END'
		open_instance
		command /usr/sbin/snictld
		respawn 10 1 5
		limits nofile=1048576 1048576
		term_timeout 60
		no_new_privs 1
		stderr 1
		close_instance
		bpf
	END
}

@test "rc.common is told when to run it" {
	run init about
	assert_success
	assert_line '50 50 1'
}

@test "the state survives /var, and nobody else reads it" {
	init start
	touch "$root/etc/snictl/state"
	rm -r "$root"/tmp/*
	init start
	assert_equal "$(readlink "$root/var/lib/snictl")" /etc/snictl
	assert_equal "$(stat -c %a "$root/etc/snictl")" 700
	assert_equal "$(readlink "$root/run")" /var/run
	[[ -e "$root/etc/snictl/state" ]]
}

@test "the time to stop is longer than the drain-timeout" {
	local drain stop
	lab_up
	drain=$(snictl listen del 443 && snictl set list --json |
		jq -er '.. | objects | select(.name? == "drain-timeout")
			| .default')
	stop=$(init start | sed -n 's/^term_timeout //p')
	[[ $drain == *s ]]
	((stop > ${drain%s}))
}
