#!/usr/bin/env bash
# Puts the kernels that the law is held against into a directory:
#
#   kernels.sh DIR     makes DIR/5.10, DIR/6.1 and DIR/6.12, each with a vmlinuz and
#                      the modules of sock_diag
#
# They are Debian's cloud kernels of three releases, from the mirror that this
# system's own apt sources name, checked against Debian's archive keys. What is
# there already is kept.
set -euo pipefail

dir=${1:?usage: kernels.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

die() {
	echo "kernels.sh: $*" >&2
	exit 1
}

# mirror prints the address of the Debian archive in use.
mirror() {
	{ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
		awk '!/^[[:space:]]*#/ { for (i = 1; i <= NF; i++) if (!found && $i ~ /^[a-z+]+:.*\/debian\/?$/) { print $i; found = 1 } }'
}

# get VERSION SUITE fetches the kernel that starts with VERSION from SUITE.
get() {
	local version=$1 suite=$2 to=$dir/$1 tmp name
	[ -s "$to/vmlinuz" ] && return
	tmp=$(mktemp -d)
	mkdir -p "$tmp/lists/partial" "$tmp/archives/partial" "$tmp/parts"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $url $suite main" >"$tmp/sources.list"
	local opts=(-qq -o "Dir::Etc::sourcelist=$tmp/sources.list" -o "Dir::Etc::sourceparts=$tmp/parts"
		-o "Dir::State::lists=$tmp/lists" -o "Dir::Cache::archives=$tmp/archives"
		-o "Dir::Cache::pkgcache=$tmp/pkgcache.bin" -o "Dir::Cache::srcpkgcache=$tmp/srcpkgcache.bin"
		-o Acquire::Languages=none -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false)
	apt-get "${opts[@]}" update || die "cannot read the package lists of $suite at the mirror in use"
	name=$(apt-cache "${opts[@]}" search --names-only "^linux-image-$version[.][0-9].*-cloud-amd64\$" |
		cut -d' ' -f1 | sort -V | tail -n 1)
	[ -n "$name" ] || die "$suite has no linux-image-$version.*-cloud-amd64"
	(cd "$tmp" && apt-get "${opts[@]}" download "$name") || die "cannot download $name"
	mkdir -p "$to"
	dpkg-deb --fsys-tarfile "$tmp"/linux-image-*.deb |
		tar -x -C "$tmp" --wildcards './boot/vmlinuz-*' '*/net/ipv4/*_diag.ko*'
	find "$tmp" -name '*_diag.ko.xz' -exec unxz {} +
	find "$tmp" \( -name 'inet_diag.ko' -o -name 'tcp_diag.ko' -o -name 'udp_diag.ko' \) -exec mv {} "$to" \;
	mv "$tmp"/boot/vmlinuz-* "$to/vmlinuz"
	rm -rf "$tmp"
	echo "kernels.sh: $version is $name"
}

url=$(mirror)
[ -n "$url" ] || die "no Debian archive among this system's apt sources"
get 5.10 bullseye
get 6.1 bookworm
get 6.12 trixie
