#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0

"""Finds the episode of one time of an entry, and prints a query link to it.

Arguments: the duration of an episode of H.264 in ns, the lifetime of the link in seconds, bucket, entry, time.
"""

import json
import os
import re
import sys
import time
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from typing import Any, Iterator
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = 1_000_000
# Time before the wanted one in which an MP4 episode is searched that has it, in µs.
EPISODE_LOOKBACKS = (3600 * SECOND, 86400 * SECOND)
# The same for a keyframe of H.264, besides half an episode, in µs.
KEYFRAME_LOOKBACKS = (0, 60 * SECOND)
# Longest wait for an answer, in seconds: a query without contents is answered when the episode is made.
TIMEOUT = 300
# http.client takes at most 100 headers.
BATCH = {"#batch_records": 50}
OUT_OF_RANGE = "Start time must be before stop time"

# A time in µs, and the duration in µs if it is known.
Episode = tuple[int, int | None]


class LinkError(Exception):
    """The reason for no link."""


class NoRedirects(HTTPRedirectHandler):
    """Makes a redirect an error: it would get the token."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


class Entry:
    """An entry of a server."""

    def __init__(self, bucket: str, name: str) -> None:
        self.bucket = bucket
        self.name = name
        self.url = os.environ.get("REDUCT_URL", "http://127.0.0.1:8383").rstrip("/")
        if not re.fullmatch(r"https?://[^@?#]+", self.url):
            raise LinkError("REDUCT_URL is not http://HOST:PORT or https://HOST:PORT")
        self.path = f"b/{quote(bucket, '')}/{quote(name)}"
        token = os.environ.get("REDUCT_API_TOKEN")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.opener = build_opener(NoRedirects)

    def request(self, method: str, path: str, body: dict | None = None) -> Any:
        """Makes a request. Returns the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = self.headers | {"Content-Type": "application/json"}
        request = Request(f"{self.url}/api/v1/{path}", data, headers, method=method)
        try:
            return self.opener.open(request, timeout=TIMEOUT)
        except HTTPError as error:
            text = error.headers.get("x-reduct-error", f"status {error.code}, {error.reason}")
            raise LinkError(text) from None
        except URLError as error:
            raise LinkError(f"{self.url}: {error.reason}") from None

    def content_type(self) -> str:
        """Returns the content type of the newest record."""
        return self.request("HEAD", self.path).headers["content-type"]

    def list(self, query: dict) -> list[Episode]:
        """Returns the records that a query finds, by their headers."""
        request = {"query_type": "QUERY"} | query
        request["when"] = query.get("when", {}) | BATCH
        try:
            answer = json.load(self.request("POST", f"{self.path}/q", request))
        except LinkError as error:
            # The server moves both ends of a range into the entry first.
            if str(error) == OUT_OF_RANGE:
                return []
            raise
        found: list[Episode] = []
        while True:
            batch = self.request("HEAD", f"{self.path}/batch?q={answer['id']}")
            if batch.status == 204:
                return sorted(found, key=lambda episode: episode[0])
            found.extend(episodes(batch.headers))

    def link(self, query: dict, start: int, lifetime: int) -> str:
        """Returns a link to the record of a query with this time."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", self.name)
        captured = EPOCH + timedelta(microseconds=start)
        body = {
            "bucket": self.bucket,
            "entry": self.name,
            "query": {"query_type": "QUERY", "entries": [self.name]} | query,
            "record_entry": self.name,
            "record_timestamp": start,
            "expire_at": int(time.time()) + lifetime,
            "base_url": self.url,
        }
        answer = self.request("POST", f"links/{name}_{captured:%Y%m%dT%H%M%S.%fZ}.mp4", body)
        return json.load(answer)["link"]


def episodes(headers: Any) -> Iterator[Episode]:
    """Yields the records of a batch."""
    for name, value in headers.items():
        if start := re.fullmatch(r"x-reduct-time-(\d+)", name.lower()):
            # A value with a comma has quotation marks.
            labels = dict(re.findall(r',([^=,]+)=("[^"]*"|[^,]*)', value))
            duration = labels.get("duration", "")
            yield int(start[1]), int(duration) // 1000 if duration.isdecimal() else None


def covering(found: list[Episode], wanted: int) -> int | None:
    """Returns the start of the last episode that has a time."""
    starts = [start for start, length in found if start <= wanted and (length is None or wanted < start + length)]
    return max(starts, default=None)


def stored(entry: Entry, wanted: int) -> tuple[dict, int]:
    """Returns a query for the MP4 episode of a time, or for the one after it, and the start of the episode."""
    for lookback in EPISODE_LOOKBACKS:
        found = entry.list({"start": max(wanted - lookback, 0), "stop": wanted + 1})
        start = covering(found, wanted)
        if start is not None:
            break
    else:
        start = next_record(entry, wanted)
    return {"start": start, "stop": start + 1}, start


def exported(entry: Entry, wanted: int, duration: int) -> tuple[dict, int]:
    """Returns a query that makes an episode of H.264 with a time in its middle, and the start of the episode."""

    def export(start: int) -> tuple[dict, list[Episode]]:
        # With the index in front a browser needs one request.
        parameters = {"duration": f"{max(duration // 1000, 1)}ms", "faststart": True}
        when = {"#ext": {"video": {"export": parameters}}}
        query = {"start": max(start, 0), "stop": max(wanted, start) + duration, "when": when}
        return query, entry.list(query)

    for lookback in KEYFRAME_LOOKBACKS:
        try:
            query, found = export(wanted - duration // 2 - lookback)
        except LinkError:
            # A longer range may have the keyframe that this one has not.
            if lookback == KEYFRAME_LOOKBACKS[-1]:
                raise
            continue
        start = covering(found, wanted)
        if start is not None:
            return query, start
    query, found = export(next_record(entry, wanted))
    if not found:
        raise LinkError("the episode was removed meanwhile")
    return query, found[0][0]


def next_record(entry: Entry, wanted: int) -> int:
    """Returns the time of the first record at or after a time."""
    for start, _ in entry.list({"start": wanted, "when": {"$limit": 1}}):
        return start
    raise LinkError(f"there is no episode at {sys.argv[5]} or after it")


def parse_time(text: str) -> int:
    """Returns a time in µs since the epoch."""
    try:
        return int(text) if text.isdecimal() else (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError):
        raise LinkError(f"'{text}' is no time such as 2025-06-13T08:30:53Z") from None


def main() -> None:
    duration, lifetime, bucket, name, wanted_text = sys.argv[1:]
    try:
        wanted = parse_time(wanted_text)
        entry = Entry(bucket, name)
        match entry.content_type():
            case "video/mp4":
                query, start = stored(entry, wanted)
            case "video/h264":
                query, start = exported(entry, wanted, int(duration) // 1000)
            case other:
                raise LinkError(f"'{bucket}/{name}' holds {other}, expected video/h264 or video/mp4")
        print(entry.link(query, start, int(lifetime)))
    except (LinkError, OSError, HTTPException, KeyError, ValueError, OverflowError) as error:
        sys.exit(f"link.sh: {error}")


if __name__ == "__main__":
    main()
