#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Draws the timeline of the demo's recording and of the episodes that are exported from it, as SVG on standard output:
# docs/picture.sh >docs/episodes.svg. Times, frames and keyframes are those that ffprobe finds in the files.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
pipelines=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../pipelines
# shellcheck source=../pipelines/lib/setup.sh
source "$pipelines/lib/setup.sh"
# shellcheck source=../pipelines/lib/server.sh
source "$pipelines/lib/server.sh"
# shellcheck source=../pipelines/lib/pipeline.sh
source "$pipelines/lib/pipeline.sh"

clean_up() {
  stop_reductstore
  [[ -z ${folder:-} ]] || rm -rf "$folder"
}

# Reads a table of episodes and prints a line `episode START_US NAME FRAMES REASON` for each row, and after it a line
# `frame US FLAGS` for each frame of the file.
frames() {
  local time frames reason file name start_us
  while read -r time _ _ frames _ reason file; do
    name=${file#episode_}
    start_us=$(date --date "$time" +%s%6N)
    printf 'episode %s %s %s %s\n' "$start_us" "${name%.mp4}" "$frames" "$reason"
    ffprobe -v error -select_streams v -show_entries packet=pts_time,flags -of csv=p=0 "$file" |
      awk -F, -v start="$start_us" '{ printf "frame %.0f %s\n", start + $1 * 1e6, $2 }'
  done < <(tail -n +2)
}

draw() {
  awk -v frame_us=100000 -v scale=50 '
    function at(us) { return 20 + (us - first) * scale / 1e6 }
    function text(left, y, class, words) { printf "<text x=\"%.1f\" y=\"%d\" class=\"%s\">%s</text>\n", left, y, class, words }
    function bar(class, from, y, width, height) {
      printf "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, at(from), y, width, height
    }
    function episode() {
      if (name == "") return
      bar("episode", begin, 92, (last + frame_us - begin) * scale / 1e6 - 2, 62)
      text(at(begin) + 3, 108, "name", name)
      text(at(begin) + 3, 126, "fact", count " frames")
      text(at(begin) + 3, 144, "fact", reason)
    }
    $1 == "episode" { episode(); begin = $2; name = $3; count = $4; reason = $5; first = first ? first : begin }
    NR == 1 {
      print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 190\" font-family=\"sans-serif\">"
      print "<title>A recording with a hole of ten seconds, and the five episodes that are exported from it</title>"
      print "<style>"
      print ".name{font-weight:bold}.name,.fact,.axis,.lane{fill:#1f2328;font-size:10px}.fact{font-size:9px}.lane{font-size:13px;font-weight:bold}.axis{fill:#59636e}"
      print ".frame{fill:#54aeff}.key{fill:#cf222e}.episode{fill:#ddf4ff;stroke:#0969da}.tick{fill:#d1d9e0}"
      print "@media(prefers-color-scheme:dark){.name,.fact,.lane{fill:#f0f6fc}.axis{fill:#9198a1}"
      print ".episode{fill:#0c2d6b;stroke:#4493f8}.tick{fill:#3d444d}}"
      print "</style>"
      text(20, 18, "lane", "Frames in the entry, one keyframe each second (red)")
      text(20, 84, "lane", "Files episode_… with their frames, and why each ends: at the limit of two seconds, at the hole, with the recording")
    }
    $1 == "frame" { last = $2; key = $3 ~ /K/; bar(key ? "key" : "frame", $2, key ? 28 : 36, 2, key ? 34 : 26) }
    END {
      episode()
      for (time = first; time <= last + frame_us; time += 2e6) {
        bar("tick", time, 160, 1, 8)
        text(at(time), 182, "axis", strftime("%H:%M:%S", int(time / 1e6), 1) substr(sprintf(".%06d", time % 1e6), 1, 2))
      }
      print "</svg>"
    }'
}

trap clean_up EXIT
folder=$(mktemp -d)
start_reductstore
api POST b/b
write_recording b h264
cd "$folder"
timeout --foreground -k 10 120 gst-launch-1.0 -m reductsrc bucket=b entry=h264 ! reductepisodesplit duration=2000000000 |
  episode_table | frames | draw
