#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Parses the command lines of the scripts. To be sourced after setup.sh by a script that defines `usage`.
set -euo pipefail

# LETTERS MIN MAX ARGUMENT...: calls `option NAME VALUE` for each option of the script and sets the array `arguments` to
# the rest. LETTERS are those of getopts; a long option comes as its name. -h and --help print the usage; an unknown
# option, or fewer than MIN or more than MAX arguments, end the script with it and status 2. An empty
# MAX is no limit.
parse_arguments() {
  local letters=$1 min=$2 max=$3 letter OPTIND=1 OPTARG
  shift 3
  while getopts "${letters}h-:" letter; do
    case $letter/${OPTARG:-} in
      h/ | -/help) usage && exit ;;
      \?/*) wrong_usage ;;
      -/*) option "$OPTARG" '' ;;
      *) option "$letter" "${OPTARG:-}" ;;
    esac
  done
  shift $((OPTIND - 1))
  (($# >= min && $# <= ${max:-$#})) || wrong_usage
  # shellcheck disable=SC2034 # for the script
  arguments=("$@")
}

wrong_usage() {
  usage >&2
  exit 2
}

# A script without options of its own.
option() { wrong_usage; }

# The options -d, -s and -o of the scripts that write episodes, for the array `splitter`.
# shellcheck disable=SC2034 # for the scripts
splitter_options=d:s:o:
splitter_option() {
  case $1 in
    d) splitter+=("duration=$(nanoseconds "$2")") ;;
    s) splitter+=("size=$2") ;;
    o) splitter+=("location=$2") ;;
    *) wrong_usage ;;
  esac
}

# SECONDS: the value of an option -d in nanoseconds.
nanoseconds() {
  [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "-d takes seconds, not '$1'"
  awk -v s="$1" 'BEGIN { printf "%.0f", s * 1e9 }'
}
