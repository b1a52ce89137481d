#!/bin/sh
# As in the public image: options or a subcommand alone mean `traefik`.
set -e
case "$1" in
    -* | version | healthcheck) set -- traefik "$@" ;;
esac
exec "$@"
