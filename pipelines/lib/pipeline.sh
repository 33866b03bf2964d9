#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Builds the source of a gst-launch-1.0 line, and prints the messages of such a line as a table or as progress. To be
# sourced after setup.sh.
set -euo pipefail

# Posts a message each second that says how much of a recording has passed, see recording_report.
# shellcheck disable=SC2034 # for the scripts
progress=(progressreport update-freq=1 silent=true do-query=false)

# BUCKET ENTRY [START [STOP]]: sets the array `source` to a reductsrc for that range. The element itself takes the server
# from REDUCT_URL and the token from REDUCT_API_TOKEN.
reduct_source() {
  source=(reductsrc "bucket=$1" "entry=$2")
  [[ -z ${3:-} ]] || source+=("start=$3")
  [[ -z ${4:-} ]] || source+=("stop=$4")
}

# Reads the output of `gst-launch-1.0 -m` and prints a row as soon as an episode is complete on disk. The file is the last
# column, as its name can have any length. Warnings go to standard error.
episode_table() {
  local line name row='%-27s  %10s  %6s  %9s  %-8s  %s\n'
  local -A episode
  trap '' INT # Ctrl-C is for gst-launch-1.0, which still completes the last episode
  # shellcheck disable=SC2059 # heading and rows share one format
  printf "$row" 'capture time (UTC)' duration frames size reason file
  while IFS= read -r line; do
    [[ $line != 'WARNING: '* ]] || say "$line"
    [[ $line == *' (element): reduct-episode, '* ]] || continue
    for name in location start duration frames bytes reason; do
      episode[$name]=$(field "$name" "$line")
    done
    # shellcheck disable=SC2059
    printf "$row" "$(capture_time "${episode[start]}")" "$(seconds "${episode[duration]}") s" "${episode[frames]}" \
      "$(size "${episode[bytes]}")" "${episode[reason]}" "${episode[location]}"
  done
}

# NAME LINE: that field of a message, which reads `name=(type)value`; GStreamer quotes a string with unusual characters.
field() {
  local pattern=", $1=\\([a-z0-9]+\\)(\"([^\"]*)\"|[^,;]*)"
  [[ $2 =~ $pattern ]] || fail "no $1 in: $2"
  local value=${BASH_REMATCH[2]:-${BASH_REMATCH[1]}}
  printf '%s' "${value//\\/}"
}

# MICROSECONDS since the epoch, as RFC 3339.
capture_time() {
  TZ=UTC printf '%(%FT%T)T.%06dZ' "$(($1 / 1000000))" "$(($1 % 1000000))"
}

# NANOSECONDS, rounded to milliseconds.
seconds() {
  local ms=$((($1 + 500000) / 1000000))
  printf '%d.%03d' "$((ms / 1000))" "$((ms % 1000))"
}

# BYTES, rounded to a tenth of a unit.
size() {
  numfmt --to=iec-i --suffix=B --format=%.1f --round=nearest "$1"
}

# Reads the output of `gst-launch-1.0 -m` and prints the result of a recording. Warnings and progress go to standard error:
# a line that is renewed each second on a terminal, a line every ten seconds elsewhere.
recording_report() {
  local line current
  trap '' INT # Ctrl-C is for gst-launch-1.0, which still has records to write
  while IFS= read -r line; do
    case $line in
      'WARNING: '*) say_over_progress "$line" ;;
      *' (element): progress, '*)
        current=$(field current "$line")
        if [[ -t 2 ]]; then
          printf '\r%s recorded\033[K' "$(clock "$current")" >&2
        elif ((current > 0 && current % 10 == 0)); then
          say "$(clock "$current") recorded"
        fi
        ;;
      *' (element): reduct-recording, '*)
        say_over_progress
        printf '%d frames in %d records written, %d records were there, %d frames dropped\n' \
          "$(field frames "$line")" "$(field records "$line")" "$(field existing "$line")" \
          "$(field dropped-frames "$line")"
        ;;
    esac
  done
}

# [TEXT]: clears the line of the progress on a terminal, and says the text.
say_over_progress() {
  [[ ! -t 2 ]] || printf '\r\033[K' >&2
  (($# == 0)) || say "$@"
}

# SECONDS as h:mm:ss.
clock() {
  printf '%d:%02d:%02d' "$(($1 / 3600))" "$(($1 / 60 % 60))" "$(($1 % 60))"
}
