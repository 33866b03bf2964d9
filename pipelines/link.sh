#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Prints a link to the episode of one time of an entry, which plays in a browser until it expires.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"

usage() {
  cat <<'USAGE'
Usage: link.sh [-d SECONDS] [-e SECONDS] BUCKET ENTRY TIME

  -d SECONDS  duration of an episode that the server makes of H.264, with TIME in its middle; default 30
  -e SECONDS  the link expires after this time; default 3600
  TIME        capture time: 2025-06-13T08:30:53Z or microseconds since the epoch. In a hole it is the episode after it

An entry of MP4 episodes is searched for the one that has TIME. Of H.264, the server of pipelines/server.sh makes the
episode, once to find its time, and again when the link is opened; until then no other link opens. It keeps the last 8
results for 10 minutes, on disk. Two requests for one link at the same time break each other: do not put it into a page
that many open, store the episodes instead. The link needs no token; it ends with the one that made it.

The server is at REDUCT_URL (http://127.0.0.1:8383), which is also the address in the link, the token in
REDUCT_API_TOKEN.
USAGE
}

option() {
  case $1 in
    d) duration=$(nanoseconds "$2") ;;
    e) lifetime=$2 ;;
    *) wrong_usage ;;
  esac
}

duration=30000000000
lifetime=3600
parse_arguments d:e: 3 3 "$@"
[[ $lifetime =~ ^[1-9][0-9]*$ ]] || fail "-e takes whole seconds, not '$lifetime'"
# The token stays in the environment, as command lines can be seen by others.
exec python3 "$here/lib/link.py" "$duration" "$lifetime" "${arguments[@]}"
