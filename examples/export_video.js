#!/usr/bin/env node
// SPDX-License-Identifier: MPL-2.0

/**
 * Exports an entry of ReductStore, or a range of it, as MP4 episodes that the server makes.
 *
 *     npm install --prefix sdk reduct-js@1.20.0
 *     NODE_PATH=sdk/node_modules node examples/export_video.js b h264 episodes --duration 2s
 *
 * The server needs the extension `video`, see docs/server.md; GStreamer is not used. The server is
 * at REDUCT_URL, the token in REDUCT_API_TOKEN. Without --duration the range is one episode, unless
 * frames are missing in it.
 *
 * Each episode is a line on standard output as soon as its file is complete. An error is a line on
 * standard error, with exit status 1.
 *
 * `export_video.py` and `export_video.rs` are the same in Python and Rust.
 */

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { parseArgs } = require("node:util");
const { Client } = require("reduct-js");

// The default of 60 s is not enough where the disk takes an episode more slowly than that.
const TTL_SECONDS = 600;

const USAGE = `Usage: export_video.js BUCKET ENTRY FOLDER [--start TIME] [--stop TIME] [--duration DURATION]

  FOLDER      folder for the files, made if it is missing
  --start     begin of the range: 2025-06-13T08:30:53Z or µs since the epoch
  --stop      end of the range, which is not part of it
  --duration  begin a new episode at the first keyframe after this time: 2s, 1m, 1h 30m
`;

/** Returns the positional arguments and the options, or `null` if they are wrong. */
function parseCommandLine() {
  const string = { type: "string" };
  const options = { start: string, stop: string, duration: string };
  try {
    const { positionals, values } = parseArgs({ options, allowPositionals: true });
    const [start, stop] = [values.start, values.stop].map(parseTime);
    return positionals.length === 3 ? { positionals, start, stop, duration: values.duration } : null;
  } catch {
    return null;
  }
}

/** Returns a time in µs since the epoch. */
function parseTime(text) {
  if (text === undefined) {
    return undefined;
  }
  if (/^\d+$/.test(text)) {
    return BigInt(text);
  }
  // A Date has milliseconds only.
  const [, seconds, fraction = "", zone] = /^([^.]*:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  return BigInt(Date.parse(seconds + zone)) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

async function exportEpisodes({ positionals: [bucketName, entry, folder], start, stop, duration }) {
  const { REDUCT_URL: url = "http://127.0.0.1:8383", REDUCT_API_TOKEN: apiToken } = process.env;
  const limits = duration === undefined ? {} : { duration };
  fs.mkdirSync(folder, { recursive: true });
  const client = new Client(url, { apiToken });
  const bucket = await client.getBucket(bucketName);
  const episodes = bucket.query(entry, start, stop, {
    ttl: TTL_SECONDS,
    when: { "#ext": { video: { export: limits } } },
  });
  let index = 0;
  for await (const episode of episodes) {
    const file = path.join(folder, `episode_${String(index).padStart(5, "0")}.mp4`);
    await write(episode, file);
    console.log(line(index, file, episode));
    index += 1;
  }
  if (index === 0) {
    // Of several entries, which this is a query of since API 1.18, a missing one is no error.
    throw new Error(`'${bucketName}/${entry}' has no records in the range`);
  }
}

/** Writes a file, which has the suffix `.part` until it is complete. */
async function write(episode, file) {
  await pipeline(Readable.fromWeb(episode.stream), fs.createWriteStream(`${file}.part`));
  fs.renameSync(`${file}.part`, file);
}

/** Returns the line for a complete episode. */
function line(index, file, { time, size, labels }) {
  const seconds = (Number(labels.duration) / 1e9).toFixed(3);
  return (
    `${index}: ${file}, ${utc(time)}, ${seconds} s, ${labels.frames} frames, ${size} bytes, ` +
    `${labels.reason}, ${labels.dropped ?? 0} dropped`
  );
}

/** Returns µs since the epoch as RFC 3339. */
function utc(time) {
  const milliseconds = new Date(Number(time / 1000n)).toISOString().slice(0, -1);
  return `${milliseconds}${String(time % 1000n).padStart(3, "0")}Z`;
}

const commandLine = parseCommandLine();
if (commandLine === null) {
  process.stderr.write(USAGE);
  process.exit(2);
}
exportEpisodes(commandLine).catch((error) => {
  // The SDK reports "fetch failed" for all faults of a connection.
  const cause = error.original?.cause ?? error.cause;
  console.error(`export_video: ${error.message}${cause?.message ? `: ${cause.message}` : ""}`);
  process.exit(1);
});
