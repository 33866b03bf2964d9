#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# What the gst-launch-1.0 lines share: their source, and their messages as a table. To be sourced after setup.sh.
set -euo pipefail

# Sets the array `source` to a reductsrc for an entry and an optional range; server and token come from REDUCT_URL and
# REDUCT_API_TOKEN, which the element reads itself.
reduct_source() {
  source=(reductsrc "bucket=$1" "entry=$2")
  [[ -z ${3:-} ]] || source+=("start=$3")
  [[ -z ${4:-} ]] || source+=("stop=$4")
}

# The seconds of an option -d.
nanoseconds() {
  [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "-d takes seconds, not '$1'"
  awk -v s="$1" 'BEGIN { printf "%.0f", s * 1e9 }'
}

# Reads gst-launch's output and prints a row as soon as an episode is complete on disk. Warnings go to standard error.
episode_table() {
  local line name row='%-26s  %-27s  %8s  %6s  %8s  %s\n'
  local -A episode
  trap '' INT # Ctrl-C is for gst-launch, which still has its last episode to tell of
  # shellcheck disable=SC2059 # heading and rows share one format
  printf "$row" file 'capture time (UTC)' duration frames size reason
  while IFS= read -r line; do
    [[ $line != 'WARNING: '* ]] || say "$line"
    [[ $line == *' (element): reduct-episode, '* ]] || continue
    for name in location start duration frames bytes reason; do
      episode[$name]=$(field "$name" "$line")
    done
    # shellcheck disable=SC2059
    printf "$row" "${episode[location]}" "$(capture_time "${episode[start]}")" "$(seconds "${episode[duration]}") s" \
      "${episode[frames]}" "$(numfmt --to=iec-i --suffix=B --format=%.1f "${episode[bytes]}")" "${episode[reason]}"
  done
}

# NAME LINE: that field of a message, which reads `name=(type)value`; GStreamer quotes a string with unusual characters.
field() {
  local pattern=", $1=\\([a-z0-9]+\\)(\"([^\"]*)\"|[^,;]*)"
  [[ $2 =~ $pattern ]] || fail "no $1 in: $2"
  local value=${BASH_REMATCH[2]:-${BASH_REMATCH[1]}}
  printf '%s' "${value//\\/}"
}

# Microseconds since the epoch.
capture_time() {
  TZ=UTC printf '%(%FT%T)T.%06dZ' "$(($1 / 1000000))" "$(($1 % 1000000))"
}

# Nanoseconds.
seconds() {
  printf '%d.%03d' "$(($1 / 1000000000))" "$(($1 / 1000000 % 1000))"
}

# Reads gst-launch's output and prints what a recording came to. Warnings go to standard error.
recording_report() {
  local line
  trap '' INT # Ctrl-C is for gst-launch, which still has records to write
  while IFS= read -r line; do
    [[ $line != 'WARNING: '* ]] || say "$line"
    [[ $line == *' (element): reduct-recording, '* ]] || continue
    printf '%d frames in %d records written, %d records were there, %d frames dropped\n' "$(field frames "$line")" \
      "$(field records "$line")" "$(field existing "$line")" "$(field dropped-frames "$line")"
  done
}
