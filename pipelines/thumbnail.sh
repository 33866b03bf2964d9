#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Writes the picture of one time of an entry as a JPEG file.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: thumbnail.sh BUCKET ENTRY TIME FILE

  TIME  capture time: 2025-06-13T08:30:53Z or microseconds since the epoch. In a hole it is the picture after it
  FILE  the JPEG file to write

The server is at REDUCT_URL (http://127.0.0.1:8383), the token in REDUCT_API_TOKEN.
END
}

parse_arguments '' 4 4 "$@"
file=${arguments[3]}
require_plugin
reduct_source "${arguments[@]:0:3}"
gst-launch-1.0 -q "${source[@]}" start-mode=exact prefetch-bytes=4000000 \
  ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=RGB ! jpegenc snapshot=true ! filesink location="$file"
[[ -s $file ]] || fail "there is no picture at ${arguments[2]} or after it"
