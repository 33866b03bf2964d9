#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Writes the frames of an entry, or of a range of it, as pictures with a table of their capture times.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: frames.sh [-f png|jpg] [-q QUALITY] [-r WIDTHxHEIGHT] [-t] BUCKET ENTRY FOLDER [START [STOP]]

  -f png|jpg        type of the pictures; default png
  -q QUALITY        quality of JPEG, 1 to 100; default 90
  -r WIDTHxHEIGHT   size of the pictures in pixels; that of the video without it
  -t                name files by capture time, frame_MICROSECONDS, instead of frame_000000 and so on
  FOLDER            folder for the pictures, which is created if it is missing
  START, STOP       range of capture time, START included: 2025-06-13T08:30:53Z or microseconds since the epoch

FOLDER/frames.csv has a row for each picture: index, capture time in microseconds since the epoch, the same by RFC 3339,
and file. Frames that cannot be decoded have none. The entry is one of H.264. The server is at REDUCT_URL
(http://127.0.0.1:8383), the token in REDUCT_API_TOKEN.
END
}

option() {
  case $1 in
    f) type=$2 ;;
    q) quality=$2 ;;
    r) size=$2 ;;
    t) by_time=1 ;;
    *) wrong_usage ;;
  esac
}

# TIME: in microseconds since the epoch. `date` alone takes words and times without a zone, too.
useconds() {
  if [[ $1 =~ ^[0-9]+$ ]]; then
    printf '%s' "$1"
  elif [[ $1 =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$ ]]; then
    date --date="$1" +%s%6N
  else
    fail "'$1' is no time: 2025-06-13T08:30:53Z or microseconds since the epoch"
  fi
}

# Reads the output of `gst-launch-1.0 -m`, names the files, and prints a row for each. Warnings go to standard error.
frame_rows() {
  local line file time index=0
  trap '' INT # Ctrl-C is for gst-launch-1.0, which still completes the last picture
  printf 'index,capture_us,capture_time,file\n'
  while IFS= read -r line; do
    [[ $line != 'WARNING: '* ]] || say "$line"
    [[ $line == *' (element): GstMultiFileSink, '* ]] || continue
    time=$((start + ($(field stream-time "$line") + 500) / 1000))
    printf -v file 'frame_%06d.%s' "$index" "$type"
    if ((by_time)); then
      mv -T "$folder/$file" "$folder/frame_$time.$type"
      file=frame_$time.$type
    fi
    printf '%d,%d,%s,%s\n' "$index" "$time" "$(capture_time "$time")" "$file"
    index=$((index + 1))
  done
}

type=png
quality=90
size=
by_time=0
parse_arguments f:q:r:t 3 5 "$@"
folder=${arguments[2]}
form=video/x-raw,format=RGB
case $type in
  png) encoder=(pngenc) ;;
  jpg) encoder=(jpegenc "quality=$quality") ;;
  *) wrong_usage ;;
esac
if [[ -n $size ]]; then
  [[ $size =~ ^([1-9][0-9]*)x([1-9][0-9]*)$ ]] || wrong_usage
  form+=,width=${BASH_REMATCH[1]},height=${BASH_REMATCH[2]},pixel-aspect-ratio=1/1
fi
[[ $quality =~ ^[1-9][0-9]?$|^100$ ]] || wrong_usage
require_plugin
# Stream time counts from the start.
start=$(useconds "${arguments[3]:-0}")
reduct_source "${arguments[@]:0:2}" "$start" "${arguments[4]:-}"
table=$folder/frames.csv
[[ ! -e $table ]] || fail "$table is there already"
mkdir -p "$folder"
gst-launch-1.0 -e -m "${source[@]}" start-mode=exact ! h264parse ! avdec_h264 output-corrupt=false \
  ! queue ! videoconvert ! videoscale add-borders=false ! "$form" ! "${encoder[@]}" \
  ! multifilesink post-messages=true "location=${folder//%/%%}/frame_%06d.$type" | frame_rows >"$table.part"
mv -T "$table.part" "$table"
printf '%d frames, %s\n' $(($(wc -l <"$table") - 1)) "$table"
