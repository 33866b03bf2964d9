#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Exports an entry, or a range of it, as MP4 episodes.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: episodes.sh [-d SECONDS] [-s BYTES] [-o PATTERN] BUCKET ENTRY [START [STOP]]

  -d SECONDS   start a new episode at the first keyframe after this duration
  -s BYTES     start a new episode at the first keyframe after this size
  -o PATTERN   file names, with %d for the number, {start} for the capture time; default episode_%05d.mp4
  START, STOP  range of capture time, START included: 2025-06-13T08:30:53Z or microseconds since the epoch

A gap in the recording always starts a new episode. The server is at REDUCT_URL (http://127.0.0.1:8383), the token in
REDUCT_API_TOKEN.
END
}

option() { splitter_option "$@"; }

splitter=(reductepisodesplit)
parse_arguments "$splitter_options" 2 4 "$@"
require_plugin
reduct_source "${arguments[@]}"
# -e: Ctrl-C ends the last episode properly instead of losing it.
gst-launch-1.0 -e -m "${source[@]}" ! "${splitter[@]}" | episode_table
