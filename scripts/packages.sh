# Sourced by the install scripts: how they speak, and how they install a Debian package.
# Standard output carries a script's answer (a path), everything said to people goes to standard error.
# shellcheck shell=sh

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# Runs a command as root: directly, or by sudo where sudo does not ask for a password. Nothing here ever waits for one.
can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

has_apt() { command -v apt-get >/dev/null 2>&1; }

# The version that apt would install, or nothing.
apt_candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | grep -v '(none)' || true
}

# Once a script: the lists of a machine image are often older than the packages that the mirrors still hold.
apt_refresh() {
    if [ -n "${apt_refreshed:-}" ]; then return 0; fi
    apt_refreshed=yes
    say "Reading the package lists (apt-get update)."
    as_root apt-get update -qq >&2 || say "apt-get update failed; going on with the lists that are here."
}

# Installs packages without starting a service of theirs: policy-rc.d is Debian's own switch for that,
# and is put in place only for this one call and only where there is none.
apt_install() {
    apt_refresh
    policy=/usr/sbin/policy-rc.d
    placed=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        placed=yes
    fi
    say "Installing: $*"
    status=0
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2 || status=$?
    if [ -n "$placed" ]; then as_root rm -f "$policy"; fi
    [ "$status" -eq 0 ] || die "apt-get install $* failed ($status)."
}
