#!/usr/bin/env bash
# Installs the peers of the comparison from Debian's own packages, and starts none of them: the bench starts what it needs
# itself and ends it. May be run again at any time. Without an argument all peers; else those that are named.
#   ./install.sh [redis postgresql rabbitmq etcd beanstalkd celery dask slurm]
set -euo pipefail

declare -A packages=(
    [redis]="redis-server redis-tools"
    [postgresql]="postgresql"
    [rabbitmq]="rabbitmq-server"
    [etcd]="etcd-server"
    [beanstalkd]="beanstalkd"
    [celery]="redis-server python3-celery python3-redis"
    [dask]="python3-distributed"
    [slurm]="slurmctld slurmd slurm-client munge"
)

if [ "$#" -eq 0 ]; then
    set -- "${!packages[@]}"
fi
wanted=()
for peer in "$@"; do
    if [ -z "${packages[$peer]+set}" ]; then
        echo "error: no peer is called $peer; there are: ${!packages[*]}" >&2
        exit 2
    fi
    for package in ${packages[$peer]}; do
        if ! dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed'; then
            wanted+=("$package")
        fi
    done
done
if [ "${#wanted[@]}" -eq 0 ]; then
    echo "all there: $*"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "error: apt-get needs root; run it with sudo" >&2
    exit 1
fi

# Debian starts the service of a package that is installed, unless this file forbids it (deb-systemd-invoke(1p)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# PostgreSQL's package makes a cluster of its own, which nobody here uses.
if [[ " ${wanted[*]} " == *" postgresql "* ]]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/muster-bench.conf
fi

apt-get update -qq
failed=()
for package in "${wanted[@]}"; do # one by one: a peer that can't be had is left out, the others are not
    if ! DEBIAN_FRONTEND=noninteractive nice apt-get install -y -qq --no-install-recommends "$package" >/dev/null; then
        failed+=("$package")
    fi
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "error: not installed: ${failed[*]}; the bench skips their peers" >&2
    exit 1
fi
echo "installed: ${wanted[*]}"
