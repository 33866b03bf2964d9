#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Measures the elements beside what they are compared with, and how long seeks and live frames take, and prints tables. benches/README.md says how.
# Usage: run.sh [CASE...] - the cases below; without any, all but the last. BENCH_RUNS is how often each side runs (5).
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
source "$here/../pipelines/lib/setup.sh"
source "$here/../pipelines/lib/server.sh"

runs=${BENCH_RUNS:-5}
bucket=bench
batches=(--batch-size 10MB --batch-records 2000) # as reductsrc asks for them
small_query=(--records 10 --queries 300)
splitter="reductepisodesplit duration=2000000000"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target}
tools=$CARGO_TARGET_DIR/release/reduct-bench
python=$cache/bench-python

declare -A entries=(
  [25k]='--records 12000 --bytes 25000'
  [25k-long]='--records 120000 --bytes 25000'
  [2k]='--records 150000 --bytes 2000'
  [gop]='--records 400 --bytes 770000 --gop'
  [100k]='--records 100000 --bytes 2000 --labels'
)
# Entries of test pictures, a record a frame with the labels of a recorder. The hour is an MP4 file in an entry, too.
declare -A videos=(
  [1080p]='testsrc2=size=1920x1080:rate=30 -frames:v 300 -bf 2 -b:v 8M'
  [hour]='testsrc2=size=640x360:rate=30 -frames:v 108000 -bf 0 -b:v 1M'
)
hour_frames=108000
package_cases=(to-dir random-frames random-frames-1gbit random-frames-100mbit open access-units)
declare -A filled proxies
cases=(reduct-rs http small gop 20ms 50ms python parts memory seek seek-50ms follow idle neighbour write write-50ms render
  render-50ms extension "${package_cases[@]}")
more_cases=(extension-memory)

# NAME: runs the case and prints its rows.
run_case() {
  local source='reductsrc ! fakesink' line='reductsrc ! reductepisodesplit, 2 s episodes'
  local export="episodes of 2 s by episode-server and reduct-py"
  local http="bare HTTP reader, connections: $connections"
  case $1 in
    reduct-rs)
      row "$source, 25 KB units" reduct-rs MB/s --at-least 3.5 -- 'source_alone 25k' 'reduct_rs 25k'
      ;;
    http)
      row "$source, 25 KB units" "$http" MB/s --at-least 0.85 -- 'source_alone 25k' 'http_reader 25k'
      ;;
    small)
      row "$source, 2 KB units" reduct-rs records/s --at-least 3 -- 'source_alone 2k' 'reduct_rs 2k'
      ;;
    gop)
      row "$source, 770 KB GOPs" "$http" MB/s --at-least 0.9 -- 'source_alone gop' 'http_reader gop'
      ;;
    20ms)
      row "$source, 25 KB units, 20 ms" reduct-rs records/s -- 'far 20 source_alone 25k' 'far 20 reduct_rs 25k'
      ;;
    50ms)
      row "$source, 25 KB units, 50 ms" reduct-rs records/s --at-least 10 \
        -- 'far 50 source_alone 25k' 'far 50 reduct_rs 25k'
      ;;
    python)
      row "$line, 25 KB units" 'reduct-py and PyAV' MB/s --at-least 2.5 -- 'whole_line 25k' 'python_script 25k'
      ;;
    parts)
      row "$line, 25 KB units" 'the slower of reductsrc and reductepisodesplit alone' s --at-most 1.25 \
        -- 'whole_line 25k' 'source_alone 25k' 'splitter_alone 25k'
      ;;
    memory)
      row "$source, peak RSS, 3 GB" '0.3 GB' MiB --at-least 0.9 --at-most 1.1 --limit 160 \
        -- 'source_alone 25k-long' 'source_alone 25k'
      ;;
    seek)
      seeks 0 30 60
      ;;
    seek-50ms)
      seeks 50 300 450
      ;;
    follow)
      in_turn follow
      percentiles '8 sources follow 8 cameras, 25 KB units' --median-at-most 25 --at-most 60 follow
      ;;
    idle)
      in_turn 'idle 2k'
      percentiles 'an idle source, seconds 1 to 5' --unit requests --at-most 60 --falling 'idle 2k'
      ;;
    neighbour)
      in_turn 'neighbour '{nobody,sources,cameras,both}' 25k'
      percentiles '100 records for another client' 'neighbour nobody 25k'
      percentiles 'the same beside 8 idle sources' 'neighbour sources 25k'
      percentiles 'the same beside 8 cameras' 'neighbour cameras 25k'
      percentiles 'the same beside 8 cameras and 8 sources' 'neighbour both 25k'
      ;;
    write)
      row 'reductsink, 25 KB units' 'reduct-rs, batches of 80' records/s --at-least 0.9 \
        -- 'sink_alone 25k' 'reduct_rs_writer 25k'
      ;;
    write-50ms)
      row 'reductsink, 25 KB units, 50 ms' 'reduct-rs, batches of 80' records/s --at-least 0.9 \
        -- 'far 50 sink_alone 25k' 'far 50 reduct_rs_writer 25k'
      ;;
    render)
      in_turn 'render 8'
      percentiles 'time in render, 8 live cameras of 8 Mbit/s' --percentile 99 --at-most 5 'render 8'
      ;;
    render-50ms)
      in_turn 'far 50 render 4'
      percentiles 'time in render, 4 live cameras of 8 Mbit/s, 50 ms' --percentile 99 --at-most 5 'far 50 render 4'
      ;;
    extension)
      row "$export to files" 'reduct-py and PyAV' records/s --at-least 2.5 -- 'exported_files 25k' 'python_script 25k'
      row "$export" 'reduct-py, records' s --at-most 1.3 -- 'exported 2s 25k' 'python_reader 25k'
      in_turn 'beside '{nothing,2s,whole}' 25k'
      percentiles '10 records for another client' 'beside nothing 25k'
      percentiles 'the same beside exports of 2 s episodes' --at-most 20 'beside 2s 25k'
      percentiles 'the same beside exports of one episode' --at-most 20 'beside whole 25k'
      ;;
    extension-memory)
      in_turn server_{at_rest,exporting}' 25k-long'
      print_row 'RSS of the server, 3 GB as episodes of 1 GB' 'before' MiB --at-most-above 64 \
        -- 'server_exporting 25k-long' 'server_at_rest 25k-long'
      ;;
    to-dir)
      row 'to_dir, 300 frames 1080p, JPEG' 'reduct-py, PyAV and Pillow in a loop' records/s --at-least 1.8 \
        -- 'pictures 1080p' 'pictures_by_hand 1080p'
      ;;
    random-frames)
      random_row '' ''
      ;;
    random-frames-1gbit)
      random_row ', 1 Gbit/s, 1 ms' 'far 1:1000 '
      ;;
    random-frames-100mbit)
      random_row ', 100 Mbit/s, 1 ms' 'far 1:100 '
      ;;
    open)
      in_turn 'opened '{entry,labels,contents}' 100k'
      opened_rows entry 'open an entry of 100 000 frames'
      opened_rows labels 'open and index by labels, 100 000 frames'
      ;;
    access-units)
      row 'access_units(), 25 KB units' reduct-py MB/s --at-least 5 -- 'units 25k' 'units_by_hand 25k'
      row 'access_units(), 25 KB units' "$http" MB/s -- 'units 25k' 'http_reader 25k'
      ;;
  esac
}

# CASE WITH UNIT [OPTION...] -- SIDE...: runs the sides in turn and prints the row.
row() {
  local words=("$@")
  while [[ $1 != -- ]]; do shift; done
  shift
  in_turn "$@"
  print_row "${words[@]}"
}

# The arguments of row: prints the row of sides that have run.
print_row() {
  local case=$1 with=$2 unit=$3 options=()
  shift 3
  while [[ $1 != -- ]]; do
    options+=("$1") && shift
  done
  shift
  head_once 'case | compared with | target | reached | median | median of the other'
  "$tools" row --case "$case" --with "$with" --unit "$unit" "${options[@]}" "${@/#/$scratch/}"
  rm -rf "$scratch"/episodes.*
}

# CASE [OPTION...] SIDE: prints the row of a side that has run.
percentiles() {
  local tail=p95
  [[ $* != *'--percentile 99'* ]] || tail=p99
  head_once "case | target | median | $tail | reached"
  "$tools" percentiles --case "$1" "${@:2:$#-2}" "$scratch/${*: -1}"
}

# MS MEDIAN P95: runs seeks with the server that far away and prints their rows; the others are the largest percentiles to
# reach, ms.
seeks() {
  local far='' to rest
  (($1 == 0)) || far="far $1 "
  in_turn "${far}seek "{keyframe,frame}' '{0,300}' 2k'
  for rest in 0 300; do
    for to in keyframe frame; do
      percentiles "seek to a $to, $rest ms after the one before${far:+, $1 ms}" --median-at-most "$2" \
        --at-most "$3" "${far}seek $to $rest 2k"
    done
  done
}

# TEXT FAR: random frames with the server that far away.
random_row() {
  row "100 random frames of an hour, GOP 30$1" 'download of the MP4, seeks by PyAV' records/s --at-least 10 \
    -- "${2}random_frames hour" "${2}random_frames_by_hand hour"
}

# WHAT CASE: the time, and the memory that is taken, beside those of reading all.
opened_rows() {
  print_row "$2" 'index by contents' s --first-limit 0.3 -- "opened $1 100k" 'opened contents 100k'
  print_row "$2, memory" 'index by contents' MiB --first-limit 40 -- "opened $1 100k" 'opened contents 100k'
}

# SIDE...: runs the sides in turn. A side is a function below with its arguments, of which the last is the entry that it
# reads.
in_turn() {
  local side run
  for side in "$@"; do
    fill "${side##* }"
    rm -f "$scratch/$side"
  done
  for ((run = 1; run <= runs; run++)); do
    for side in "$@"; do
      say "Run $run of $runs: $side"
      $side >>"$scratch/$side" # words
    done
  done
}

# COLUMNS: begins a table, unless it is that of the row before.
head_once() {
  local bars=${1//[^|]/}
  [[ $1 != "$head" ]] || return 0
  head=$1
  printf '\n| %s |\n|---%s|\n' "$head" "${bars//|/|---}"
}

source_alone() {
  "$tools" pipeline "reductsrc bucket=$bucket entry=$1 ! fakesink sync=false async=false"
}

reduct_rs() {
  "$tools" reduct-rs --bucket "$bucket" --entry "$1"
}

http_reader() {
  "$tools" http --bucket "$bucket" --entry "$1" --connections "$connections" "${batches[@]}"
}

whole_line() {
  new_folder
  "$tools" pipeline "reductsrc bucket=$bucket entry=$1 ! $splitter location=$episodes/%05d.mp4"
}

splitter_alone() {
  new_folder
  "$tools" replay "reductsrc bucket=$bucket entry=$1" "$splitter location=$episodes/%05d.mp4"
}

python_script() {
  new_folder
  "$python/bin/python" "$here/export.py" "$bucket" "$1" "$episodes"
}

python_reader() {
  reduct_py "$1"
}

# DURATION ENTRY: has the server make episodes.
exported() {
  reduct_py --export "$(export_parameters "$1")" "$2"
}

exported_files() {
  new_folder
  reduct_py --export "$(export_parameters 2s)" --folder "$episodes" "$1"
}

# DURATION: of each episode, or all as one episode.
export_parameters() {
  [[ $1 == whole ]] || printf '{"duration": "%s"}' "$1"
  [[ $1 != whole ]] || printf '{"gap_detection": false}'
}

# [OPTION...] ENTRY
reduct_py() {
  "$python/bin/python" "$here/reduct_py.py" "${@:1:$#-1}" "$bucket" "${*: -1}"
}

# nothing|DURATION ENTRY: asks for a few records while another process has episodes made, again and again.
beside() {
  if [[ $1 == nothing ]]; then
    "$tools" neighbour --bucket "$bucket" --beside nobody --entry "$2" "${small_query[@]}"
    return
  fi
  "$python/bin/python" "$here/reduct_py.py" --forever --export "$(export_parameters "$1")" "$bucket" "$2" \
    >"$scratch/exports" &
  exporter_pid=$!
  until [[ -s $scratch/exports ]]; do
    kill -0 "$exporter_pid" || fail "no episode comes"
    sleep 0.1
  done
  "$tools" neighbour --bucket "$bucket" --beside nobody --entry "$2" "${small_query[@]}"
  kill "$exporter_pid" || fail "the exports have ended"
  wait "$exporter_pid" || true
  exporter_pid=
}

# Begins the peak anew, with what the server has.
server_at_rest() {
  echo 5 >"/proc/$server_pid/clear_refs"
  server_memory
}

server_exporting() {
  reduct_py --export '{"size": "1GB"}' "$1" >&2
  server_memory
}

# Prints the peak as a measurement.
server_memory() {
  awk '/^VmHWM:/ { printf "{\"seconds\": 0, \"peak_rss\": %d}\n", $2 * 1024 }' "/proc/$server_pid/status"
}

# Each writes a new entry, which is gone after it.
sink_alone() {
  "$tools" replay "reductsrc bucket=$bucket entry=$1" "reductsink bucket=$bucket entry=written overflow=block"
  forget_written
}

reduct_rs_writer() {
  # shellcheck disable=SC2086 # options
  "$tools" reduct-rs-writer --bucket "$bucket" --entry written --labels ${entries[$1]}
  forget_written
}

# CASE ENTRY [ARGUMENT...]: runs a case of the Python package.
package() {
  "$python/bin/python" "$here/frames.py" "$bucket" "$2" "$1" "${@:3}"
}

# CASE ENTRY [ARGUMENT...]: the same without the package.
by_hand() {
  "$python/bin/python" "$here/frames_by_hand.py" "$bucket" "$2" "$1" "${@:3}"
}

pictures() {
  new_folder
  package pictures "$1" "$episodes"
}

pictures_by_hand() {
  new_folder
  by_hand pictures "$1" "$episodes"
}

random_frames() {
  package random-frames "$1" "$hour_frames"
}

random_frames_by_hand() {
  new_folder
  by_hand random-frames "$1" "$hour_frames" "$episodes"
}

# entry|labels|contents ENTRY
opened() {
  package index "$2" "$1"
}

units() {
  package access-units "$1"
}

units_by_hand() {
  by_hand access-units "$1"
}

forget_written() {
  api DELETE "b/$bucket/written"
  until [[ $(curl -sS -o /dev/null -w '%{http_code}' "$REDUCT_URL/api/v1/b/$bucket/written") == 404 ]]; do
    sleep 0.1
  done
}

# CAMERAS: into a bucket of their own.
render() {
  "$tools" render --bucket "$bucket-$RANDOM" --cameras "$1" --bytes 33333
}

seek() {
  "$tools" seek --to "$1" --rest "$2" "reductsrc bucket=$bucket entry=$3 ! fakesink sync=false"
}

follow() {
  "$tools" follow --bucket "$bucket"
}

idle() {
  "$tools" idle --bucket "$bucket" --entry "$1"
}

neighbour() {
  "$tools" neighbour --bucket "$bucket" --beside "$1" --entry "$2"
}

# MS[:MBITS] SIDE: with the server that far away, by a way that transfers as much.
far() {
  [[ -v proxies[$1] ]] || start_proxy "$1"
  REDUCT_URL=http://${proxies[$1]} "${@:2}"
}

start_proxy() {
  local address=$scratch/proxy-$1
  local limit=()
  [[ $1 != *:* ]] || limit=(--mbits "${1#*:}")
  "$tools" delay --to "${REDUCT_URL#http://}" --rtt "${1%:*}" "${limit[@]}" >"$address" &
  proxy_pids+=($!)
  until [[ -s $address ]]; do
    kill -0 $! || fail "the proxy does not start"
    sleep 0.1
  done
  proxies[$1]=$(<"$address")
}

# Cameras fill their entries themselves.
fill() {
  [[ ! -v videos[$1] ]] || fill_video "$1"
  [[ -v entries[$1] && ! -v filled[$1] ]] || return 0
  say "Writing the entry $1: ${entries[$1]}"
  # shellcheck disable=SC2086 # options
  "$tools" fill --bucket "$bucket" --entry "$1" ${entries[$1]}
  filled[$1]=yes
}

# Encodes the test pictures once for all runs.
fill_video() {
  local file=$cache/bench-video/$1.mp4 options
  [[ ! -v filled[$1] ]] || return 0
  read -ra options <<<"${videos[$1]}"
  if [[ ! -e $file ]]; then
    say "Encoding the video $1, once"
    mkdir -p "${file%/*}"
    ffmpeg -v error -y -f lavfi -i "${options[@]}" -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
      -g 30 -keyint_min 30 -sc_threshold 0 -f mp4 "$file.part"
    mv "$file.part" "$file"
  fi
  say "Writing the entry $1"
  "$python/bin/python" "$here/frames_fill.py" --file "$bucket" "$1" "$file"
  filled[$1]=yes
}

# A new one each time: ext4 takes long to find room for files where others were deleted a moment ago.
new_folder() {
  episodes=$(mktemp -d "$scratch/episodes.XXXX")
}

set_up_python() {
  [[ -x $python/bin/pip ]] || python3 -m venv "$python"
  "$python/bin/pip" --quiet --disable-pip-version-check install -r "$here/requirements.txt"
}

# The Python package as a wheel, as users have it.
set_up_package() {
  local wheels=$scratch/wheels
  say "Building the Python package"
  "$python/bin/maturin" build --quiet --locked --release --manifest-path "$top/python/Cargo.toml" --out "$wheels"
  "$python/bin/pip" --quiet --disable-pip-version-check install --force-reinstall --no-deps "$wheels"/*.whl
}

# CASE...: succeeds if one of them needs the package.
need_package() {
  local name
  for name in "$@"; do
    [[ " ${package_cases[*]} " != *" $name "* ]] || return 0
  done
  return 1
}

set_up_tools() {
  say "Building the tools"
  cargo build --locked --release --manifest-path "$here/tools/Cargo.toml"
  connections=$("$tools" connections)
}

machine() {
  printf '%s × %s, %s; ' "$(nproc)" "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)" \
    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
  printf '%s, ' "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)" "Linux $(uname -r)" \
    "$(gst-launch-1.0 --version | sed -n 2p)" "$(rustc --version | cut -d' ' -f1-2)" \
    "ReductStore $reductstore_version" "$(crate_version reduct-rs)" "$(crate_version reqwest)"
  paste -sd ' ' "$here/requirements.txt"
}

crate_version() {
  local id
  id=$(cargo pkgid --locked --manifest-path "$here/tools/Cargo.toml" "$1")
  printf '%s' "${id##*#}"
}

clean_up() {
  ((${#proxy_pids[@]} == 0)) || kill "${proxy_pids[@]}"
  [[ -z $exporter_pid ]] || kill "$exporter_pid"
  stop_reductstore
  [[ -z ${scratch:-} ]] || rm -rf "$scratch"
}

(($#)) || set -- "${cases[@]}"
for name in "$@"; do
  [[ " ${cases[*]} ${more_cases[*]} " == *" $name "* ]] || fail "no case $name; there are: ${cases[*]} ${more_cases[*]}"
done
proxy_pids=() exporter_pid='' head=
trap clean_up EXIT
install_packages python3-venv
find_cargo
set_up_python
build_plugin release
set_up_tools
scratch=$(mktemp -d)
if need_package "$@"; then
  set_up_package
fi
start_reductstore
machine
for name in "$@"; do
  run_case "$name"
done
