// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

fn record(time: u64, content: &[u8]) -> NewRecord {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    NewRecord {
        time,
        content: Content::Memory(vec![Bytes::copy_from_slice(content), Bytes::new()]),
        frame_rate: Some("29.97".into()),
        keyframe: time == 1,
        is_entry_point: time == 1,
        labels: [label("camera", "front, left"), label("site", "3")].into(),
        frames: 1,
        has_fixed_time: true,
        is_recovered: false,
        unsent_run: None,
    }
}

/// The names of the files, in order.
fn files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("b/robot%2Fcam")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != LOCK).collect();
    names.sort();
    names
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join("b/robot%2Fcam").join(name)
}

fn try_open(folder: &Path) -> io::Result<(Spool, Recovery)> {
    Spool::open(folder, "b", "robot/cam", SpoolSync::None)
}

fn open(folder: &Path) -> (Spool, Recovery) {
    try_open(folder).unwrap()
}

/// Spools records at the times 1, 2, …, and ends without having written any.
fn leave(folder: &Path, contents: &[&[u8]]) {
    let (mut spool, _) = open(folder);
    for (time, content) in (1..).zip(contents) {
        spool.append(&mut record(time, content)).unwrap();
    }
}

fn times(records: &[NewRecord]) -> Vec<u64> {
    records.iter().map(|record| record.time).collect()
}

/// Headers and contents.
fn essence(records: Vec<NewRecord>) -> Vec<(u64, String, Vec<u8>)> {
    let loaded = load(records).unwrap();
    assert!(loaded.lost.is_empty());
    let essence = loaded.records.into_iter().map(|record| {
        let Content::Memory(parts) = &record.content else {
            panic!("it is loaded");
        };
        (
            record.time,
            record.header(&crate::schema::VIDEO),
            parts.concat(),
        )
    });
    essence.collect()
}

fn forget(record: &NewRecord) {
    match &record.content {
        Content::Spooled(spooled) => spooled.forget(),
        Content::Memory(_) => panic!("it is in memory"),
    }
}

/// Changes a byte of a content that is in a file once.
fn damage(path: &Path, content: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = memchr::memmem::find(&bytes, content).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_left_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![7; 1 << 20];
    let contents = [&b"first"[..], b"", &large, b"last"];
    leave(folder.path(), &contents);
    let expected = (1..).zip(contents).map(|(time, it)| record(time, it));
    let (_spool, recovery) = open(folder.path());
    assert!(recovery.warnings("spool-dir").is_empty());
    assert!(recovery.records.iter().all(|record| record.is_recovered));
    assert_eq!(essence(recovery.records), essence(expected.collect()));
}

#[test]
fn a_record_that_is_not_whole_is_lost_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[b"first", b"second"]);
    let path = path(folder.path(), "0000000000.spool");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [1]);
    assert_eq!((recovery.lost().records, recovery.lost().frames), (1, 1));
    let warnings = recovery.warnings("spool-dir");
    assert!(warnings.len() == 1 && warnings[0].contains("0000000000.spool"));
    // The empty file has no records.
    recovery.records.iter().for_each(forget);
    drop(spool);
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_file_goes_with_its_last_record() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[b"first", b"second"]);
    let (mut spool, recovery) = open(folder.path());
    let mut third = record(3, b"third");
    spool.append(&mut third).unwrap();
    assert_eq!(files(folder.path()).len(), 2);
    recovery.records.iter().for_each(forget);
    assert_eq!(files(folder.path()).len(), 1);
    // More may come into this one.
    forget(&third);
    assert_eq!(files(folder.path()).len(), 1);
    spool.close();
    assert!(files(folder.path()).is_empty());
    let mut fourth = record(4, b"fourth");
    spool.append(&mut fourth).unwrap();
    spool.close();
    assert_eq!(files(folder.path()).len(), 1);
    forget(&fourth);
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_large_file_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![0; FILE_BYTES as usize];
    leave(folder.path(), &[&large, b"next"]);
    assert_eq!(files(folder.path()).len(), 2);
    let (_spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [1, 2]);
}

#[test]
fn a_spool_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path());
    let second = try_open(folder.path());
    assert_eq!(second.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(Spool::open(folder.path(), "b", "other", SpoolSync::None).is_ok());
    drop(spool);
    open(folder.path());
}

#[test]
fn a_damaged_content_costs_its_record_and_the_file_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[b"first", b"second", b"third"]);
    let name = "0000000000.spool";
    damage(&path(folder.path(), name), b"second");
    let (_spool, recovery) = open(folder.path());
    assert!(recovery.warnings("spool-dir").is_empty());
    let loaded = load(recovery.records.clone()).unwrap();
    assert_eq!(times(&loaded.records), [1, 3]);
    let [lost] = &loaded.lost[..] else {
        panic!("{:?}", loaded.lost);
    };
    assert_eq!((lost.lost.records, lost.lost.from), (1, Some(2)));
    let warning = lost.warning(|time| time.to_string(), "spool-dir").unwrap();
    assert!(warning.contains(name), "{warning}");
    // It is reported once.
    let again = load(recovery.records[1..2].to_vec()).unwrap();
    assert!(
        again.lost[0]
            .warning(|time| time.to_string(), "spool-dir")
            .is_none()
    );
    recovery.records.iter().for_each(forget);
    assert_eq!(files(folder.path()), ["0000000000.spool.damaged"]);
}

#[test]
fn a_damaged_header_costs_its_record_and_the_file_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[b"first", b"second", b"third"]);
    let name = "0000000000.spool";
    damage(&path(folder.path(), name), b"\"time\":2");
    let (_spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [1, 3]);
    assert_eq!(recovery.lost().records, 1);
    let warnings = recovery.warnings("spool-dir");
    assert!(
        warnings.len() == 1 && warnings[0].contains(name),
        "{warnings:?}"
    );
    recovery.records.iter().for_each(forget);
    assert_eq!(files(folder.path()), ["0000000000.spool.damaged"]);
}

#[test]
fn garbage_is_kept_aside_under_names_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[]);
    for _ in 0..3 {
        fs::write(path(folder.path(), "0000000000.spool"), "garbage").unwrap();
        let (_, recovery) = open(folder.path());
        assert!(recovery.records.is_empty());
        assert_eq!(recovery.warnings("spool-dir").len(), 1);
    }
    let kept = [
        "0000000000.spool.damaged",
        "0000000000.spool.damaged.1",
        "0000000000.spool.damaged.2",
    ];
    assert_eq!(files(folder.path()), kept);
    // It is reported once.
    assert!(open(folder.path()).1.warnings("spool-dir").is_empty());
}

#[test]
fn a_file_that_is_gone_when_it_is_read_costs_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    let mut records = [
        record(1, b"first"),
        record(2, b"second"),
        record(3, b"third"),
    ];
    for record in &mut records[..2] {
        spool.append(record).unwrap();
    }
    fs::remove_file(path(folder.path(), "0000000000.spool")).unwrap();
    let loaded = load(records.to_vec()).unwrap();
    assert_eq!(times(&loaded.records), [3]);
    assert_eq!(loaded.lost.len(), 1);
    assert_eq!(loaded.lost[0].lost.records, 2);
}

#[test]
fn a_file_that_becomes_shorter_costs_the_records_that_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    let mut records = [record(1, b"first"), record(2, b"second")];
    for record in &mut records {
        spool.append(record).unwrap();
    }
    let file = path(folder.path(), "0000000000.spool");
    let length = fs::metadata(&file).unwrap().len();
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(length - 1).unwrap();
    let loaded = load(records.to_vec()).unwrap();
    assert_eq!(times(&loaded.records), [1]);
    assert_eq!(loaded.lost[0].lost.from, Some(2));
}

#[test]
fn any_name_with_a_number_is_read_and_leaves_room_for_further_ones() {
    let names = [
        "1.spool",
        "0000000001.spool",
        "00000000000000000000000000000003.spool",
        "999999999999.spool",
        "1000000000000.spool",
        "18446744073709551615.spool",
        "99999999999999999999999.spool",
    ];
    for name in names {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), &[b"first"]);
        let file = path(folder.path(), "0000000000.spool");
        fs::rename(file, path(folder.path(), name)).unwrap();
        let (mut spool, recovery) = open(folder.path());
        assert_eq!(times(&recovery.records), [1], "{name}");
        spool.append(&mut record(2, b"second")).unwrap();
        drop((spool, recovery));
        // What came later is after it.
        let (_spool, recovery) = open(folder.path());
        assert_eq!(times(&recovery.records), [1, 2], "{name}");
        recovery.records.iter().for_each(forget);
        assert!(files(folder.path()).is_empty(), "{name}");
    }
}

#[test]
fn names_without_a_number_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[]);
    let names = [
        "+1.spool",
        "-1.spool",
        ".spool",
        "1.spool.damaged",
        "a.spool",
        "notes",
    ];
    for name in names {
        fs::write(path(folder.path(), name), "content").unwrap();
    }
    let (_spool, recovery) = open(folder.path());
    assert!(recovery.records.is_empty() && recovery.warnings("spool-dir").is_empty());
    assert_eq!(files(folder.path()).len(), names.len());
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    for name in [LOCK, "0000000000.spool"] {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), &[]);
        let path = path(folder.path(), name);
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let _ = fs::remove_file(&path);
        symlink(&precious, &path).unwrap();
        let error = try_open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = try_open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_lock_that_is_there_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[]);
    fs::write(path(folder.path(), LOCK), "content").unwrap();
    open(folder.path());
    let content = fs::read_to_string(path(folder.path(), LOCK)).unwrap();
    assert_eq!(content, "content");
}

#[test]
fn descriptors_do_not_grow_with_the_files() {
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let folder = tempfile::tempdir().unwrap();
    leave(folder.path(), &[b"content"]);
    let whole = fs::read(path(folder.path(), "0000000000.spool")).unwrap();
    for number in 0..1000 {
        fs::write(path(folder.path(), &file_name(number)), &whole).unwrap();
    }
    let before = count();
    let (_spool, recovery) = open(folder.path());
    assert_eq!(recovery.records.len(), 1000);
    // Other tests have files open, too.
    assert!(count() < before + 500, "{} {before}", count());
    assert_eq!(load(recovery.records).unwrap().records.len(), 1000);
}

#[test]
fn times_that_were_moved_are_recovered_as_moved() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![0; FILE_BYTES as usize];
    let (mut spool, _) = open(folder.path());
    spool.append(&mut record(1, &large)).unwrap();
    spool.append(&mut record(2, b"second")).unwrap();
    drop(spool);
    let (mut spool, recovery) = open(folder.path());
    let unsent = recovery.records[0].unsent_run;
    assert!(unsent.is_some());
    assert!(recovery.records.iter().all(|it| it.unsent_run == unsent));
    assert_eq!(times(&recovery.records), [1, 2]);
    spool.append(&mut record(11, b"of this run")).unwrap();
    spool.set_placement(unsent, 100).unwrap();
    drop((spool, recovery));
    let (mut spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [101, 102, 11]);
    let unsent = recovery.records[2].unsent_run;
    assert!(unsent.is_some());
    assert!(
        recovery.records[..2]
            .iter()
            .all(|it| it.unsent_run.is_none())
    );
    spool.set_placement(unsent, 0).unwrap();
    // Also of files that are begun later.
    spool.append(&mut record(21, b"before")).unwrap();
    spool.set_placement(None, 1000).unwrap();
    spool.append(&mut record(22, &large)).unwrap();
    spool.append(&mut record(23, b"after")).unwrap();
    drop((spool, recovery));
    let (_spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [101, 102, 11, 1021, 1022, 1023]);
    assert!(recovery.records.iter().all(|it| it.unsent_run.is_none()));
}

#[test]
fn a_placement_is_known_by_another_file_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![0; FILE_BYTES as usize];
    let (mut spool, _) = open(folder.path());
    spool.append(&mut record(1, &large)).unwrap();
    spool.append(&mut record(2, b"second")).unwrap();
    spool.set_placement(None, 100).unwrap();
    drop(spool);
    let first = path(folder.path(), "0000000000.spool");
    let mut bytes = fs::read(&first).unwrap();
    bytes[..FILE_HEADER].fill(0xff);
    fs::write(&first, bytes).unwrap();
    let (_spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [101, 102]);
}

#[test]
fn what_is_synced_is_all_that_was_appended() {
    for sync in [SpoolSync::None, SpoolSync::Interval, SpoolSync::Record] {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(folder.path(), "b", "robot/cam", sync).unwrap();
        assert!(spool.take_unsynced().is_none());
        for time in 1..4 {
            spool.append(&mut record(time, b"content")).unwrap();
        }
        match spool.take_unsynced() {
            Some(unsynced) => {
                assert_eq!(sync, SpoolSync::Interval);
                assert_eq!(unsynced.files.len(), 1);
                assert!(unsynced.folder.is_some());
                unsynced.sync().unwrap();
            }
            None => assert_ne!(sync, SpoolSync::Interval),
        }
        assert!(spool.take_unsynced().is_none());
        spool.append(&mut record(4, b"content")).unwrap();
        let again = spool.take_unsynced();
        assert_eq!(again.is_some(), sync == SpoolSync::Interval);
        assert!(again.is_none_or(|unsynced| unsynced.folder.is_none()));
    }
}

#[test]
fn labels_have_a_limit_and_the_file_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    spool.append(&mut record(1, b"first")).unwrap();
    let mut long = NewRecord {
        labels: [("key".to_owned(), "v".repeat(1 << 20))].into(),
        ..record(2, b"second")
    };
    let error = spool.append(&mut long).unwrap_err().to_string();
    assert!(error.contains("0000000000.spool") && long.is_in_memory());
    spool.append(&mut record(3, b"third")).unwrap();
    drop(spool);
    let (_spool, recovery) = open(folder.path());
    assert_eq!(times(&recovery.records), [1, 3]);
    assert!(recovery.warnings("spool-dir").is_empty());
}
