#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Records a camera until Ctrl-C.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: record.sh [-u UNIT] [-q BYTES] [-s FOLDER] [-n FRAMES] BUCKET ENTRY [CAMERA]

  -u UNIT    what a record holds: access-unit, or gop for a group of pictures; default access-unit
  -q BYTES   from this size on a bucket that is made loses its oldest records
  -s FOLDER  keep there what the server has not taken yet, also after a crash
  -n FRAMES  end after so many frames; not for rtsp
  CAMERA     test for a test picture (the default), a device such as /dev/video0, or an rtsp:// address

Standard error shows how much is recorded. Ctrl-C ends it when all is written. The server is at REDUCT_URL
(http://127.0.0.1:8383), the token in REDUCT_API_TOKEN.
END
}

option() {
  case $1 in
    u) sink+=("record-unit=$2") ;;
    q) sink+=("quota-size=$2") ;;
    s) sink+=("spool-dir=$2") ;;
    n) frames=("num-buffers=$2") ;;
    *) wrong_usage ;;
  esac
}

sink=(reductsink)
frames=()
parse_arguments u:q:s:n: 2 3 "$@"
sink+=("bucket=${arguments[0]}" "entry=${arguments[1]}")

encoder=(! videoconvert ! x264enc tune=zerolatency key-int-max=30)
address=${arguments[2]:-test}
case $address in
  test) camera=(videotestsrc is-live=true pattern=ball "${frames[@]}" ! video/x-raw,framerate=30/1 ! timeoverlay "${encoder[@]}") ;;
  rtsp://* | rtsps://*)
    # The camera's own times, where it sends them.
    camera=(rtspsrc "location=$address" add-reference-timestamp-meta=true ! rtph264depay)
    ;;
  *) camera=(v4l2src "device=$address" "${frames[@]}" "${encoder[@]}") ;;
esac

require_plugin
# -e: Ctrl-C ends the stream properly, with all of it written.
gst-launch-1.0 -e -m "${camera[@]}" ! h264parse ! "${progress[@]}" ! "${sink[@]}" | recording_report
