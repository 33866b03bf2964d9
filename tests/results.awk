# SPDX-License-Identifier: MPL-2.0
#
# Sums up logs of `cargo test` or `cargo nextest run`: a line for each test binary, and below it each test that failed
# or has no result, because the binary aborted before. Exits with 1 if there is one, or no test at all.

FNR == 1 { is_over = 0; current = "" }

# ID is a binary's own, NAME is shown.
function binary(id, name, path) {
  if (!(id in order)) { order[id] = ++count; id_of[count] = id; names[id] = name }
  current = id
  paths[id] = path
  expected[id] = -1
  aborted[id] = path != "" # until it says how many tests it has
  in_failures = 0
}

function result(id, test, passed) {
  if (passed) good[id]++
  else failed[id] = failed[id] "\n          failed: " test
  bad[id] += !passed
  has_result[id, test] = 1
}

# The tests without a result. A filter leaves no way to tell their names.
function missing(id,   command, line, all, tests) {
  command = "'" paths[id] "' --list --format terse 2>/dev/null"
  while ((command | getline line) > 0) {
    if (line !~ /: test$/) continue
    sub(/: test$/, "", line)
    all++
    if (!((id, line) in has_result)) tests = tests "\n          no result: " line
  }
  close(command)
  return all == expected[id] ? tests : ""
}

# nextest

/^ +Summary \[/ { is_over = 1 } # what follows are the failures once more

!is_over && /^ +[A-Z][A-Z0-9\/ -]* \[ *[0-9.]+s\] / {
  line = $0
  status = line
  sub(/^ +/, "", status)
  sub(/ \[.*/, "", status)
  sub(/^[^]]*\] (\([^)]*\) )?/, "", line)
  id = line
  sub(/ .*/, "", id)
  test = substr(line, length(id) + 2)
  if (status ~ /^TRY /) next
  name = id
  sub(/^.*::/, "", name) # a library has the name of its package
  if (!(id in order)) binary(id, name, "")
  passed = status ~ /^(PASS|LEAK|FLAKY .*)$/
  if (status ~ /^(SIG|ABORT)/) aborted[id] = 1
  result(id, passed || status == "FAIL" ? test : test " (" status ")", passed)
  next
}

# cargo

/^ +Running .* \(.*\)$/ {
  path = $0
  sub(/^.*\(/, "", path)
  sub(/\)$/, "", path)
  name = path
  sub(/^.*\//, "", name)
  sub(/-[0-9a-f]+$/, "", name)
  binary(path, name, path)
}

/^ +Doc-tests / { binary("documentation of " $2, "doc " $2, "none") }

/^error(\[.*\])?: could not compile / { unbuilt = unbuilt "\nFAILED   " $0 }

current == "" { next }

# A failed test may show the output of a test binary that it ran.
/^failures:$/ { in_failures = 1 }

!in_failures && /^running [0-9]+ tests?$/ && expected[current] < 0 {
  expected[current] = $2
  aborted[current] = 0
}

!in_failures && /^test .* \.\.\. (ok|FAILED|ignored.*)$/ {
  test = $0
  sub(/^test /, "", test)
  passed = test !~ / \.\.\. FAILED$/
  sub(/ \.\.\. (ok|FAILED|ignored.*)$/, "", test)
  sub(/ - should panic$/, "", test)
  result(current, test, passed)
}

/^error: test failed/ { in_failures = 0 }

/process didn't exit successfully: / {
  how[current] = $0
  sub(/^.*` \(/, " (", how[current])
  if (how[current] ~ /exit status: 101/) how[current] = "" # as for any failed test
}

END {
  for (i = 1; i <= count; i++) {
    id = id_of[i]
    left = expected[id] < 0 ? 0 : expected[id] - good[id] - bad[id]
    state = aborted[id] || left > 0 ? "ABORTED" : bad[id] ? "FAILED" : "ok"
    line = sprintf("%-7s  %-24s  %4d passed", state, names[id], good[id])
    if (bad[id]) line = line ", " bad[id] " failed"
    if (left > 0) line = line ", " left " without a result"
    print line how[id] failed[id] (left > 0 ? missing(id) : "")
    is_bad = is_bad || state != "ok"
    tests += good[id] + bad[id]
  }
  if (unbuilt != "") print substr(unbuilt, 2)
  exit is_bad || unbuilt != "" || !tests
}
