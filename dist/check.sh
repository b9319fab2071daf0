#!/bin/sh
# Install, run, remove and purge the package in a Debian root; `cargo xtask dist --check` calls this in new mount, network
# and process namespaces. The root's systemd does not run as init: its unit is verified, and the daemon gets the unit's
# capabilities and sees the end of its notifications.
set -eu
root=$1 package=$2

tell() { echo "check: $*"; }
fail() { echo "check: FAILED: $*" >&2; exit 1; }
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
programs() { ls "/proc/self/root$root/sys/fs/bpf/portreeve" 2>/dev/null; }

mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t bpf bpf "$root/sys/fs/bpf"
mount -t tmpfs run "$root/run"
mount --rbind /dev "$root/dev"
ip link set lo up
ip link add enp2s0 type veth peer name wire
ip address add 192.0.2.10/24 dev enp2s0
ip link set enp2s0 up
ip link set wire up

tell "install"
cp "$package" "$root/tmp/portreeve.deb"
inside dpkg --install /tmp/portreeve.deb
[ -z "$(programs)" ] || fail "installing it put something into the kernel"
[ ! -e "$root/etc/portreeve/host.toml" ] || fail "it brings a host file"
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/portreeve.service" ] || fail "installing it enabled the service"
inside dpkg --verify portreeve
for file in /usr/share/man/man1/portreeve.1.gz /usr/share/bash-completion/completions/portreeve \
    /usr/share/portreeve/packs/clearscada.toml /usr/share/doc/portreeve/examples/host.toml; do
    [ -s "$root$file" ] || fail "$file is missing"
done
tell "verify the unit"
inside systemd-analyze verify --man=no /lib/systemd/system/portreeve.service
inside systemd-analyze security --offline=true --threshold=25 --no-pager portreeve.service | tail -1

tell "run with the example host file and the unit's capabilities"
cp "$root/usr/share/doc/portreeve/examples/host.toml" "$root/etc/portreeve/host.toml"
sed -i 's/"observe"/"enforce"/' "$root/etc/portreeve/host.toml"
capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$root/lib/systemd/system/portreeve.service" |
    tr 'A-Z' 'a-z' | sed 's/cap_/+/g; s/ /,/g')
# As the unit starts it, the first time: there is no last good policy yet.
start=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/portreeve.service" | sed 's/\$OPTIONS/--metrics off/')
# shellcheck disable=SC2086 # words of a command
inside setpriv --bounding-set="-all,$capabilities" $start >"$root/tmp/log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
    grep -q 'ready' "$root/tmp/log" && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.2
done
# Time for a look of its watch, which needs all of its rights.
sleep 4
cat "$root/tmp/log"
grep -q ERROR "$root/tmp/log" && fail "the daemon can't do its work with the unit's capabilities"
inside portreeve status || fail "it does not stand as it should"
inside portreeve status | grep -q enforcing || fail "it does not enforce"
kill -KILL "$daemon"
wait "$daemon" || true
inside portreeve status | grep -q enforcing || fail "enforcement ended with the daemon"

tell "install it again, over itself"
inside dpkg --install /tmp/portreeve.deb
inside portreeve status | grep -q enforcing || fail "an upgrade ended enforcement"

tell "remove"
inside dpkg --remove portreeve
[ -z "$(programs)" ] || fail "removing it left pins: $(programs)"
tc filter show dev enp2s0 ingress | grep -q . && fail "removing it left a filter"
ip link show enp2s0 | grep -q xdp && fail "removing it left an XDP program"
[ -e "$root/etc/default/portreeve" ] || fail "removing it took a configuration file"
[ -e "$root/etc/portreeve/host.toml" ] || fail "removing it took the site's host file"

tell "purge"
inside dpkg --purge portreeve
for path in /etc/default/portreeve /var/lib/portreeve /run/portreeve /usr/share/portreeve /usr/bin/portreeve; do
    [ ! -e "$root$path" ] || fail "purging it left $path"
done
[ -e "$root/etc/portreeve/host.toml" ] || fail "purging it took the site's host file"
tell "installed, ran, was removed and purged cleanly"
