#!/bin/sh
# Installs V-Stack as a systemd service on this machine, from a checkout after `make
# build` or from a release's archive:
#
#   sudo deploy/install.sh h1.tar.gz
#   sudo ./install.sh h1.tar.gz
#
# The bundle comes from `vstack lab init`. Running it again replaces the binary and
# keeps the host's data and configuration.
set -eu

if [ "$(id -u)" -ne 0 ]; then
	echo "run as root: sudo $0 $*" >&2
	exit 1
fi
here=$(cd "$(dirname "$0")" && pwd)
binary=$here/vstack
unit=$here/vstack.service
if [ ! -e "$binary" ]; then
	binary=$here/../bin/vstack
	unit=$here/systemd/vstack.service
fi
state=/var/lib/vstack
bundle=${1:-}

if [ ! -x "$binary" ]; then
	echo "no $binary: make build first" >&2
	exit 1
fi
if [ -x "$here/../.ci/deps" ]; then
	"$here/../.ci/deps"
elif ! command -v ffmpeg >/dev/null || ! command -v ffprobe >/dev/null; then
	echo "note: hosts that take uploads need FFmpeg 5.1 or newer" >&2
fi

id vstack >/dev/null 2>&1 || useradd --system --home-dir "$state" --shell /usr/sbin/nologin vstack
install -m 0755 "$binary" /usr/local/bin/vstack.new
mv /usr/local/bin/vstack.new /usr/local/bin/vstack
install -d -m 0700 -o vstack -g vstack "$state"
if [ ! -e "$state/vstack.yaml" ]; then
	if [ -z "$bundle" ]; then
		echo "usage: $0 BUNDLE   (made by: vstack lab init --hosts … --out DIR)" >&2
		exit 1
	fi
	/usr/local/bin/vstack lab join "$bundle" --dir "$state"
	chown -R vstack:vstack "$state"
fi

# QUIC wants 7 MiB of socket buffer.
printf 'net.core.rmem_max=7500000\nnet.core.wmem_max=7500000\n' >/etc/sysctl.d/60-vstack.conf
sysctl -q -p /etc/sysctl.d/60-vstack.conf || echo "could not set the UDP buffers; see vstack doctor" >&2

install -m 0644 "$unit" /etc/systemd/system/vstack.service
systemctl daemon-reload
systemctl enable vstack.service
# The first start is done when the other members run too.
systemctl restart --no-block vstack.service
/usr/local/bin/vstack doctor --config "$state/vstack.yaml" || true
