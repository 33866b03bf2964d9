#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
#
# Starts a temporary ReductStore server, and writes a test recording to a server. To be sourced after setup.sh.
set -euo pipefail

recording_start=2025-06-13T08:30:53.273752Z
recording_frames=90

# Starts a server and sets REDUCT_URL. The EXIT trap of the caller has to call stop_reductstore.
start_reductstore() {
  local binary port
  binary=$(reductstore_binary)
  server_dir=$(mktemp -d)
  export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 # no proxy for a local server
  for _ in {1..10}; do
    port=$((20000 + RANDOM % 10000)) # below the ports that the kernel hands out
    ! port_is_taken "$port" || continue
    RS_HOST=127.0.0.1 RS_PORT=$port RS_DATA_PATH=$server_dir RS_DISABLE_AUTH=true \
      "$binary" >"$server_dir/server.log" 2>&1 </dev/null &
    server_pid=$!
    export REDUCT_URL=http://127.0.0.1:$port
    ! server_is_up || return 0
    kill_server
  done
  tail -n 5 "$server_dir/server.log" >&2
  fail "the ReductStore server does not start"
}

port_is_taken() {
  (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Succeeds when the server answers. A server that cannot get its port ends at once, so another one is not mistaken for it.
server_is_up() {
  for _ in {1..100}; do
    sleep 0.1
    kill -0 "$server_pid" 2>/dev/null || return 1
    ! curl -fs --max-time 2 "$REDUCT_URL/api/v1/alive" || return 0
  done
  return 1
}

# Its data is removed as well, so it needs no orderly shutdown.
kill_server() {
  kill -KILL "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
}

stop_reductstore() {
  [[ -z ${server_pid:-} ]] || kill_server
  [[ -z ${server_dir:-} ]] || rm -rf "$server_dir"
}

# METHOD PATH [curl options]: makes a request. The token is in a file of headers, as command lines can be seen by others.
api() {
  local method=$1 path=$2
  shift 2
  curl -sS --fail-with-body --write-out '%{onerror}\n' --max-time 30 -X "$method" -H @<(authorization) "$@" \
    "${REDUCT_URL%/}/api/v1/$path" >&2
}

authorization() {
  [[ -z ${REDUCT_API_TOKEN:-} ]] || printf 'Authorization: Bearer %s\n' "$REDUCT_API_TOKEN"
}

# BUCKET ENTRY [UNIT]: records 6 s of video, a hole of 10 s and 3 s of video. A record is a group of pictures, as in
# ReductStore's documentation, or another UNIT of the sink.
write_recording() {
  require_plugin
  timeout --foreground -k 10 120 gst-launch-1.0 -q concat name=camera adjust-base=false \
    ! reductsink "bucket=$1" "entry=$2" "record-unit=${3:-gop}" "start=$recording_start" \
    $(camera_part 60 0) ! camera. $(camera_part 30 16000000000) ! camera. >&2
}

# FRAMES TIME: prints the elements of an encoded test picture that starts at a running time, with a keyframe each second.
camera_part() {
  printf '%s ' videotestsrc pattern=ball "num-buffers=$1" "timestamp-offset=$2" \
    ! video/x-raw,format=I420,width=320,height=240,framerate=10/1 \
    ! x264enc key-int-max=10 bframes=0 option-string=scenecut=0 \
    ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au
}
