#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Plays an entry, or a range of it, in a window.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: play.sh BUCKET ENTRY [START [STOP]]

  START, STOP  range of capture time, START included: 2025-06-13T08:30:53Z or microseconds since the epoch

The server is at REDUCT_URL (http://127.0.0.1:8383), the token in REDUCT_API_TOKEN. VIDEO_SINK names another sink than
autovideosink, with its properties: VIDEO_SINK='fakesink sync=true'.
END
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then usage && exit; fi
(($# >= 2 && $# <= 4)) || { usage >&2 && exit 2; }

require_plugin
reduct_source "$@"
read -ra sink <<<"${VIDEO_SINK:-autovideosink}"
exec gst-launch-1.0 "${source[@]}" ! h264parse ! avdec_h264 ! videoconvert ! "${sink[@]}"
