#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Builds the server, once, and runs it: ReductStore with the extension 'video', which exports H.264 as MP4 episodes.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"

usage() {
  cat <<'END'
Usage: server.sh [--build] [FOLDER]

  FOLDER   the folder of its data, instead of RS_DATA_PATH or ~/reductstore
  --build  build the server and print its path

It runs until Ctrl-C, for this machine only, at http://127.0.0.1:8383, and lets everybody in unless RS_API_TOKEN or
RS_INIT_API_TOKEN is set. All variables of ReductStore change that: RS_HOST, RS_PORT, ... EPISODE_SERVER_TEMP_PATH is the
folder of episodes that are being sent, and EPISODE_SERVER_MEMORY the size up to which they are in memory (2MiB).
END
}

option() {
  [[ $1 == build ]] || wrong_usage
  build_only=yes
}

build_only=
parse_arguments '' 0 1 "$@"
binary=$(reductstore_binary)
if [[ -n $build_only ]]; then
  printf '%s\n' "$binary"
  exit
fi
export RS_HOST=${RS_HOST:-127.0.0.1} RS_PORT=${RS_PORT:-8383}
export RS_DATA_PATH=${arguments[0]:-${RS_DATA_PATH:-$HOME/reductstore}}
[[ -n ${RS_API_TOKEN:-}${RS_INIT_API_TOKEN:-} ]] || export RS_DISABLE_AUTH=${RS_DISABLE_AUTH:-true}
mkdir -p "$RS_DATA_PATH"
say "ReductStore at http://$RS_HOST:$RS_PORT, data in $RS_DATA_PATH"
exec "$binary"
