#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Copies an entry, or a range of it, to another bucket or server. If it is run again, it copies only new records.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: copy.sh FROM TO [START [STOP]]

  FROM, TO     addresses of entries: reduct://host:8383/bucket/entry, reducts:// with TLS
  START, STOP  range of capture time, START included: 2025-06-13T08:30:53Z or microseconds since the epoch

Records keep their times, their contents and the labels fps and keyframe, from the first keyframe on and to the end of the
group of pictures that was begun before STOP. What TO has already is left out. The token is in REDUCT_API_TOKEN;
REDUCT_SINK_API_TOKEN is that of TO, if it is another one.
END
}

# ADDRESS PARAMETER...
with_parameters() {
  local address=$1 parameter
  shift
  for parameter; do
    if [[ $address == *\?* ]]; then address+="&$parameter"; else address+="?$parameter"; fi
  done
  printf '%s' "$address"
}

parse_arguments '' 2 4 "$@"
range=()
[[ -z ${arguments[2]:-} ]] || range+=("start=${arguments[2]}")
[[ -z ${arguments[3]:-} ]] || range+=("stop=${arguments[3]}" stop-mode=keyframe)

require_plugin
gst-launch-1.0 -e -m "$(with_parameters "${arguments[0]}" "${range[@]}")" \
  ! "$(with_parameters "${arguments[1]}" record-unit=record existing=skip)" | recording_report
