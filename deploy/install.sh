#!/bin/sh
# Installs V-Stack as a systemd service on this machine, from a checkout after `make
# build` or from a release's archive:
#
#   sudo deploy/install.sh h1.tar.gz
#   sudo ./install.sh h1.tar.gz
#
# The bundle comes from `vstack lab init`. Without one it replaces the binary of a host
# that is there, and restarts it. Data and configuration stay in both cases.
set -eu

if [ "$(id -u)" -ne 0 ]; then
	echo "run as root: sudo $0 $*" >&2
	exit 1
fi
here=$(cd "$(dirname "$0")" && pwd)
binary=$here/vstack
[ -e "$binary" ] || binary=$here/../bin/vstack
if [ ! -x "$binary" ]; then
	echo "no $binary: make build first" >&2
	exit 1
fi
if [ -x "$here/../.ci/deps" ]; then
	"$here/../.ci/deps"
elif ! command -v ffmpeg >/dev/null || ! command -v ffprobe >/dev/null; then
	echo "note: hosts that take uploads need FFmpeg 5.1 or newer" >&2
fi
if [ -n "${1:-}" ]; then
	"$binary" lab join "$1"
elif [ -e /var/lib/vstack/vstack.yaml ]; then
	install -m 0755 "$binary" /usr/local/bin/vstack.new
	mv /usr/local/bin/vstack.new /usr/local/bin/vstack
	systemctl restart --no-block vstack.service
else
	echo "usage: $0 BUNDLE   (made by: vstack lab init --hosts … --out DIR)" >&2
	exit 1
fi
"$binary" doctor --config /var/lib/vstack/vstack.yaml || true
