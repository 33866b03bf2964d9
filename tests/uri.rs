// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc` as the handler of `reduct://` and `reducts://` URIs.

mod common;

use common::SERVER;
use common::line;
use common::pipeline::Pipeline;
use common::recording::{Layout, Recording};
use common::stream::{Stream, StreamSpec};
use gst::prelude::*;

fn handler() -> gst::URIHandler {
    common::init();
    let source = gst::ElementFactory::make("reductsrc").build().unwrap();
    source.dynamic_cast().unwrap()
}

#[track_caller]
fn handler_of(uri: &str) -> gst::URIHandler {
    let handler = handler();
    handler
        .set_uri(uri)
        .unwrap_or_else(|err| panic!("{uri}: {err}"));
    handler
}

fn text(source: &gst::URIHandler, property: &str) -> Option<String> {
    source.property(property)
}

#[test]
fn it_is_the_first_choice_for_its_uris() {
    common::init();
    for uri in ["reduct://h/b/e", "reducts://h/b/e"] {
        let source = gst::Element::make_from_uri(gst::URIType::Src, uri, None).unwrap();
        let factory = source.factory().unwrap();
        assert_eq!(factory.name(), "reductsrc");
        assert_eq!(factory.rank(), gst::Rank::PRIMARY);
    }
}

#[test]
fn a_uri_sets_properties() {
    let source = handler_of(
        "reducts://store.example/video/arm/cam-1?start=2025-06-13T10:50:53+02:00\
         &stop=1749804655000000&when=%7B%22%26good%22%3A%20%7B%22%24eq%22%3A%20true%7D%7D\
         &fps=30000/1001&on-error=stop&retries=3&gap-detection=false&ca-cert=%2Ftmp%2Fa%20b.pem",
    );
    for (property, value) in [
        ("url", "https://store.example:8383/"),
        ("bucket", "video"),
        ("entry", "arm/cam-1"),
        ("start", "2025-06-13T10:50:53+02:00"),
        ("stop", "1749804655000000"),
        ("when", r#"{"&good": {"$eq": true}}"#),
        ("ca-cert", "/tmp/a b.pem"),
    ] {
        assert_eq!(
            text(&source, property).as_deref(),
            Some(value),
            "{property}"
        );
    }
    assert_eq!(
        source.property::<gst::Fraction>("fps"),
        gst::Fraction::new(30000, 1001)
    );
    assert_eq!(source.property::<u32>("retries"), 3);
    assert!(!source.property::<bool>("gap-detection"));
    assert!(source.property::<bool>("verify-ssl"));
}

#[test]
fn a_uri_can_set_every_property() {
    let source = handler_of("reduct://h/b/e?start=5&retries=3");
    source.set_uri("reduct://h/b/e?stop=7").unwrap();
    assert_eq!(text(&source, "start"), None);
    assert_eq!(text(&source, "stop").as_deref(), Some("7"));
    assert_eq!(source.property::<u32>("retries"), 10);
}

#[test]
fn properties_that_are_set_are_in_the_uri() {
    let source = handler();
    assert_eq!(source.uri(), None, "there is no entry");
    source.set_property("url", "https://[::1]:8000/store");
    source.set_property("bucket", "b");
    source.set_property("entry", "arm/cam-1");
    source.set_property("start", "2025-06-13T10:50:53+02:00");
    source.set_property("when", r#"{"&place": {"$eq": "größer & so"}}"#);
    source.set_property("fps", gst::Fraction::new(25, 1));
    source.set_property_from_str("on-error", "stop");
    let uri = source.uri().unwrap();
    assert!(
        uri.starts_with("reducts://[::1]:8000/b/arm/cam-1?base-path="),
        "{uri}"
    );
    assert!(uri.is_ascii(), "{uri}");

    let same = handler_of(&uri);
    for property in ["url", "bucket", "entry", "start", "when", "fps", "on-error"] {
        let values =
            [&source, &same].map(|source| source.property_value(property).serialize().unwrap());
        assert_eq!(values[0], values[1], "{property}");
    }
    assert_eq!(same.uri().unwrap(), uri);
}

#[test]
fn defaults_are_not_in_the_uri() {
    let uri = "reduct://store.example:8383/b/e";
    assert_eq!(handler_of(uri).uri().unwrap(), uri);
}

#[test]
fn a_token_is_in_no_uri() {
    let source = handler_of("reduct://h/b/e");
    source.set_property("api-token", "s3cret");
    assert!(!source.uri().unwrap().contains("s3cret"));
    // As it may be in the property, though such a URL is refused.
    source.set_property("url", "http://user:s3cret@h");
    assert!(!source.uri().unwrap_or_default().contains("s3cret"));
}

#[test]
fn bad_uris_change_nothing_and_say_why() {
    let good = "reduct://h:8383/b/e?start=5";
    let source = handler_of(good);
    for (uri, reason) in [
        ("reduct://h/b", "bucket and entry"),
        ("reduct://h/b/e e", "entry"),
        ("reduct://h/b/e?speed=2", "'speed'"),
        ("reduct://h/b/e?stats=1", "'stats'"),
        ("reduct://h/b/e?bucket=c", "'bucket'"),
        ("reduct://h/b/e?start=yesterday", "yesterday"),
        ("reduct://h/b/e?start=6&stop=5", "stop"),
        ("reduct://h/b/e?fps=fast", "'fast'"),
        ("reduct://h/b/e?connections=0", "'0'"),
        ("reduct://h/b/e?connections=65", "'65'"),
        ("reduct://h/b/e?on-error=panic", "'panic'"),
        ("reduct://h/b/e?when=%7B", "when"),
        ("reduct://user:s3cret@h/b/e", "REDUCT_API_TOKEN"),
        ("reduct://h/b/e?token=s3cret", "REDUCT_API_TOKEN"),
        ("reduct://h/b/e?api-token=s3cret", "REDUCT_API_TOKEN"),
    ] {
        let error = source.set_uri(uri).unwrap_err();
        assert!(error.matches(gst::URIError::BadUri), "{uri}: {error}");
        assert!(error.message().contains(reason), "{uri}: {error}");
        assert!(!error.message().contains("s3cret"), "{uri}: {error}");
        assert_eq!(source.uri().unwrap(), good, "{uri}");
    }
}

#[test]
fn values_out_of_range_are_errors_that_name_it() {
    let handlers = [
        ("reductsrc", "timeout=-1", "0 to 4294967295"),
        ("reductsrc", "timeout=99999999999", "0 to 4294967295"),
        ("reductsrc", "timeout=4294967296", "0 to 4294967295"),
        ("reductsrc", "timeout=30s", "0 to 4294967295"),
        ("reductsrc", "timeout=", "0 to 4294967295"),
        ("reductsrc", "retries=-1", "0 to 4294967295"),
        ("reductsrc", "connections=65", "1 to 64"),
        ("reductsrc", "poll-interval=60001", "1 to 60000"),
        (
            "reductsrc",
            "prefetch-bytes=-1",
            "1 to 18446744073709551615",
        ),
        ("reductsrc", "prefetch-bytes=0", "1 to 18446744073709551615"),
        (
            "reductsrc",
            "gap-tolerance=1e9",
            "0 to 18446744073709551615",
        ),
        ("reductsrc", "fps=2000/1", "1/3600 to 1000/1"),
        ("reductsrc", "fps=1/100000", "1/3600 to 1000/1"),
        ("reductsrc", "fps=-1/1", "1/3600 to 1000/1"),
        ("reductsrc", "fps=29.97", "1/3600 to 1000/1"),
        ("reductsrc", "follow=maybe", "true or false"),
        ("reductsrc", "on-error=", "skip, stop"),
        ("reductsrc", "on-error=7", "skip, stop"),
        ("reductsink", "queue-bytes=-5", "1 to 18446744073709551615"),
        ("reductsink", "max-latency=-5", "0 to 4294967295"),
        ("reductsink", "fps=2000/1", "1/3600 to 1000/1"),
        ("reductsink", "existing=ski", "error, skip"),
    ];
    common::init();
    for (element, parameter, range) in handlers {
        let element = gst::ElementFactory::make(element).build().unwrap();
        let handler = element.dynamic_cast_ref::<gst::URIHandler>().unwrap();
        let uri = format!("reduct://h/b/e?{parameter}");
        let error = handler.set_uri(&uri).unwrap_err();
        assert!(error.matches(gst::URIError::BadUri), "{uri}: {error}");
        let (name, value) = parameter.split_once('=').unwrap();
        for part in [name, &format!("'{value}'"), range] {
            assert!(error.message().contains(part), "{uri}: {error}");
        }
    }
    for parameter in ["timeout=-1", "timeout=4294967296", "retries=-1"] {
        let location = format!("reduct://127.0.0.1:1/b/e?{parameter}");
        let pipeline = Pipeline::launch("fakesrc num-buffers=1 ! reductepisodesplit name=split");
        pipeline
            .element("split")
            .set_property("location", &location);
        let outcome = pipeline.run();
        let (error, _) = outcome.error();
        let (name, value) = parameter.split_once('=').unwrap();
        for part in [name, &format!("'{value}'"), "0 to 4294967295"] {
            assert!(error.message().contains(part), "{parameter}: {error}");
        }
    }
}

#[test]
fn frame_rates_out_of_range_are_errors() {
    for fps in ["2000/1", "1/100000"] {
        let bucket = SERVER.new_bucket();
        let outcome = line::read(&bucket, &format!("fps={fps}")).outcome;
        let (error, _) = outcome.error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        for part in ["fps", fps, "1/3600 to 1000/1"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}

#[test]
fn a_uri_stays_while_it_plays() {
    let source = handler_of("reduct://127.0.0.1:1/b/e");
    let element = source.dynamic_cast_ref::<gst::Element>().unwrap();
    element.set_state(gst::State::Paused).unwrap();
    let error = source.set_uri("reduct://h/b/e").unwrap_err();
    assert!(error.matches(gst::URIError::BadState), "{error}");
    element.set_state(gst::State::Null).unwrap();
    source.set_uri("reduct://h/b/e").unwrap();
}

#[test]
fn a_uri_reads_what_its_properties_read() {
    let stream = Stream::make(StreamSpec {
        frames: 20,
        ..Default::default()
    });
    let recording = Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    };
    let bucket = line::record(&recording, &stream);
    let (start, stop) = (
        recording.frame_us(10, stream.fps),
        recording.frame_us(15, stream.fps),
    );
    let read = line::read(&bucket, &format!("start={start} stop={stop}")).clean();

    let server = SERVER.url();
    let server = server.strip_prefix("http://").unwrap();
    let uri = format!("reduct://{server}/{bucket}/e?start={start}&stop={stop}");
    // As gst-launch-1.0 takes it.
    let pipeline = Pipeline::launch(&format!("{uri} ! appsink name=out"));
    let samples = pipeline.collect("out");
    pipeline.run().clean();
    let pts = |buffers: &[gst::Buffer]| buffers.iter().map(|b| b.pts()).collect::<Vec<_>>();
    assert_eq!(pts(&samples.buffers()), pts(&read.buffers));
    assert_eq!(read.buffers.len(), 5);
}
