# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `make help` lists the targets. All output goes to $(BUILD).

PREFIX ?= /usr/local
DESTDIR ?=
# STATIC=1: programs that need nothing of the machine they run on.
STATIC ?=
BUILD ?= build$(if $(STATIC),/static)
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
VERSION := 0.1.0

# ---- flags ------------------------------------------------------------------
# What asks a program is expanded at its first use, and once: on a fresh
# machine make is read before there is a pkg-config or a compiler.

once = $(eval $(1) := $(2))$($(1))

LIBRARIES := libxdp libbpf libmnl jansson smartcols libidn2 libsodium libcap-ng
pkg_config = $(if $(shell $(PKG_CONFIG) --exists $(LIBRARIES) && echo found),\
	$(shell $(PKG_CONFIG) $(1) $(LIBRARIES)),\
	$(error a library is missing; as root: make deps))
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(call pkg_config,--cflags))
PKG_LIBS = $(call once,PKG_LIBS,$(call pkg_config,$(if $(STATIC),--static) \
	--libs))
GCC_WARNINGS = $(call once,GCC_WARNINGS,$(if $(findstring Free Software,\
	$(shell $(CC) --version)),-Wduplicated-cond -Wduplicated-branches \
	-Wlogical-op -Wnull-dereference))
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion \
	-Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wundef -Wvla -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough \
	$(GCC_WARNINGS) $(if $(CI),-Werror) # CI=true: a warning is an error
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE \
	$(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
OPTIMISE ?= -O2 -g
# Flags of a sanitizer; the hardening would be in its way.
SANITIZE ?=
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -pthread $(OPTIMISE) $(WARNINGS) \
	$(or $(SANITIZE),$(HARDENING)) -isystem $(BUILD) \
	-DSNICTL_VERSION='"$(VERSION)"' $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(if $(STATIC),-static-pie -L$(BUILD),-pie) -pthread \
	-Wl,-z,relro,-z,now,--as-needed $(SANITIZE) $(LDFLAGS)

# ---- files ------------------------------------------------------------------

LIBRARY_SOURCES := $(filter-out userspace/snictld.c,$(wildcard userspace/*.c))
CLI_SOURCES := $(wildcard cli/*.c)
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
TRAFFIC_SOURCES := $(wildcard tests/traffic/*.c)
TOOL_SOURCES := $(wildcard tests/tools/*.c tools/netlab/*.c)
SOURCES := $(wildcard userspace/*.c) $(CLI_SOURCES) $(UNIT_SOURCES) \
	$(wildcard tests/fuzz/*.c) $(TRAFFIC_SOURCES) $(TOOL_SOURCES) \
	tools/static/libmnl.c
BPF_SOURCES := $(wildcard bpf/*.bpf.c)
SKELETONS := $(BPF_SOURCES:bpf/%.bpf.c=$(BUILD)/%.skel.h)
HEADERS := $(wildcard bpf/*.h userspace/*.h cli/*.h tests/*/*.h)
# Shell programs, wherever they are: bash and sh.
SCRIPTS = $(shell git ls-files -co --exclude-standard | xargs -r grep -sIlE \
	'^\#!/bin/(ba)?sh|^\# shellcheck shell=' | grep -v '\.bats$$')
PAGES := $(BUILD)/snictl.8 userspace/snictld.8

object = $(patsubst %.c,$(BUILD)/%.o,$(1))
PROGRAMS := $(BUILD)/snictl $(BUILD)/snictld
UNITS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))
REPLAYS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz/replay_%,\
	$(FUZZ_SOURCES))
TRAFFIC := $(BUILD)/tests/tools/traffic
TOOLS := $(patsubst %.c,$(BUILD)/%,$(TOOL_SOURCES)) $(TRAFFIC)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(PROGRAMS) $(BUILD)/snictl.8 ## build programs and manual; STATIC=1: without libraries

# ---- build ------------------------------------------------------------------

# The layout hash: abi.h without comments and white space, so that only a
# change of the layout is one, whatever the compiler.
$(BUILD)/abi_hash.h: bpf/abi.h
	@mkdir -p $(@D)
	@printf '#define ABI_LAYOUT_HASH 0x%sULL\n' "$$(tr -s ' \t\n' ' ' <$< | \
		sed 's#/\*\([^*]\|\*\+[^*/]\)*\*\+/##g' | tr -d ' ' | \
		sha256sum | cut -c1-16)" >$@

define compile
@mkdir -p $(@D)
$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
endef

$(BUILD)/%.o: %.c $(BUILD)/abi_hash.h
	$(compile)

# The kernel's side, and the header that carries it into the program.
define compile_bpf
@mkdir -p $(@D)
$(CLANG) -target bpf -mcpu=v3 -std=gnu17 -O2 -g -Wall -Wextra \
	$(if $(CI),-Werror) -idirafter \
	/usr/include/$(shell $(CC) -print-multiarch) -MMD -MP -c -o $@ $<
endef

$(BUILD)/bpf/%.o: bpf/%.c
	$(compile_bpf)

$(BUILD)/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf >$@

$(BUILD)/userspace/sockmap.o: $(BUILD)/sockmap.skel.h
$(BUILD)/userspace/edge_program.o: $(BUILD)/edge.skel.h
$(BUILD)/userspace/splice.o: $(BUILD)/splice.skel.h
$(BUILD)/userspace/splice_guard.o: $(BUILD)/splice_guard.skel.h

$(BUILD)/libsnictl.a: $(call object,$(LIBRARY_SOURCES))
	$(RM) $@
	$(AR) rcs $@ $^

# Of these Debian has no archives.
ARCHIVES := $(BUILD)/libmnl.a $(BUILD)/libsmartcols.a
ifneq ($(STATIC),)
$(BUILD)/libsnictl.a $(TRAFFIC): | $(ARCHIVES)
endif

$(BUILD)/libmnl.a: $(BUILD)/tools/static/libmnl.o
	$(AR) rcs $@ $^

$(BUILD)/libsmartcols.a:
	@mkdir -p $(@D)
	tools/install-deps build static
	tools/static/libsmartcols $@

# Whoever runs the old program goes on with that: $(call link,MORE LIBRARIES)
define link
@mkdir -p $(@D)
$(CC) $(ALL_LDFLAGS) -o $@.new $^ $(PKG_LIBS) $(1)
@mv $@.new $@
endef

$(BUILD)/snictl: $(call object,$(CLI_SOURCES)) $(BUILD)/libsnictl.a
	$(call link)

$(BUILD)/snictld: $(BUILD)/userspace/snictld.o $(BUILD)/libsnictl.a
	$(call link)

# One that dies where it is told to: userspace/crash.h.
CRASHING := $(shell grep -l '"crash.h"' $(LIBRARY_SOURCES))
$(BUILD)/crashing/%.o: %.c $(BUILD)/%.o
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -DCRASH_POINTS -c -o $@ $<

$(BUILD)/crashing/snictld: $(CRASHING:%.c=$(BUILD)/crashing/%.o) \
		$(BUILD)/userspace/snictld.o $(BUILD)/libsnictl.a
	$(call link)

# Some whose splice does one thing wrong, for the agent's test of it to find.
BROKEN := $(patsubst tests/system/broken/%.sed,$(BUILD)/broken/%/snictld,\
	$(wildcard tests/system/broken/*.sed))
$(BUILD)/broken/%/splice.bpf.c: tests/system/broken/%.sed bpf/splice.bpf.c \
		$(wildcard bpf/*.h)
	@mkdir -p $(@D)
	cp bpf/splice.bpf.c bpf/*.h $(@D)
	sed -i -f $< $(@D)/*.[ch]
	diff -q bpf $(@D) | grep -q '^Files' # or it breaks nothing any more

$(BUILD)/broken/%/splice.bpf.o: $(BUILD)/broken/%/splice.bpf.c
	$(compile_bpf)

$(BUILD)/broken/%/splice.skel.h: $(BUILD)/broken/%/splice.bpf.o
	$(BPFTOOL) gen skeleton $< name splice_bpf >$@

$(BUILD)/broken/%/splice.o: userspace/splice.c $(BUILD)/broken/%/splice.skel.h
	$(CC) $(CPPFLAGS) -isystem $(@D) $(ALL_CFLAGS) -c -o $@ $<

$(BROKEN): $(BUILD)/broken/%/snictld: $(BUILD)/broken/%/splice.o \
		$(BUILD)/userspace/snictld.o $(BUILD)/libsnictl.a
	$(call link)

$(UNITS): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsnictl.a
	$(call link,-lcmocka)

$(REPLAYS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o \
		$(BUILD)/tests/fuzz/replay.o $(BUILD)/libsnictl.a
	$(call link)

$(TRAFFIC): $(call object,$(TRAFFIC_SOURCES))
	$(call link,-lm)

$(filter-out $(TRAFFIC),$(TOOLS)): %: %.o $(BUILD)/libsnictl.a
	$(call link)

# For the tests of upgrades the next version, and one with other maps: only what
# knows its version is compiled again.
NEXT := $(BUILD)/next/snictld $(BUILD)/other/snictld $(BUILD)/other/snictl
VERSIONED := $(shell grep -lE 'SNICTL_VERSION|ABI_VERSION|STORE_PINS' \
	userspace/*.c cli/*.c)
versioned = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(filter $(2),$(VERSIONED)))

$(BUILD)/next/%.o: private VERSION := $(VERSION)+next
$(BUILD)/other/%.o: private CPPFLAGS += -DABI_VERSION=999
$(BUILD)/next/%.o: %.c $(BUILD)/abi_hash.h
	$(compile)
$(BUILD)/other/%.o: %.c $(BUILD)/abi_hash.h
	$(compile)

$(BUILD)/next/snictld: $(call versioned,next,userspace/%) $(BUILD)/libsnictl.a
	$(call link)

$(BUILD)/other/snictld: $(call versioned,other,userspace/%) $(BUILD)/libsnictl.a
	$(call link)

$(BUILD)/other/snictl: $(call versioned,other,cli/% userspace/store%) \
		$(call object,$(filter-out $(VERSIONED),$(CLI_SOURCES))) \
		$(BUILD)/libsnictl.a
	$(call link)

# The commands' section is made from the table that parses them.
$(BUILD)/snictl.8: cli/snictl.8.in $(BUILD)/snictl
	$(BUILD)/snictl help --mdoc >$@.commands
	sed -e '/^@COMMANDS@$$/{r $@.commands' -e 'd}' $< >$@

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)

.PHONY: tools tests
tools: $(TOOLS) ## build what tests, demo and bench use
tests: all tools $(UNITS) $(REPLAYS) $(NEXT) $(BROKEN) $(BUILD)/crashing/snictld ## build all that `make test` runs

# ---- tests ------------------------------------------------------------------

.PHONY: deps test check unit seeds system test-vm soak fuzz sanitize coverage
deps: ## install the Debian packages that building, tests and demo need
	tools/install-deps

PARTS ?= builds lint unit seeds system
test: ## install what it needs, build and pass everything but test-vm
	tools/install-deps build demo test lint deb $(filter vm,$(PARTS))
	BUILD=$(BUILD) tests/run $(PARTS)

check: ## the quick part of the tests: lint, unit and seeds
	BUILD=$(BUILD) tests/run lint unit seeds

unit seeds system: ## run one part of the tests (system: F=FILE for one file)
	BUILD=$(BUILD) FILES="$(F)" tests/run $@

test-vm: ## pairs, agent and traffic on other kernels, in emulated machines
	tools/install-deps build static test vm
	BUILD=$(BUILD) tests/run vm

soak: tests ## 500,000 connections, stalled readers, 300 deaths: an hour
	BUILD=$(BUILD) DEATHS=100 RATE=2600 PAUSE_MS=1000 PATIENCE=60 bats --tap tests/system/survives-*.bats
	BUILD=$(BUILD) bats --tap tests/soak

# With clang's own run-time library of sanitizers; see tests/fuzz/README.md.
FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(FUZZ_SOURCES))
fuzz: ## search with each fuzzer for FUZZ_SECONDS (60); F=NAME for one
	$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/fuzz OPTIMISE='-O1 -g' \
		SANITIZE='-fsanitize=address,undefined,fuzzer-no-link \
		-fno-sanitize-recover=all' \
		$(addprefix run-,$(or $(F:%=fuzz_%),$(FUZZERS)))

FUZZ_PROGRAMS := $(addprefix $(BUILD)/,$(FUZZERS))
$(FUZZ_PROGRAMS): $(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o \
		$(BUILD)/libsnictl.a
	$(call link,-fsanitize=fuzzer)

.PHONY: $(addprefix run-,$(FUZZERS))
$(addprefix run-,$(FUZZERS)): run-fuzz_%: $(BUILD)/fuzz_%
	@mkdir -p $(BUILD)/corpus/$* $(BUILD)/found
	$< -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
		-artifact_prefix=$(BUILD)/found/$*- $(BUILD)/corpus/$* \
		$(wildcard tests/fuzz/seeds/$*)

sanitize: ## unit tests, seeds and system tests with ASan and UBSan
	BUILD=$(BUILD)/sanitize PATIENCE=60 \
		MAKE_OPTIONS="SANITIZE='-fsanitize=address,undefined \
		-fno-sanitize-recover=all' OPTIMISE='-O1 -g'" \
		tests/run unit seeds system

coverage: ## which lines unit tests, seeds and system tests reach
	tools/install-deps coverage
	BUILD=$(BUILD)/coverage PATIENCE=60 \
		MAKE_OPTIONS="SANITIZE=--coverage OPTIMISE='-O0 -g'" \
		tests/run unit seeds system
	gcovr --root . --object-directory $(BUILD)/coverage \
		--filter userspace/ --filter cli/ --sort-uncovered \
		--html-details $(BUILD)/coverage/index.html \
		--txt $(BUILD)/coverage/summary.txt
	@cat $(BUILD)/coverage/summary.txt

# ---- lint -------------------------------------------------------------------

LINTS := format cppcheck tidy shell spelling manual layers
.PHONY: lint format $(LINTS:%=lint-%)
lint: $(LINTS:%=lint-%) ## all static checks

format: ## lay out the C code
	clang-format-14 -i $(SOURCES) $(BPF_SOURCES) $(HEADERS)

lint-format:
	clang-format-14 --dry-run -Werror $(SOURCES) $(BPF_SOURCES) $(HEADERS)

# It knows neither ownership by cleanup nor libbpf's macro.
lint-cppcheck: $(BUILD)/abi_hash.h $(SKELETONS)
	cppcheck --quiet --enable=warning,performance,portability \
		--std=c11 --error-exitcode=1 -j2 -I$(BUILD) -D_GNU_SOURCE \
		-DSNICTL_VERSION='""' \
		'-DLIBBPF_OPTS(type,name,...)=struct type name = {__VA_ARGS__}' \
		--suppress=missingIncludeSystem --suppress=memleak \
		--suppress=resourceLeak --suppress=uninitvar \
		--suppress=invalidPrintfArgType_uint \
		--suppress=invalidPrintfArgType_sint $(SOURCES)

# Checks of one kind for all sources, side by side; see .clang-tidy.
TIDIED := $(SOURCES:%.c=$(BUILD)/tidy/%)
ANALYSED := $(SOURCES:%.c=$(BUILD)/analysis/%)
.PHONY: analyse
lint-tidy: $(TIDIED)
analyse: $(ANALYSED) ## clang's static analyser; it takes minutes
$(TIDIED): CHECKS := -clang-analyzer-*
$(ANALYSED): CHECKS := clang-diagnostic-*
$(TIDIED): $(BUILD)/tidy/%: %.c
$(ANALYSED): $(BUILD)/analysis/%: %.c
$(TIDIED) $(ANALYSED): $(HEADERS) .clang-tidy $(BUILD)/abi_hash.h \
		$(SKELETONS)
	@mkdir -p $(@D)
	@clang-tidy-14 --quiet --warnings-as-errors='*' --checks='$(CHECKS)' \
		$(filter %.c,$^) -- -std=gnu17 -D_GNU_SOURCE -isystem $(BUILD) \
		$(PKG_CFLAGS) -DSNICTL_VERSION='"$(VERSION)"' 2>$@.log || \
		{ cat $@.log; exit 1; }
	@touch $@

# What common.bash sets, and what is set for it, it does not see.
lint-shell:
	shellcheck -x $(SCRIPTS)
	shellcheck -s bats --severity=warning --exclude=SC2034,SC2154 \
		$(wildcard tests/system/*.bats tests/system/*/*.bats)

lint-spelling:
	git ls-files -co --exclude-standard | \
		grep -v '^tests/fuzz/seeds/' | \
		xargs codespell --ignore-words-list=nd,bu,te,unknow,lsit

lint-manual: $(PAGES)
	mandoc -Tlint -Wwarning $(PAGES)

lint-layers:
	tools/check-layers

# ---- use --------------------------------------------------------------------

sbindir = $(DESTDIR)$(PREFIX)/sbin
mandir = $(DESTDIR)$(PREFIX)/share/man/man8
completiondir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
unitdir = $(DESTDIR)$(PREFIX)/lib/systemd/system
sysusersdir = $(DESTDIR)$(PREFIX)/lib/sysusers.d
# On this machine, not into a package, and where systemd runs.
live = [ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] ||

.PHONY: install uninstall deb demo
install: ## build and install into DESTDIR, PREFIX (/usr/local)
	$(if $(DESTDIR),,[ ! -x /usr/bin/apt-get ] || tools/install-deps build)
	$(MAKE) --no-print-directory all
	install -d $(sbindir) $(mandir) $(completiondir) $(unitdir) \
		$(sysusersdir)
	install $(PROGRAMS) $(sbindir)
	install -m 644 $(PAGES) $(mandir)
	install -m 644 cli/snictl.bash $(completiondir)/snictl
	sed 's|@SBINDIR@|$(PREFIX)/sbin|' tools/systemd/snictld.service \
		>$(unitdir)/snictld.service
	chmod 644 $(unitdir)/snictld.service
	install -m 644 tools/systemd/snictl.sysusers $(sysusersdir)/snictl.conf
	@$(live) systemd-sysusers snictl.conf
	@$(live) systemctl daemon-reload

uninstall: ## remove it, and what it keeps in the kernel
	@$(live) [ ! -e $(unitdir)/snictld.service ] || \
		systemctl disable --now snictld
	@# 3: there is no bpffs, and so nothing on it.
	[ -n "$(DESTDIR)" ] || [ ! -x $(sbindir)/snictl ] || \
		$(sbindir)/snictl unload || [ $$? = 3 ]
	$(RM) $(PROGRAMS:$(BUILD)/%=$(sbindir)/%) $(mandir)/snictl.8 \
		$(mandir)/snictld.8 $(completiondir)/snictl \
		$(unitdir)/snictld.service $(sysusersdir)/snictl.conf
	@$(live) systemctl daemon-reload

# Version and what building needs are kept in one place, here and in
# tools/dependencies. The package's own make gets nothing of this one's.
DEB := $(BUILD)/deb/snictl
deb: ## build the Debian package, and have lintian look at it: $(BUILD)/deb
	tools/install-deps build deb
	$(RM) -r $(BUILD)/deb
	mkdir -p $(DEB)
	cp -r --parents Makefile bpf cli userspace tools/systemd $(DEB)
	cp -r tools/debian $(DEB)/debian
	sed -i 's/@VERSION@/$(VERSION)/; s/@DATE@/$(shell date -Rr Makefile)/' \
		$(DEB)/debian/changelog
	sed -i "s/@BUILD@/$$(sed -n 's/^build: //p' tools/dependencies | \
		sed 's/ /, /g')/" $(DEB)/debian/control
	cd $(DEB) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD \
		dpkg-buildpackage --build=binary --no-sign
	lintian --fail-on error,warning $(BUILD)/deb/*.changes

demo: ## show the main job in network namespaces; HOLD=1 keeps it up
	@BUILD=$(BUILD) tools/demo/demo

-include tools/bench/bench.mk

# ---- the rest ---------------------------------------------------------------

.PHONY: clean help
clean: ## remove all that was built
	$(RM) -r $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		expand -t 20
