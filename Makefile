# What is needed beyond Go is installed by `make deps`, as root on Debian. All
# other targets work without it, with what is there.

KERNELS := $(CURDIR)/.cache/kernels
LINT    := v2.15.0

# The tests: private hosts (iproute2), terminals (script), other kernels (qemu and
# the archive tool that reads our initrd). The BPF compiler is pinned, so that what
# is generated can be compared with what is committed.
PACKAGES := iproute2 nftables bsdutils cpio xz-utils qemu-system-x86 ca-certificates \
            clang-14 llvm-14 libbpf-dev \
            libhivex-bin libwin-hivex-perl reglookup chntpw registry-tools ntfs-3g \
            samba smbclient samba-common-bin \
            chromium util-linux \
            wine wine64 gcc-mingw-w64-x86-64-win32 systemd procps tmux

.PHONY: build test deps generate kernels race fuzz bench man lint

build:
	go build ./cmd/portroom

test: deps generate kernels
	PORTROOM_KERNELS=$(KERNELS) go test -timeout 30m ./...

deps:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "deps: not root on Debian: tests whose means are missing are skipped"; \
	elif ! dpkg-query -W $(PACKAGES) >/dev/null 2>&1; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	fi

generate:
	@if command -v clang-14 >/dev/null; then go generate ./...; \
	else echo "generate: clang-14 is missing: the committed BPF objects are used as they are"; [ "$$CI" != true ]; fi

kernels:
	@if command -v apt-get >/dev/null; then test/vm/kernels.sh $(KERNELS); \
	else echo "kernels: no apt-get: the law is held against this kernel only"; fi

# Of the command the scripts only: the other tests start it some thousand times, or go by
# the clock, which a program with the detector in it is too slow for.
race:
	go test -race ./socket ./pool ./trace ./internal/survey ./internal/top ./internal/flight
	go test -race -run '^TestScripts$$' ./internal/cli

# Each fuzz target so many times; a number, because go test sometimes fails when a
# duration runs out ("context deadline exceeded").
FUZZ ?= 100000x
fuzz:
	@set -e; for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ) $$p; \
		done; \
	done

# Side by side with ss(8), as root; docs/performance.md keeps what was measured.
bench:
	go run ./test/bench

man:
	go run ./internal/man man

lint:
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT) run ./...
