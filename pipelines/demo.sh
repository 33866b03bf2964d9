#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# From nothing to MP4 episodes: installs and builds everything that is missing, records a camera into a ReductStore
# server, once in each layout, exports both with one line, shows the episodes and prints what to try next.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/lib/setup.sh"
source "$here/lib/arguments.sh"
source "$here/lib/server.sh"
source "$here/lib/pipeline.sh"

usage() {
  cat <<'END'
Usage: demo.sh [FOLDER]

  FOLDER  the folder for the episodes; without it a new one among the temporary files

It uses the server at REDUCT_URL if that is set, with the token in REDUCT_API_TOKEN, and a server of its own otherwise.
What it records is removed at the end; the episodes stay.
END
}

clean_up() {
  [[ -z ${created:-} ]] || api DELETE "b/$created" || say "The bucket $created is still in $REDUCT_URL"
  stop_reductstore
  [[ -z ${table:-} ]] || rm -f "$table"
}

# Records into a new bucket. In a server of the user its name is unique.
set_up_recording() {
  if [[ -n ${REDUCT_URL:-} ]]; then
    bucket=demo-$(date +%s)-$$
  else
    bucket=b
    start_reductstore
  fi
  api POST "b/$bucket"
  created=$bucket
  say "Recording $recording_frames frames to bucket $bucket at $REDUCT_URL, as groups of pictures and as single frames"
  write_recording "$bucket" h264 gop
  write_recording "$bucket" frames access-unit
}

# ENTRY: exports it, with the line and the table of episodes on standard output.
export_episodes() {
  local pipeline=(reductsrc "bucket=$bucket" "entry=$1" '!' reductepisodesplit duration=2000000000)
  printf '\n$ gst-launch-1.0 %s\n\n' "${pipeline[*]}"
  timeout --foreground -k 10 120 gst-launch-1.0 -m "${pipeline[@]}" | episode_table | tee "$table" ||
    fail "the export failed"
}

# Checks with another program that each file has the frames that the table says, and all files those that were recorded.
check_episodes() {
  local file frames found total=0
  while read -r _ _ _ frames _ _ file; do
    found=$(ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$file")
    [[ $found == "$frames" ]] || fail "ffprobe finds $found frames in $file, the table says $frames"
    total=$((total + found))
  done < <(tail -n +2 "$table")
  ((total == recording_frames)) || fail "$total of $recording_frames frames came out"
  printf '\nAll %d frames are there, says ffprobe.\n' "$total"
}

# Prints the next lines to try: a server unless there is one, a recording, and its export.
suggest() {
  local scripts
  printf -v scripts %q "$here"
  printf '\nTry next:\n\n'
  [[ -n $given_url ]] || printf '  %s/server.sh &             # a server, its data in ~/reductstore\n' "$scripts"
  printf '  %s/record.sh b cam         # a test camera, until Ctrl-C\n' "$scripts"
  printf '  %s/episodes.sh -d 2 b cam  # its episodes, in this folder\n' "$scripts"
  [[ -z $given_url ]] || printf '  %s/play.sh b cam           # the same in a window\n' "$scripts"
}

parse_arguments '' 0 1 "$@"
find_cargo
# shellcheck disable=SC2119 # no further packages
install_packages
build_plugin release
trap clean_up EXIT
table=$(mktemp)
folder=${arguments[0]:-$(mktemp -d -t episodes-XXXXXX)}
given_url=${REDUCT_URL:-}
mkdir -p "$folder"
set_up_recording
for entry in h264 frames; do
  mkdir -p "$folder/$entry"
  cd "$folder/$entry"
  export_episodes "$entry"
  check_episodes
  cd "$OLDPWD"
done
printf 'The episodes are in %s\n' "$folder"
suggest
