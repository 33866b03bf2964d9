#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Joins ranges of an entry to one MP4 file.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: clip.sh BUCKET ENTRY FILE START/STOP...

  FILE        the MP4 file to write; one that is there is replaced
  START/STOP  a range of capture time, in order and apart: 2025-06-13T08:30:53Z or microseconds since the epoch each

Each range begins with its first keyframe and ends with the group of pictures that was begun before its stop. The server
is at REDUCT_URL (http://127.0.0.1:8383), the token in REDUCT_API_TOKEN.
END
}

parse_arguments '' 4 '' "$@"
require_plugin
reduct_source "${arguments[@]:0:2}"
file=${arguments[2]}
ranges=$(IFS=, && printf '%s' "${arguments[*]:3}")
gst-launch-1.0 -e -m "${source[@]}" ranges="$ranges" stop-mode=keyframe \
  ! reductepisodesplit gap-detection=false location="${file//%/%%}" | episode_table
