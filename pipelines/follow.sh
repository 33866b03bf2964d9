#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Follows an entry while it is being written: exports it as MP4 episodes or shows it in a window, until Ctrl-C.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: follow.sh [-d SECONDS] [-s BYTES] [-o PATTERN] BUCKET ENTRY [START]
       follow.sh -p BUCKET ENTRY [START]

  -d SECONDS  start a new episode at the first keyframe after this duration
  -s BYTES    start a new episode at the first keyframe after this size
  -o PATTERN  file names, with %d for the number, {start} for the capture time; default episode_%05d.mp4
  -p, --play  show it in a window and write no files
  START       capture time to begin with: 2025-06-13T08:30:53Z or microseconds since the epoch; without it, with records
              that are written from now on

Ctrl-C ends it and completes the last episode. A gap in the recording always starts a new episode. An entry that is not
there yet is waited for. The server is at REDUCT_URL (http://127.0.0.1:8383), the token in REDUCT_API_TOKEN. VIDEO_SINK
names another sink than autovideosink, with its properties: VIDEO_SINK='fakesink sync=true'.
END
}

option() {
  case $1 in
    p | play) play=1 ;;
    *) splitter_option "$@" ;;
  esac
}

splitter=(reductepisodesplit)
play=0
parse_arguments "${splitter_options}p" 2 3 "$@"
((!play || ${#splitter[@]} == 1)) || wrong_usage # files and a window exclude each other
require_plugin
reduct_source "${arguments[@]}"
source+=(follow=true)
if ((play)); then
  read -ra sink <<<"${VIDEO_SINK:-autovideosink}"
  exec gst-launch-1.0 "${source[@]}" ! h264parse ! avdec_h264 ! videoconvert ! "${sink[@]}"
fi
# -e: Ctrl-C ends the last episode properly instead of losing it.
gst-launch-1.0 -e -m "${source[@]}" ! "${splitter[@]}" | episode_table
