#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# The pipelines' smoke test: every script in pipelines/ does what its usage says, on a server of its own, and so do the
# lines that the demo suggests and the script that draws the picture of the README.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
pipelines=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../pipelines
# shellcheck source=../pipelines/lib/setup.sh
source "$pipelines/lib/setup.sh"
# shellcheck source=../pipelines/lib/server.sh
source "$pipelines/lib/server.sh"

unset REDUCT_URL REDUCT_API_TOKEN

frame_bytes=$((320 * 240 * 3 / 2))

clean_up() {
  [[ -z ${follower:-} ]] || kill -KILL -- "-$follower" 2>/dev/null || true
  [[ -z ${suggested_server:-} ]] || kill -KILL "$suggested_server" 2>/dev/null || true
  [[ -z ${linked_server:-} ]] || kill -KILL "$linked_server" 2>/dev/null || true
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
  local rows expected="\
2025-06-13T08:30:53.273752Z 2.000 20 duration episode_00000.mp4
2025-06-13T08:30:55.273752Z 2.000 20 duration episode_00001.mp4
2025-06-13T08:30:57.273752Z 2.000 20 gap episode_00002.mp4
2025-06-13T08:31:09.273752Z 2.000 20 duration episode_00003.mp4
2025-06-13T08:31:11.273752Z 1.000 10 eos episode_00004.mp4"
  "$pipelines/demo.sh" "$scratch/demo" | tee "$scratch/output" >&2
  # All columns but the sizes, which depend on the encoder's version.
  rows=$(awk '$7 ~ /mp4$/ { print $1, $2, $4, $6, $7 }' "$scratch/output")
  same 'demo.sh cuts at the limit and at the hole, in both layouts' "$expected"$'\n'"$expected" "$rows"
  same 'the README shows the table of demo.sh' "$(printed_table "$scratch/output")" \
    "$(printed_table "$pipelines/../README.md")"
}

# FILE: the first table of episodes in it, without the sizes.
printed_table() {
  sed -n '/^capture time/,/00004.mp4$/p' "$1" | head -6 | sed -E 's/[0-9.]+KiB/       /; s/ +/ /g'
}

# The lines that the demo ends with: a server, a recording, its export.
suggested() {
  local lines folder=$scratch/suggested rows
  mapfile -t lines < <(sed -n '/^Try next:$/,$ s/^  //p' "$scratch/output")
  same 'demo.sh suggests three lines' 3 "${#lines[@]}"
  same 'the README starts the same server' 'pipelines/server.sh &' "$(grep '^pipelines/server.sh' "$pipelines/../README.md")"
  mkdir "$folder"
  rows=$(
    cd "$folder"
    RS_PORT=$(free_port)
    export RS_DATA_PATH=$scratch/reductstore RS_PORT
    export REDUCT_URL=http://127.0.0.1:$RS_PORT
    eval "${lines[0]%%&*} >/dev/null 2>&1 </dev/null &"
    echo $! >"$scratch/server.pid"
    curl -fs --retry 50 --retry-delay 1 --retry-connrefused "$REDUCT_URL/api/v1/alive" >&2
    eval "${lines[1]/record.sh/record.sh -n 75}" >&2
    eval "${lines[2]}"
  )
  suggested_server=$(<"$scratch/server.pid")
  kill "$suggested_server"
  same 'the suggested lines record a camera and export it' $'2.000 60 duration\n0.500 15 eos' \
    "$(awk '$7 ~ /mp4$/ { print $2, $4, $6 }' <<<"$rows")"
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)) && port_is_taken "$port"; do :; done
  printf '%s' "$port"
}

picture() {
  same 'picture.sh draws the picture that the README shows' "$(<"$pipelines/../docs/episodes.svg")" \
    "$("$pipelines/../docs/picture.sh")"
}

# An installed cargo that is too old, as that of Debian 12.
old_rust() {
  local status=0
  mkdir -p "$scratch/old"
  printf '#!/bin/sh\necho "cargo 1.65.0"\n' >"$scratch/old/cargo"
  chmod +x "$scratch/old/cargo"
  PATH=$scratch/old:$PATH HOME=$scratch/old SUDO_USER=nobody "$pipelines/demo.sh" >"$scratch/complaint" 2>&1 || status=$?
  same 'demo.sh asks for a newer Rust before it does anything' \
    "1 demo.sh: Rust $(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$pipelines/../Cargo.toml") or newer is needed, and\
 1.65.0 is installed; the cargo of Debian is too old. Install Rust with rustup (https://rustup.rs) or run 'rustup\
 update', and run this again" "$status $(<"$scratch/complaint")"
}

rounding() {
  # shellcheck source=../pipelines/lib/pipeline.sh
  source "$pipelines/lib/pipeline.sh"
  same 'tables round to the nearest number' '1.999 2.000 60.000 0.001 1.0KiB 1.4KiB 1023.0B' \
    "$(seconds 1999499999) $(seconds 1999500000) $(seconds 59999999999) $(seconds 1000000) $(size 1040) $(size 1480) \
$(size 1023)"
}

wrong_usage() {
  local line status
  for line in 'clip.sh b e f' 'copy.sh a' 'demo.sh -x' 'episodes.sh -p b e' 'follow.sh -p -d 1 b e' 'frames.sh -f gif b e f' 'link.sh b e' 'play.sh b' \
    'record.sh -x 1 b e' 'record.sh b' 'thumbnail.sh b e 0 f g'; do
    status=0
    # shellcheck disable=SC2086 # a line of words
    "$pipelines"/$line 2>"$scratch/complaint" || status=$?
    same "a wrong usage is refused: $line" "2 Usage: ${line%% *}" \
      "$status $(grep -o "^Usage: ${line%% *}" "$scratch/complaint")"
    "$pipelines/${line%% *}" --help >"$scratch/complaint"
  done
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

# Arguments of play.sh: how many bytes of pictures it shows.
shown() {
  rm -f "$scratch/frames"
  VIDEO_SINK="filesink location=$scratch/frames" timeout 60 "$pipelines/play.sh" "$@" >&2 </dev/null
  stat -c %s "$scratch/frames"
}

play() {
  local range=(2025-06-13T10:30:55+02:00 2025-06-13T08:31:11Z) uri=reduct://${REDUCT_URL#http://}/b/h264
  same 'play.sh shows every frame' "$((recording_frames * frame_bytes))" "$(shown b h264)"
  same 'play.sh takes a range' "$((58 * frame_bytes))" "$(shown b h264 "${range[@]}")"
  same 'play.sh takes a URI' "$((58 * frame_bytes))" "$(shown "$uri?start=${range[0]}&stop=${range[1]}")"
}

# Arguments of follow.sh. It gets a process group, as in a terminal.
start_follower() {
  rm -f "$scratch/pipe"
  mkfifo "$scratch/pipe"
  set -m
  "$pipelines/follow.sh" "$@" >"$scratch/pipe" 2>&1 </dev/null &
  follower=$!
  set +m
  exec {output}<"$scratch/pipe"
}

# TEXT: reads what follow.sh prints until a line has it.
await() {
  local line
  while IFS= read -r -t 60 line <&"$output"; do
    printf '%s\n' "$line" | tee -a "$scratch/table" >&2
    [[ $line != *"$1"* ]] || return 0
  done
  fail "follow.sh does not print: $1"
}

# Ctrl-C.
interrupt_follower() {
  kill -INT -- "-$follower"
  timeout 60 cat <&"$output" | tee -a "$scratch/table" >&2 || fail 'follow.sh does not end at Ctrl-C'
  exec {output}<&-
  wait "$follower" || fail "follow.sh ends with status $?"
  follower=
}

follow() {
  local folder=$scratch/followed file found
  mkdir "$folder"
  start_follower -d 1 -o "$folder/%d.mp4" b live
  await "Waiting for 'b/live'"
  write_recording b live
  await "$folder/6.mp4" # is complete when the last record begins
  interrupt_follower
  found=$(for file in "$folder"/*; do
    echo "${file##*/} $(packets "$file") $(awk -v file="$file" '$7 == file { print $1, $4, $6 }' "$scratch/table")"
  done)
  same 'follow.sh writes episodes during the recording, and the last one at Ctrl-C' "\
0.mp4 10 2025-06-13T08:30:53.273752Z 10 duration
1.mp4 10 2025-06-13T08:30:54.273752Z 10 duration
2.mp4 10 2025-06-13T08:30:55.273752Z 10 duration
3.mp4 10 2025-06-13T08:30:56.273752Z 10 duration
4.mp4 10 2025-06-13T08:30:57.273752Z 10 duration
5.mp4 10 2025-06-13T08:30:58.273752Z 10 gap
6.mp4 10 2025-06-13T08:31:09.273752Z 10 duration
7.mp4 10 2025-06-13T08:31:10.273752Z 10 duration
8.mp4 10 2025-06-13T08:31:11.273752Z 10 eos" "$found"
}

follow_in_window() {
  local bytes=$((recording_frames * frame_bytes)) found
  mkfifo "$scratch/window"
  VIDEO_SINK="filesink location=$scratch/window" start_follower --play b h264 0
  found=$(timeout 60 head -c "$bytes" "$scratch/window" | wc -c)
  interrupt_follower
  same 'follow.sh --play shows every frame' "$bytes" "$found"
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

# Of the pictures in a folder, in order: the pixels.
pixels() {
  (cd "$1" && ffmpeg -v error -framerate 10 -i frame_%06d.png -f rawvideo -pix_fmt rgb24 -)
}

frames() {
  local folder="$scratch/frames of 100%" report shown=$scratch/shown
  report=$("$pipelines/frames.sh" b h264 "$folder")
  same 'frames.sh writes every frame' "$recording_frames frames, $folder/frames.csv" "$report"
  same 'frames.sh notes capture times, those around a hole, too' "\
index,capture_us,capture_time,file
0,1749803453273752,2025-06-13T08:30:53.273752Z,frame_000000.png
59,1749803459173752,2025-06-13T08:30:59.173752Z,frame_000059.png
60,1749803469273752,2025-06-13T08:31:09.273752Z,frame_000060.png
89,1749803472173752,2025-06-13T08:31:12.173752Z,frame_000089.png" "$(sed -n '1,2p; 61,62p; $p' "$folder/frames.csv")"
  timeout 60 gst-launch-1.0 -q reductsrc bucket=b entry=h264 ! h264parse ! avdec_h264 ! videoconvert \
    ! video/x-raw,format=RGB ! filesink location="$shown"
  pixels "$folder" | cmp - "$shown" || fail "the pictures are others than those that are shown"
  if "$pipelines/frames.sh" b h264 "$folder" 2>"$scratch/complaint"; then
    fail "frames.sh overwrites pictures"
  fi
  "$pipelines/frames.sh" -t -f jpg -r 160x100 b h264 "$scratch/some" 2025-06-13T10:30:55.5+02:00 2025-06-13T08:30:56Z >&2
  same 'frames.sh takes a range, names by time and a size' "\
frame_1749803455573752.jpg mjpeg,160,100
frame_1749803455673752.jpg mjpeg,160,100
frame_1749803455773752.jpg mjpeg,160,100
frame_1749803455873752.jpg mjpeg,160,100
frame_1749803455973752.jpg mjpeg,160,100" "$(
    for file in "$scratch"/some/*.jpg; do
      printf '%s ' "${file##*/}"
      ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 "$file"
    done
  )"
  report=$("$pipelines/frames.sh" b h264 "$scratch/none" 2026-01-01T00:00:00Z)
  same 'frames.sh reports that there is no frame' "0 frames, $scratch/none/frames.csv" "$report"
}

record() {
  local report
  report=$("$pipelines/record.sh" -u gop -s "$scratch/spool" -n 45 recorded cam test)
  same 'record.sh makes a bucket and writes every frame' \
    '45 frames in 2 records written, 0 records were there, 0 frames dropped' "$report"
  script -qec "$pipelines/record.sh -n 45 recorded terminal" "$scratch/terminal" >/dev/null </dev/null
  grep -q '0:00:01 recorded' "$scratch/terminal" || fail "record.sh does not show its progress"
  say 'ok: record.sh shows its progress on a terminal'
}

copy() {
  local from=reduct://${REDUCT_URL#http://}/b/h264 to=reduct://${REDUCT_URL#http://}/copied/h264 report
  report=$("$pipelines/copy.sh" "$from" "$to" "" 2025-06-13T08:30:55.5Z)
  same 'copy.sh copies a range' '30 frames in 3 records written, 0 records were there, 0 frames dropped' "$report"
  report=$("$pipelines/copy.sh" "$from" "$to")
  same 'copy.sh copies nothing twice' '60 frames in 6 records written, 3 records were there, 0 frames dropped' "$report"
}

# On a server of server.sh with a token, which a link does not need.
link() {
  local times=(2025-06-13T08:30:56Z 2025-06-13T08:31:00Z) port url range expired
  port=$(free_port)
  local -x RS_HOST=127.0.0.1 RS_PORT=$port RS_API_TOKEN=secret-4711
  local -x REDUCT_URL=http://127.0.0.1:$port REDUCT_API_TOKEN=secret-4711
  "$pipelines/server.sh" "$scratch/linked" >"$scratch/linked.log" 2>&1 </dev/null &
  linked_server=$!
  curl -fs --retry 50 --retry-delay 1 --retry-connrefused "$REDUCT_URL/api/v1/alive" >&2
  api POST b/b
  write_recording b h264
  timeout --foreground -k 10 120 gst-launch-1.0 -q reductsrc bucket=b entry=h264 \
    ! reductepisodesplit duration=2000000000 "location=reduct://127.0.0.1:$port/b/episodes" >&2

  same 'link.sh has an episode of H.264 made, with the time in its middle' '2025-06-13T08:30:55.273752Z 20 2.000000' \
    "$(linked -d 2 b h264 "${times[0]}")"
  same 'link.sh takes the episode after a hole' '2025-06-13T08:31:09.273752Z 20 2.000000' \
    "$(linked -d 2 b h264 "${times[1]}")"
  same 'link.sh finds stored episodes' '2025-06-13T08:30:55.273752Z 20 2.000000' "$(linked b episodes "${times[0]}")"
  same 'link.sh takes the stored episode after a hole' '2025-06-13T08:31:09.273752Z 20 2.000000' \
    "$(linked b episodes "${times[1]}")"

  url=$("$pipelines/link.sh" -d 2 b h264 "${times[0]}")
  [[ $url != *"$REDUCT_API_TOKEN"* ]] || fail "the token is in the link"
  curl -sS -o "$scratch/whole.mp4" "$url"
  range=$(curl -sS -r 4-99 -o "$scratch/part" -w '%{http_code}' "$url")
  same 'a link sends ranges' '206 96' "$range $(stat -c %s "$scratch/part")"
  cmp "$scratch/part" <(tail -c +5 "$scratch/whole.mp4" | head -c 96) || fail "the range is another one"

  url=$("$pipelines/link.sh" -e 1 b h264 "${times[0]}")
  for _ in {1..100}; do
    expired=$(curl -sS -o /dev/null -w '%{http_code} %header{x-reduct-error}' "$url")
    [[ $expired == '200 ' ]] || break
    sleep 0.1
  done
  same 'a link expires' '422 Query link has expired' "$expired"

  if "$pipelines/link.sh" b h264 2026-01-01T00:00:00Z 2>"$scratch/complaint"; then
    fail "link.sh finds an episode where there is none"
  fi
  same 'link.sh reports that there is no episode' 'link.sh: there is no episode at 2026-01-01T00:00:00Z or after it' \
    "$(<"$scratch/complaint")"
  kill "$linked_server"
}

# Arguments of link.sh: the capture time, the frames and the duration of the file behind the link.
linked() {
  local url captured
  url=$("$pipelines/link.sh" "$@")
  captured=$(curl -sS --fail-with-body -o "$scratch/linked.mp4" -w '%header{x-reduct-time}' "$url")
  printf '%s %s %s' "$(capture_time "$captured")" "$(packets "$scratch/linked.mp4")" \
    "$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$scratch/linked.mp4")"
}

trap clean_up EXIT
scratch=$(mktemp -d)
old_rust
rounding
wrong_usage
demo
suggested
picture
start_reductstore
api POST b/b
write_recording b h264
episodes
play
follow
follow_in_window
clip
thumbnail
frames
record
copy
link
