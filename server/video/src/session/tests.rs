// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use media::codec::h264::testing::{IDR, P, SPS, SliceSpec, SpsSpec, pps, record, slice, sps};
use reduct_base::io::records::CursorRecord;
use reduct_base::io::{ReadChunk, ReadRecord};
use serde_json::json;

use super::*;
use crate::drain_token::DrainToken;

const START: u64 = 1_750_000_000_000_000;
const STREAM: SpsSpec = SpsSpec {
    max_num_reorder_frames: Some(0),
    ..SPS
};

fn config(export: Value, ends_without_output: bool) -> SessionConfig {
    let ext = json!({ "video": { "export": export } });
    SessionConfig {
        parameters: Parameters::read(&ext).expect("parameters"),
        range: QueryRange::default(),
        ext,
        spool: spool(std::env::temp_dir()),
        at_end: AtEnd::One,
        ttl: Duration::from_secs(60),
        ends_without_output,
    }
}

/// All episodes are in files.
fn spool(folder: PathBuf) -> SpoolSettings {
    SpoolSettings {
        folder: Arc::new(folder),
        memory_limit: 0,
    }
}

/// A session of protocol v2 whose episodes have one group of pictures.
fn session() -> Session {
    Session::new(config(json!({ "fps": 10, "duration": "1s" }), true))
}

/// One second of video.
fn group() -> Vec<u8> {
    let mut group = record(&[&sps(STREAM), &pps(0), &slice(IDR)]).to_vec();
    for number in 1..10 {
        let spec = SliceSpec {
            frame_num: number,
            order: 2 * number % 16,
            ..P
        };
        group.extend_from_slice(&record(&[&slice(spec)]));
    }
    group
}

fn meta(second: u64, length: usize) -> RecordMeta {
    let meta = RecordMeta::builder()
        .entry_name("cam")
        .timestamp(START + second * 1_000_000);
    meta.content_type("video/h264".into())
        .content_length(length as u64)
        .build()
}

fn boxed(meta: RecordMeta, content: Vec<u8>) -> BoxedReadRecord {
    CursorRecord::boxed(Cursor::new(content), meta, 512 << 10)
}

/// Returns a record with a frame rate.
fn labelled(meta: RecordMeta, rate: &str, content: Vec<u8>) -> BoxedReadRecord {
    let labels = HashMap::from([("fps", rate)]);
    boxed(
        RecordMeta::builder_from(meta).labels(labels).build(),
        content,
    )
}

/// Returns a record with these groups.
fn groups(second: u64, count: usize) -> BoxedReadRecord {
    let content = group().repeat(count);
    boxed(meta(second, content.len()), content)
}

/// Commits a record and its tokens, as the server does. Returns the times of its episodes in seconds.
fn commit_all(session: &mut Session, record: BoxedReadRecord) -> Result<Vec<u64>, ReductError> {
    let token = DrainToken::after(record.meta());
    let meta = token.meta().clone();
    let mut times = Vec::new();
    let mut output = session.commit(record);
    loop {
        if let Some(episode) = output {
            times.push((episode?.meta().timestamp() - START) / 1_000_000);
        }
        if session.waiting() == 0 {
            return Ok(times);
        }
        output = session.commit(Box::new(DrainToken::after(&meta)));
        assert!(output.is_some(), "a token without an episode");
    }
}

#[test]
fn a_token_fetches_each_further_episode_of_a_record() {
    let mut session = session();
    assert_eq!(commit_all(&mut session, groups(0, 1)), Ok(vec![]));
    // The begin of a group ends the episode before it.
    assert_eq!(commit_all(&mut session, groups(1, 4)), Ok(vec![0, 1, 2, 3]));
    assert_eq!(commit_all(&mut session, groups(5, 1)), Ok(vec![4]));
    let last = session.flush().expect("an episode").expect("no error");
    assert_eq!(last.meta().timestamp(), START + 5_000_000);
    assert_eq!(last.meta().entry_name(), "cam");
    assert!(session.flush().is_none());
}

#[test]
fn pictures_that_only_a_decoder_needs_are_no_episode() {
    // A recovery that a gap cuts off, behind a damaged slice; of a fuzzer.
    let stream = record(&[
        &[0x41],
        &[0x67, 0x64, 0x00, 0x0a, 0xac, 0xb4, 0x44, 0xd4],
        &[0x68, 0xef, 0x0f, 0x2c],
        &[0x06, 0x06, 0x01, 0x71],
        &[0x41, 0x9a, 0x20, 0xff, 0x04],
        &[
            0x67, 0x64, 0x00, 0x0a, 0xac, 0x76, 0xbc, 0xf2, 0x40, 0xf1, 0xe8, 0x43,
        ],
        &[0x06, 0x06, 0x01, 0xc4],
        &[0x41, 0x88, 0x8c, 0x41],
        &[0x67, 0x64, 0x00, 0x0a, 0xac, 0xb4, 0x21, 0x36],
        &[0x41, 0x9a, 0xc6, 0x3c],
    ]);
    let export = json!({ "fps": 10, "keyframe_mode": "recovery-point" });
    let mut session = Session::new(config(export, true));
    let record = boxed(meta(0, stream.len()), stream.to_vec());
    assert_eq!(commit_all(&mut session, record), Ok(vec![]));
    let episode = session.flush().expect("an episode").expect("no error");
    assert_eq!(episode.meta().timestamp(), START + 200_000);
    let labels = episode.meta().labels();
    let counts = ["frames", "dropped", "damaged"].map(|label| labels[label].as_str());
    assert_eq!(counts, ["2", "2", "1"]);
}

#[test]
fn no_records_are_no_episode() {
    assert!(session().flush().is_none());
}

#[test]
fn limits_do_not_count_at_the_end() {
    let mut session = Session::new(config(
        json!({ "fps": 10, "duration": "1500ms", "split_mode": "at-most" }),
        true,
    ));
    for second in 0..3 {
        commit_all(&mut session, groups(second, 1)).expect("no error");
    }
    let last = session.flush().expect("an episode").expect("no error");
    // Seconds 1 and 2 are together longer than the limit, but the server takes one episode.
    assert_eq!(last.meta().labels()["frames"], "20");
}

/// Returns frames and time since the start in ms of the episodes that are left at the end.
fn remaining(session: &mut Session) -> Vec<(String, u64)> {
    let first = session.flush().map(|first| first.expect("no error"));
    let mut episodes = Vec::new();
    let mut next = first;
    while let Some(episode) = next {
        let meta = episode.meta();
        let frames = meta.labels()["frames"].clone();
        episodes.push((frames, (meta.timestamp() - START) / 1_000));
        next = session.next_remaining().map(|it| it.expect("no error"));
    }
    episodes
}

fn with_rest(export: Value) -> Session {
    Session::new(SessionConfig {
        at_end: AtEnd::All,
        ..config(export, true)
    })
}

#[test]
fn limits_count_at_the_end_if_all_episodes_can_be_taken() {
    let mut session = with_rest(json!({ "duration": "1500ms", "split_mode": "at-most" }));
    let mut times = Vec::new();
    for second in 0..3 {
        let record = labelled(meta(second, group().len()), "10", group());
        times.extend(commit_all(&mut session, record).expect("no error"));
    }
    let left = remaining(&mut session);
    let expected: Vec<_> = (times.len() as u64..3)
        .map(|second| ("10".to_owned(), 1_000 * second))
        .collect();
    assert!(left.len() > 1, "{left:?}");
    assert_eq!(left, expected);
    assert_eq!(session.deadline(), None);
    assert!(session.flush().is_none());
}

/// The frames of a record get their times by the record that follows, and those of the last one as in that before it.
#[test]
fn irregular_records_are_divided_if_all_episodes_can_be_taken() {
    let durations = |mut session: Session| {
        let mut episodes = Vec::new();
        for ms in [0, 1_000, 3_000] {
            let time =
                RecordMeta::builder_from(meta(0, group().len())).timestamp(START + ms * 1_000);
            let record = boxed(time.build(), group());
            let mut output = session.commit(record);
            while let Some(episode) = output {
                episodes.push(episode.expect("no error"));
                let token = DrainToken::after(&meta(0, 0));
                output = (session.waiting() > 0)
                    .then(|| session.commit(Box::new(token)))
                    .flatten();
            }
        }
        episodes.extend(session.flush().map(|it| it.expect("no error")));
        let left = std::iter::from_fn(|| session.next_remaining());
        episodes.extend(left.map(|it| it.expect("no error")));
        let duration = |it: &BoxedReadRecord| it.meta().labels()["duration"].clone();
        episodes.iter().map(duration).collect::<Vec<_>>()
    };
    let export = || json!({ "fps": 10, "duration": "1s", "gap_detection": false });
    let all = durations(with_rest(export()));
    assert_eq!(all, ["1000000000", "2000000000", "2000000000"]);
    let one = durations(Session::new(config(export(), true)));
    assert_ne!(one, all);
}

#[test]
fn nothing_is_left_while_records_come() {
    let mut session = with_rest(json!({ "fps": 10, "duration": "1s" }));
    commit_all(&mut session, groups(0, 3)).expect("no error");
    assert!(session.next_remaining().is_none());
    // Those before an error come by tokens, in the order of time.
    commit_all(&mut session, groups(3, 3)).expect("no error");
    assert!(session.commit(groups(6, 3)).is_some());
    assert!(session.waiting() > 0);
    session.fail(ExportError::Expired);
    assert!(session.next_remaining().is_none());
    let mut empty = with_rest(json!({}));
    assert!(empty.flush().is_none());
    assert!(empty.next_remaining().is_none());
}

#[test]
fn episodes_before_an_error_in_the_same_record_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(json!({ "fps": 10, "duration": "1s" }), true);
    config.spool = spool(folder.path().to_owned());
    let mut session = Session::new(config);
    assert_eq!(commit_all(&mut session, groups(0, 1)), Ok(vec![]));
    // The file of the next episode cannot be created.
    folder.close().expect("an empty folder");
    let episode = session.commit(groups(1, 1)).expect("an episode");
    assert_eq!(episode.expect("no error").meta().timestamp(), START);
    let error = session.commit(groups(2, 1)).expect("an error").err();
    assert_eq!(
        error.expect("an error").status,
        ErrorCode::InternalServerError
    );
}

#[test]
fn an_answer_has_as_many_episodes_as_clients_take() {
    let mut session = with_rest(json!({ "fps": 10, "duration": "1s" }));
    // The server holds the episodes of an answer until it is sent.
    let mut answer = Vec::new();
    for index in 0..4 {
        answer.extend(session.commit(groups(100 * index, 100)));
    }
    assert!(session.waiting() > MAX_IN_ANSWER);
    while session.has_room() {
        let token = DrainToken::after(&meta(0, 0));
        answer.extend(session.commit(Box::new(token)));
    }
    assert_eq!(answer.len(), MAX_IN_ANSWER);
    assert!(session.waiting() > 0);
    let mut last: Vec<_> = session.flush().into_iter().collect();
    let error = loop {
        match session.next_remaining().expect("more episodes") {
            Ok(episode) => last.push(Ok(episode)),
            Err(error) => break error,
        }
        answer.clear();
        assert!(last.len() < MAX_IN_ANSWER);
    };
    assert_eq!(error.status, ErrorCode::UnprocessableEntity);
    assert!(error.message.contains("(88)"), "{}", error.message);
    assert_eq!(session.waiting(), 0);
}

#[test]
fn an_error_at_the_end_frees_all_files() {
    for (count, status) in [(3, None), (600, Some(ErrorCode::UnprocessableEntity))] {
        let mut session = with_rest(json!({ "fps": 10, "duration": "1s" }));
        assert!(session.commit(groups(0, count)).is_none());
        let ended = session.flush().expect("an episode or an error");
        assert_eq!(ended.as_ref().err().map(|error| error.status), status);
        if status.is_some() {
            assert_eq!(session.deadline(), None);
        }
    }
}

#[test]
fn files_of_one_record_are_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(json!({ "fps": 10, "duration": "1s" }), true);
    config.spool = spool(folder.path().to_owned());
    let mut session = Session::new(config);
    let times = commit_all(&mut session, groups(0, 600)).expect("no error");
    assert_eq!(times, (0..500).collect::<Vec<_>>());
    let error = session.commit(groups(600, 1)).expect("an error").err();
    let text = "Extension 'video': more than 500 episodes end with one record. Let them be longer";
    assert_eq!(error.expect("an error").message, text);
    assert_eq!(session.deadline(), None);
}

/// A condition of the step may pass no token on.
#[test]
fn tokens_end_if_they_fetch_nothing() {
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use reduct_base::ext::Processor;

    use crate::pipeline_step::VideoProcessor;

    let session = Arc::new(Mutex::new(session()));
    let mut processor = VideoProcessor(session.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut processed = processor.process_record(groups(0, 4));
    let Poll::Ready(stream) = processed.as_mut().poll(&mut context) else {
        panic!("it awaits")
    };
    drop(processed);
    let mut stream = Box::into_pin(stream.expect("a stream"));
    let mut next = || match stream.as_mut().poll_next(&mut context) {
        Poll::Ready(item) => item.map(|item| item.expect("no error")),
        Poll::Pending => panic!("it awaits"),
    };
    let record = next().expect("the record");
    let lock = || crate::lock::lock(&session);
    assert!(lock().commit(record).is_some());
    let waiting = lock().waiting();
    assert!(waiting > 1);
    let token = next().expect("a token");
    assert!(lock().commit(token).is_some());
    drop(next().expect("a token"));
    assert!(next().is_none());
    assert_eq!(lock().waiting(), waiting - 1);
}

#[test]
fn an_error_waits_for_the_episodes_before_it_and_is_remembered() {
    let mut session = session();
    assert_eq!(commit_all(&mut session, groups(0, 1)), Ok(vec![]));
    let episode = session
        .commit(groups(1, 1))
        .expect("an episode")
        .expect("no error");
    let other = || {
        boxed(
            RecordMeta::builder_from(meta(2, 0))
                .content_type("image/jpeg".into())
                .build(),
            Vec::new(),
        )
    };
    assert!(
        session.commit(other()).is_none(),
        "the answer with the episode is not sent"
    );
    assert!(session.commit(groups(3, 1)).is_none());
    drop(episode);
    for record in [other(), groups(4, 1)] {
        let error = session
            .commit(record)
            .expect("an error")
            .err()
            .expect("an error");
        assert_eq!(error.status, ErrorCode::UnprocessableEntity);
        assert!(error.message.contains("image/jpeg"), "{}", error.message);
    }
    assert!(session.flush().expect("an error").is_err());
}

#[test]
fn an_error_of_protocol_v1_does_not_wait() {
    let mut session = Session::new(config(json!({ "fps": 10, "duration": "1s" }), false));
    assert_eq!(commit_all(&mut session, groups(0, 1)), Ok(vec![]));
    let _episode = session
        .commit(groups(1, 1))
        .expect("an episode")
        .expect("no error");
    let other = RecordMeta::builder_from(meta(2, 0))
        .content_type("image/jpeg".into())
        .build();
    assert!(
        session
            .commit(boxed(other, Vec::new()))
            .expect("an error")
            .is_err()
    );
}

#[test]
fn an_expired_query_holds_nothing() {
    let mut session = session();
    commit_all(&mut session, groups(0, 1)).expect("no error");
    let deadline = session.deadline().expect("a file is open");
    assert!(deadline <= Instant::now() + Duration::from_secs(60));
    session.expire();
    assert_eq!(session.deadline(), None);
    let error = session
        .commit(groups(1, 1))
        .expect("an error")
        .err()
        .expect("an error");
    assert_eq!(error.status, ErrorCode::NotFound);
}

#[test]
fn a_query_that_is_over_holds_nothing() {
    let mut session = session();
    assert!(session.deadline().is_some());
    commit_all(&mut session, groups(0, 1)).expect("no error");
    session.flush().expect("an episode").expect("no error");
    assert_eq!(session.deadline(), None);
}

#[test]
fn a_record_that_is_too_large_is_not_read() {
    let mut session = session();
    let large = RecordMeta::builder_from(meta(0, 0))
        .content_length(MAX_RECORD + 1)
        .build();
    let error = session
        .commit(boxed(large, Vec::new()))
        .expect("an error")
        .err()
        .expect("an error");
    let text = format!(
        "Extension 'video': the record at {START} has 67108865 bytes, expected at most 67108864"
    );
    assert_eq!(error.message, text);
}

#[test]
fn a_record_of_very_many_nal_units_is_an_error() {
    // Filler data.
    let filler = [0, 0, 1, 0x0c];
    let mut content = group();
    content.extend(filler.repeat(MAX_NAL_UNITS - 12));
    let record = |content: &[u8]| boxed(meta(0, content.len()), content.to_vec());
    assert_eq!(commit_all(&mut session(), record(&content)), Ok(vec![]));
    // Those at the border of two chunks are not counted.
    content.extend(filler.repeat(10));
    let mut session = session();
    let error = commit_all(&mut session, record(&content)).expect_err("too many");
    let text = error.message.replace(char::is_numeric, "");
    let expected = "Extension 'video': the record at  has  NAL units, expected at most ";
    assert_eq!(text, expected);
    assert_eq!(error.status, ErrorCode::UnprocessableEntity);
    assert_eq!(session.deadline(), None);
}

#[test]
fn a_group_that_is_held_back_has_a_limit() {
    let export = json!({ "fps": 10, "duration": "1s", "split_mode": "at-most" });
    let mut session = Session::new(config(export, true));
    commit_all(&mut session, groups(0, 1)).expect("no error");
    // Without another keyframe.
    let picture = |second: u8| {
        let spec = SliceSpec {
            frame_num: (9 + second) % 16,
            order: 2 * (9 + second) % 16,
            ..P
        };
        let mut content = record(&[&slice(spec)]).to_vec();
        content.resize(8 << 20, 0x55);
        boxed(meta(second.into(), content.len()), content)
    };
    let mut errors = (1..30).filter_map(|second| commit_all(&mut session, picture(second)).err());
    let error = errors.next().expect("an error");
    assert_eq!(error.status, ErrorCode::UnprocessableEntity);
    let text = "a group of pictures takes more than 134217728 bytes of memory, which has all of it with 'split_mode' \
                \"at-most\". Use \"next-keyframe\"";
    assert!(error.message.contains(text), "{}", error.message);
    drop(errors);
    assert_eq!(session.deadline(), None);
}

#[test]
fn a_content_of_another_length_is_an_error() {
    let mut session = session();
    let error = session
        .commit(boxed(meta(0, 10), vec![0; 9]))
        .expect("an error")
        .err()
        .expect("an error");
    assert_eq!(error.status, ErrorCode::InternalServerError);
}

#[test]
fn a_folder_without_space_is_an_error_that_frees_it() {
    let mut config = config(json!({ "fps": 10 }), true);
    config.spool = spool("/does/not/exist".into());
    let mut session = Session::new(config);
    let error = commit_all(&mut session, groups(0, 1)).expect_err("no folder");
    assert_eq!(error.status, ErrorCode::InternalServerError);
    assert_eq!(session.deadline(), None);
}

/// A record whose content panics.
struct Broken(RecordMeta);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("read")
    }
}

impl Seek for Broken {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        panic!("seek")
    }
}

impl ReadRecord for Broken {
    fn read_chunk(&mut self) -> ReadChunk {
        panic!("read_chunk")
    }

    fn meta(&self) -> &RecordMeta {
        &self.0
    }

    fn meta_mut(&mut self) -> &mut RecordMeta {
        &mut self.0
    }
}

#[test]
fn a_panic_is_an_error_of_the_query() {
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use reduct_base::ext::Commiter;

    use crate::pipeline_step::VideoCommiter;

    let session = Arc::new(Mutex::new(session()));
    let mut commiter = VideoCommiter(session.clone());
    let mut commit = |record: BoxedReadRecord| {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(commiter.commit_record(record)).poll(&mut context) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it awaits"),
        }
    };
    assert!(commit(groups(0, 1)).is_none());
    for record in [
        Box::new(Broken(meta(1, 5))) as BoxedReadRecord,
        groups(2, 1),
    ] {
        let error = commit(record).expect("an error").err().expect("an error");
        assert_eq!(error.status, ErrorCode::InternalServerError);
        assert_eq!(
            error.message,
            "Extension 'video': internal error: read_chunk"
        );
    }
    assert_eq!(crate::lock::lock(&session).deadline(), None);
}

#[test]
fn a_label_that_is_no_rate_is_in_the_error() {
    let mut session = Session::new(config(json!({}), true));
    let record = labelled(meta(0, group().len()), "30 fps", group());
    commit_all(&mut session, record).expect("no error");
    let error = session.flush().expect("an error").err().expect("an error");
    let text = "no frame rate is known: the label 'fps' at 1750000000000000 is \"30 fps\", expected a number or \
                fraction from 1/3600 to 1000. Give it by";
    assert!(error.message.contains(text), "{}", error.message);
    let attached = json!({ "cam": { "$video": { "fps": "fast" } } });
    let mut config = config(json!({}), true);
    config.ext["video"]["attachments"] = attached;
    let mut session = Session::new(config);
    commit_all(&mut session, groups(0, 1)).expect("no error");
    let error = session.flush().expect("an error").err().expect("an error");
    let text = "no frame rate is known: 'fps' in the attachment '$video' is \"fast\", expected";
    assert!(error.message.contains(text), "{}", error.message);
}

/// A camera of 10 frames per second, whose label says 25.
#[test]
fn a_rate_that_times_contradict_is_no_label() {
    for (rate, expected) in [("25", None), ("10", Some("10"))] {
        let mut session = Session::new(config(json!({ "gap_detection": false }), true));
        for second in 0..5 {
            let record = labelled(meta(second, group().len()), rate, group());
            commit_all(&mut session, record).expect("no error");
        }
        let episode = session.flush().expect("an episode").expect("no error");
        let labels = episode.meta().labels();
        assert_eq!(labels["frames"], "50");
        assert_eq!(labels.get("fps").map(String::as_str), expected, "{rate}");
    }
}

#[test]
fn labels_of_records_are_hints() {
    let labels = HashMap::from([("fps", "25"), ("keyframe", "true"), ("other", "ü")]);
    let tagged = RecordMeta::builder_from(meta(0, 0)).labels(labels).build();
    let expected = RecordTag {
        time: START,
        frame_rate: Some("25".into()),
        keyframe: Some(true),
    };
    assert_eq!(tag(&tagged), expected);
    assert_eq!(tag(&meta(0, 0)).keyframe, None);
}
