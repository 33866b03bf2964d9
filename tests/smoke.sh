#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# The pipelines' smoke test: every script in pipelines/ does what it says, on a server of its own.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
pipelines=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../pipelines
# shellcheck source=../pipelines/lib/setup.sh
source "$pipelines/lib/setup.sh"
# shellcheck source=../pipelines/lib/server.sh
source "$pipelines/lib/server.sh"

unset REDUCT_URL REDUCT_API_TOKEN

clean_up() {
  stop_reductstore
  [[ -z ${scratch:-} ]] || rm -rf "$scratch"
}

# HEADLINE EXPECTED ACTUAL
same() {
  diff -u --label expected --label actual <(printf '%s\n' "$2") <(printf '%s\n' "$3") || fail "$1"
  say "ok: $1"
}

packets() {
  ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$1"
}

demo() {
  local rows
  "$pipelines/demo.sh" "$scratch/demo" | tee "$scratch/output" >&2
  # All columns but the sizes, which depend on the encoder's version.
  rows=$(awk '$1 ~ /mp4$/ { print $1, $2, $3, $5, $7 }' "$scratch/output")
  same 'demo.sh cuts at the limit and at the hole' "\
episode_00000.mp4 2025-06-13T08:30:53.273752Z 2.000 20 duration
episode_00001.mp4 2025-06-13T08:30:55.273752Z 2.000 20 duration
episode_00002.mp4 2025-06-13T08:30:57.273752Z 2.000 20 gap
episode_00003.mp4 2025-06-13T08:31:09.273752Z 2.000 20 duration
episode_00004.mp4 2025-06-13T08:31:11.273752Z 1.000 10 eos" "$rows"
}

episodes() {
  local folder="$scratch/an export" file found
  mkdir "$folder"
  "$pipelines/episodes.sh" -d 2.5 -o "$folder/{start}.mp4" b h264 2025-06-13T08:30:55Z 2025-06-13T08:31:11Z >&2
  found=$(for file in "$folder"/*; do echo "${file##*/} $(packets "$file")"; done)
  same 'episodes.sh takes a range, a limit and a pattern' "\
20250613T083055.273752Z.mp4 30
20250613T083058.273752Z.mp4 10
20250613T083109.273752Z.mp4 18" "$found"
}

play() {
  local bytes=$((recording_frames * 320 * 240 * 3 / 2))
  VIDEO_SINK="filesink location=$scratch/frames" "$pipelines/play.sh" b h264 >&2
  same 'play.sh shows every frame' "$bytes" "$(stat -c %s "$scratch/frames")"
}

clip() {
  local file="$scratch/a clip of 100%.mp4"
  "$pipelines/clip.sh" b h264 "$file" 2025-06-13T08:30:54Z/2025-06-13T08:30:56Z \
    2025-06-13T08:31:10Z/2025-06-13T08:31:11Z >&2
  same 'clip.sh joins ranges' '30 3.000000' \
    "$(packets "$file") $(ffprobe -v error -show_entries format=duration -of csv=p=0 "$file")"
}

thumbnail() {
  local file=$scratch/picture.jpg
  "$pipelines/thumbnail.sh" b h264 2025-06-13T08:30:55.7Z "$file" >&2
  same 'thumbnail.sh writes a picture' mjpeg,320,240 \
    "$(ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 "$file")"
  if "$pipelines/thumbnail.sh" b h264 2026-01-01T00:00:00Z "$file.2" 2>"$scratch/complaint"; then
    fail "thumbnail.sh finds a picture where there is none"
  fi
  grep -q 'no picture at 2026-01-01' "$scratch/complaint" || fail "thumbnail.sh does not say that there is no picture"
}

trap clean_up EXIT
scratch=$(mktemp -d)
demo
start_reductstore
api POST b/b
write_recording b h264
episodes
play
clip
thumbnail
