# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `make help` lists the targets. All output goes to $(BUILD).

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
CC ?= gcc
CLANG ?= clang
PKG_CONFIG ?= pkg-config
VERSION := 0.1.0

LIBRARIES := libbpf libmnl jansson smartcols libidn2 libsodium libcap-ng
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion \
	-Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wundef -Wvla -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
ifneq (,$(findstring gcc,$(shell $(CC) --version 2>/dev/null)))
WARNINGS += -Wduplicated-cond -Wduplicated-branches -Wlogical-op \
	-Wnull-dereference
endif
# CI=true turns warnings into errors.
WARNINGS += $(if $(CI),-Werror)
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE \
	$(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
OPTIMISE ?= -O2 -g
SANITIZE ?=
CFLAGS += -std=gnu17 -D_GNU_SOURCE -pthread $(OPTIMISE) $(WARNINGS) \
	$(if $(SANITIZE),,$(HARDENING)) $(SANITIZE) \
	-isystem $(BUILD) -DSNICTL_VERSION='"$(VERSION)"' \
	$(shell $(PKG_CONFIG) --cflags $(LIBRARIES) 2>/dev/null)
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now $(SANITIZE)
LDLIBS += $(shell $(PKG_CONFIG) --libs $(LIBRARIES) 2>/dev/null)

LIBRARY_SOURCES := $(filter-out userspace/snictld.c,$(wildcard userspace/*.c))
CLI_SOURCES := $(wildcard cli/*.c)
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
TOOL_SOURCES := $(wildcard tests/tools/*.c)

object = $(patsubst %.c,$(BUILD)/%.o,$(1))
PROGRAMS := $(BUILD)/snictl $(BUILD)/snictld
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SOURCES))
TOOLS := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(TOOL_SOURCES))

.DELETE_ON_ERROR:
.PHONY: all
all: $(PROGRAMS) ## build both programs

# ---- build ------------------------------------------------------------------

# The layout hash: abi.h without comments and white space, so that only a
# change of the layout is one, whatever the compiler.
$(BUILD)/abi_hash.h: bpf/abi.h
	@mkdir -p $(@D)
	@printf '#define ABI_LAYOUT_HASH 0x%sULL\n' "$$(tr -s ' \t\n' ' ' <$< | \
		sed 's#/\*\([^*]\|\*\+[^*/]\)*\*\+/##g' | tr -d ' ' | \
		sha256sum | cut -c1-16)" >$@

$(BUILD)/%.o: %.c $(BUILD)/abi_hash.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libsnictl.a: $(call object,$(LIBRARY_SOURCES))
	$(RM) $@
	$(AR) rcs $@ $^

$(BUILD)/snictl: $(call object,$(CLI_SOURCES)) $(BUILD)/libsnictl.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/snictld: $(BUILD)/userspace/snictld.o $(BUILD)/libsnictl.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(UNITS): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsnictl.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(TOOLS): $(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(BUILD)/libsnictl.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: unit
unit: $(UNITS) ## build and run the unit tests
	@for test in $(UNITS); do $$test || exit 1; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- install ----------------------------------------------------------------

SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
# With DESTDIR nothing but files is touched.
SYSTEMCTL := $(if $(DESTDIR),: ,[ ! -d /run/systemd/system ] || )systemctl

$(BUILD)/snictl.8: cli/snictl.8.in $(BUILD)/snictl
	$(BUILD)/snictl help --mdoc >$@.commands
	sed -e '/@COMMANDS@/{r $@.commands' -e 'd}' $< >$@

.PHONY: install
install: ## build and install below PREFIX (/usr/local)
	$(if $(DESTDIR),,tools/install-deps build)
	$(MAKE) all $(BUILD)/snictl.8
	install -D -t $(DESTDIR)$(SBINDIR) $(PROGRAMS)
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 \
		$(BUILD)/snictl.8 userspace/snictld.8
	install -D -m 644 cli/snictl.bash $(DESTDIR)$(COMPLETIONDIR)/snictl
	sed 's|@SBINDIR@|$(SBINDIR)|' tools/systemd/snictld.service | \
		install -D -m 644 /dev/stdin \
		$(DESTDIR)$(UNITDIR)/snictld.service
	$(SYSTEMCTL) daemon-reload

.PHONY: uninstall
uninstall: ## stop the service, remove programs and maps; the state file stays
	[ ! -e $(DESTDIR)$(UNITDIR)/snictld.service ] || \
		$(SYSTEMCTL) disable --now snictld
	$(if $(DESTDIR),,! [ -x $(SBINDIR)/snictl ] || \
		$(SBINDIR)/snictl unload || [ $$? = 3 ])
	$(RM) $(DESTDIR)$(SBINDIR)/snictl $(DESTDIR)$(SBINDIR)/snictld \
		$(DESTDIR)$(MANDIR)/man8/snictl.8 \
		$(DESTDIR)$(MANDIR)/man8/snictld.8 \
		$(DESTDIR)$(COMPLETIONDIR)/snictl \
		$(DESTDIR)$(UNITDIR)/snictld.service
	$(SYSTEMCTL) daemon-reload

.PHONY: demo
demo: ## show the main job; HOLD=1 keeps it up
	+@tools/demo/demo

.PHONY: clean
clean: ## remove all that was built
	$(RM) -r $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		expand -t 16
