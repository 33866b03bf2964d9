#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Plays an entry, or a range of it, in a window.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"

usage() {
  cat <<'END'
Usage: play.sh URI
       play.sh BUCKET ENTRY [START [STOP]]

  URI          reduct://HOST:PORT/BUCKET/ENTRY?start=START&stop=STOP, with any other property of reductsrc
  START, STOP  range of capture time, START included: 2025-06-13T08:30:53Z or microseconds since the epoch

Without a URI the server is at REDUCT_URL (http://127.0.0.1:8383); the token is in REDUCT_API_TOKEN. VIDEO_SINK names
another sink than autovideosink, with its properties: VIDEO_SINK='fakesink sync=true'. In a terminal, where gst-play-1.0
is installed, the arrow keys seek, the space bar pauses and q ends; k lists all keys.
END
}

# BUCKET ENTRY [START [STOP]]: the URI of an entry on the server at REDUCT_URL.
entry_uri() {
  local url=${REDUCT_URL:-http://127.0.0.1:8383}
  [[ $url =~ ^https?://[^@?#]+$ ]] || fail 'REDUCT_URL is not http://HOST:PORT or https://HOST:PORT'
  python3 - "$url" "$1" "$2" "${3:-}" "${4:-}" <<'END'
import sys
from urllib.parse import quote, urlencode, urlsplit

url, bucket, entry, start, stop = sys.argv[1:]
server = urlsplit(url)
scheme, port = {"http": ("reduct", ":80"), "https": ("reducts", ":443")}[server.scheme]
if ":" in server.netloc.rpartition("]")[2]:
    port = ""
parameters = {"base-path": server.path.rstrip("/"), "start": start, "stop": stop}
query = urlencode({name: value for name, value in parameters.items() if value}, quote_via=quote)
print(f"{scheme}://{server.netloc}{port}/{quote(bucket, '')}/{quote(entry)}?{query}")
END
}

parse_arguments '' 1 4 "$@"
case ${#arguments[@]}/${arguments[0]} in
  1/reduct://* | 1/reducts://*) uri=${arguments[0]} ;;
  [234]/*) uri=$(entry_uri "${arguments[@]}") ;;
  *) wrong_usage ;;
esac

require_plugin
sink=${VIDEO_SINK:-autovideosink}
# Its exit status does not report errors, so it is used in terminals only.
if [[ -t 0 && -t 1 ]] && command -v gst-play-1.0 >/dev/null; then
  exec gst-play-1.0 --use-playbin3 --videosink="$sink" "$uri"
fi
exec gst-launch-1.0 playbin3 uri="$uri" video-sink="$sink"
