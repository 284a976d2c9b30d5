# SPDX-License-Identifier: GPL-2.0
#
# make help lists the targets: what stands behind "##" beside each.
#
# make demo and make check install the Debian packages that they need, when root runs them.
# Any other target names them; DEPS_INSTALL=yes installs them there, too.
DEPS_INSTALL ?= no
export DEPS_INSTALL
demo check check-%: DEPS_INSTALL := yes

# The kernels of the tests; the module is built for more: scripts/kernels.list
KERNELS := $(shell scripts/kernels list test)
SHORT := $(shell scripts/kernels list short)
# built by make check; make check-long runs them, too
BUILT := $(filter-out $(KERNELS) $(SHORT),$(shell scripts/kernels list build))
PREFIX ?= /usr/local
BUILD := build/cmake
# Line numbers are enough for a backtrace; all debug information takes a quarter of the time.
CMAKE_FLAGS ?= -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	-DCMAKE_CXX_FLAGS_RELWITHDEBINFO='-O2 -g1 -DNDEBUG'

.PHONY: all tools tests modules demo check check-modules check-newest check-unit \
	check-vm check-arm64 check-boot check-long check-sanitizers check-debug check-live \
	check-patch patch fuzz lint \
	tidy lists pictures site bench install install-tools install-docs install-plugin install-boot deb apt-repo \
	iso netboot clean help

all: tools ## the tools in build/bin, and the plugin

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | \
		while IFS="$$(printf '\t')" read -r target text; do \
			printf 'make %-18s %s\n' "$$target" "$$text"; \
		done

tools: ## the tools, the plugin and the manual pages alone
	@scripts/deps.sh tools
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS) >/dev/null
	@cmake --build $(BUILD) --target product

# With all that tests need: unit tests, mutants, programs for the guests.
tests:
	@scripts/deps.sh tools tests
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS) -DCLOOPW_TESTS=ON >/dev/null
	@cmake --build $(BUILD)

modules: ## the driver for Debian's kernels that the tests run on
	@scripts/deps.sh modules
	@for kernel in $(KERNELS) $(SHORT); do \
		scripts/build-module $$kernel || exit 1; \
	done

demo: ## the main job on a real kernel, in QEMU
	@demo/run

check: ## lint, units, the driver on three kernels, a live system
	@scripts/stages 'style and static checks=lint' \
		'the driver for all kernels=check-modules' \
		'unit tests and crash simulator=check-unit' \
		'the driver on real kernels=check-vm' \
		'a live system=check-boot'

check-modules: ## the driver for each kernel of scripts/kernels.list, without a warning
	@scripts/deps.sh modules lint
	@scripts/check-modules $$(scripts/kernels list build)

check-newest: ## the same for what Debian has by now, perhaps newer than any of the list
	@scripts/deps.sh modules lint
	@scripts/kernels update $$(scripts/kernels list newest)
	@scripts/check-modules $$(scripts/kernels list newest)

check-unit: tests ## unit tests and crash simulator: for a first change
	@scripts/deps.sh unit
	@ctest --test-dir $(BUILD) -j $$(nproc) --output-on-failure \
		--no-tests=error

check-vm: tests modules ## the driver on real kernels, in QEMU
	@tests/vm/check --also 'tests/vm/kill 6.12' --also 'tests/vm/nbd 6.12' \
		--also 'tests/vm/remote 6.12' \
		$(KERNELS) --short $(SHORT)

check-arm64: tests ## the driver and the tools on arm64, with pages of 4 and of 16 KiB
	@scripts/deps.sh modules roots
	@scripts/check-modules $$(scripts/kernels list arm64)
	@scripts/build-cross arm64
	@tests/vm/check --arm64 $$(scripts/kernels list arm64)

check-sanitizers: ## the unit tests under the sanitizers
	@scripts/deps.sh unit
	@scripts/check-sanitizers address,undefined
	@scripts/check-sanitizers thread

tidy: tests ## clang-tidy
	@scripts/deps.sh lint
	@scripts/tidy

# Every parser of files, 20 s each; FUZZ_SECONDS=600 for longer.
FUZZ_SECONDS ?= 20
fuzz: ## every parser of files, under the sanitizers
	@scripts/deps.sh fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

# The kernel is built once.
check-debug: tests ## all tests in a kernel with KASAN and lockdep
	@scripts/build-module debug
	@tests/vm/selftest debug
	@tests/vm/check --cpus 2 debug

# For the kernel of scripts/kernels.list, or the directory, that is named.
PATCH_FOR ?= $(lastword $(SHORT))
patch: ## the driver as patches for a kernel's source; PATCH_FOR=6.12, or a directory
	@scripts/make-patch $(PATCH_FOR)

check-patch: tests ## these for 6.12 and the newest: each step builds, the kernels run
	@scripts/check-patch 6.12 $(SHORT)

check-long: check check-arm64 check-sanitizers check-debug check-live check-patch fuzz site ## all that takes hours
	@scripts/tidy --all
	@for seed in 1 1000001 2000001 3000001; do \
		build/bin/crash-sim --cuts 2500000 --seed $$seed || exit 1; \
	done
	@for suite in bookworm trixie; do \
		tests/newcomer/run $$suite demo demo deb || exit 1; \
		tests/newcomer/run --user $$suite tools || exit 1; \
		tests/deb/run $$suite || exit 1; \
		SUITE=$$suite tests/live/run ram persistent || exit 1; \
	done
	@for kernel in $(BUILT); do scripts/build-module $$kernel || exit 1; done
	@tests/vm/check --cpus 2 $(SHORT) --short $(BUILT)
	@for kernel in $(KERNELS) $(SHORT); do \
		tests/vm/kill --times 20 $$kernel || exit 1; \
		tests/vm/run --mem 2048 --timeout 14400 \
			--disk build/vm/disks/$$kernel.0.img \
			--append 'cloopw_churn=1800 cloopw_replay=all cloopw_kills=500' \
			$$kernel log_churn log_replay kernel_killed || exit 1; \
		tests/vm/boots $$kernel || exit 1; \
		tests/vm/pressure --times 50 $$kernel || exit 1; \
	done
	@for kernel in 6.12 $(lastword $(SHORT)); do \
		tests/vm/run --mem 2048 --timeout 7200 \
			--append 'cloopw_kills=200 cloopw_devices=64' \
			$$kernel ublk_server ublk_many || exit 1; \
	done

lint: tests ## style and static checks
	@scripts/deps.sh lint
	@scripts/lint

lists: ## the lists of the documents that come from the source
	@scripts/lists

pictures: tools ## the pictures of the documents, from docs/pictures
	@scripts/deps.sh pictures
	@scripts/pictures

site: tools ## a static site of the documents, in build/site
	@scripts/deps.sh site
	@scripts/site

bench: tests modules ## figures against the peers
	@scripts/deps.sh bench
	@bench/run

# For this machine's Debian; make deb SUITE=trixie for another.
deb: ## Debian packages, in build/deb
	@scripts/make-deb $(SUITE)

apt-repo: ## a signed repository of the packages for Debian 12 and 13, in build/apt
	@scripts/apt-repo

# Of the newest stable Debian; make iso SUITE=bookworm for another.
LIVE_SUITE = $(or $(SUITE),trixie)
iso: ## a bootable live system, in build/live
	@live/build $(LIVE_OPTIONS) $(LIVE_SUITE) dbus mokutil

# Into DIR; make netboot DIR=/srv/www/live SUITE=bookworm for others.
netboot: ## what a web server needs to boot machines by network, in build/netboot
	@live/build --name netboot-$(LIVE_SUITE) --netboot $(or $(DIR),build/netboot) \
		$(LIVE_OPTIONS) $(LIVE_SUITE) dbus

# Of this machine's Debian, because no other root is needed to build its packages.
check-boot: export SUITE := $(or $(SUITE),$(shell sed -n 's/^VERSION_CODENAME=//p' /etc/os-release))
check-boot: iso ## boots of the live system: in memory, and with changes kept
	@tests/live/run --at-once=2 ram persistent

check-live: iso ## boots of the live system: what check-boot leaves out, and a room
	@tests/live/run uefi rollback full small stick toram partition \
		failures chroot dracut killed secure-boot convert luks net netboot
	@tests/fleet/run

install: install-tools install-docs install-plugin ## tools, and the module for the running kernel
	@scripts/build-module $$(uname -r)
	install -D -m 644 build/modules/$$(uname -r)/cloopw.ko \
		$(DESTDIR)/lib/modules/$$(uname -r)/extra/cloopw.ko
	strip --strip-debug $(DESTDIR)/lib/modules/$$(uname -r)/extra/cloopw.ko
	[ -n "$(DESTDIR)" ] || depmod

# Installed programs are stripped: 1 MiB of code has 20 of debug information. What is where:
# packaging/CMakeLists.txt. systemd starts cloopw-detach for who enables it:
# systemctl enable --now cloopw-detach.
install-tools: tools
	@cmake --install $(BUILD) --prefix $(PREFIX) --strip --component tools
	[ -n "$(DESTDIR)" ] || udevadm control --reload 2>/dev/null || :

# Where "nbdkit cloopw" finds it.
install-plugin: tools
	@cmake --install $(BUILD) --prefix $(PREFIX) --strip --component plugin

# Manual pages, completion for bash and zsh, the documents.
install-docs: tools
	@cmake --install $(BUILD) --prefix $(PREFIX) --component docs

# root=cloopw for initramfs-tools and dracut
install-boot:
	initramfs/install $(DESTDIR)/

clean: ## all but what was downloaded
	rm -rf $(BUILD) build/bin build/check-modules build/completion build/lib build/log build/man build/modules build/vm
