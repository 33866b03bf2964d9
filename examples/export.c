// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

/* Exports an entry of ReductStore, or a range of it, as MP4 episodes.
 *
 *   cc examples/export.c -o export $(pkg-config --cflags --libs gstreamer-1.0)
 *   export GST_PLUGIN_PATH=target/release
 *   ./export b h264 episodes --start 2025-06-13T08:30:00Z --duration 2
 *
 * GStreamer finds both elements by GST_PLUGIN_PATH. `reductsrc` takes the server from REDUCT_URL and
 * the token from REDUCT_API_TOKEN. Debian has the headers in libgstreamer1.0-dev.
 *
 * Each episode is a line on standard output as soon as its file is complete. Progress and warnings
 * go to standard error. Ctrl-C ends the stream, which completes the last file; a second one ends
 * the application at once.
 *
 * `export.rs` and `export.py` are the same in Rust and Python.
 */
#include <errno.h>
#include <glib-unix.h>
#include <gst/gst.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BAR_WIDTH 30

typedef struct {
  GstElement *pipeline;
  GstElement *source;
  GMainLoop *loop;
  GError *failure;
  gboolean terminal; /* there is one for a progress bar */
} Export;

static gchar *start, *stop;
static gdouble duration;

static const GOptionEntry options[] = {
    {"start", 0, 0, G_OPTION_ARG_STRING, &start, "Begin of the range: 2025-06-13T08:30:53Z or µs since the epoch", "TIME"},
    {"stop", 0, 0, G_OPTION_ARG_STRING, &stop, "End of the range, which is not part of it", "TIME"},
    {"duration", 0, 0, G_OPTION_ARG_DOUBLE, &duration, "Begin a new episode at the first keyframe after this time", "SECONDS"},
    {NULL}};

/* Ends the export. The first failure is the reason. Takes the error over. */
static void fail(Export *export, GError *error) {
  if (export->failure == NULL)
    export->failure = error;
  else
    g_error_free(error);
  g_main_loop_quit(export->loop);
}

/* Makes room for other lines. */
static void clear_progress(const Export *export) {
  if (export->terminal)
    fputs("\r\033[K", stderr);
}

static gchar *clock_text(gint64 time) {
  gint64 seconds = time / GST_SECOND;
  return g_strdup_printf("%" G_GINT64_FORMAT ":%02d:%02d", seconds / 3600, (int)(seconds / 60 % 60), (int)(seconds % 60));
}

/* Shows how far the source is: as a bar on a terminal, as lines elsewhere. */
static gboolean show_progress(gpointer data) {
  Export *export = data;
  gint64 position, length;
  /* Neither is known before the first record. */
  if (!gst_element_query_position(export->source, GST_FORMAT_TIME, &position) ||
      !gst_element_query_duration(export->source, GST_FORMAT_TIME, &length))
    return G_SOURCE_CONTINUE;
  gchar *now = clock_text(position), *end = clock_text(length);
  if (export->terminal) {
    gint done = (gint)(MIN((gdouble)position / MAX(length, 1), 1.0) * BAR_WIDTH);
    gchar bar[BAR_WIDTH + 1] = "";
    for (gint i = 0; i < BAR_WIDTH; i++)
      bar[i] = i < done ? '#' : '-';
    fprintf(stderr, "\r[%s] %s of %s\033[K", bar, now, end);
  } else {
    fprintf(stderr, "%s of %s\n", now, end);
  }
  g_free(now);
  g_free(end);
  return G_SOURCE_CONTINUE;
}

/* µs since the Unix epoch as RFC 3339. */
static gchar *utc(guint64 time) {
  GDateTime *seconds = g_date_time_new_from_unix_utc((gint64)(time / 1000000));
  gchar *date = seconds ? g_date_time_format(seconds, "%Y-%m-%dT%H:%M:%S") : g_strdup("?");
  gchar *text = g_strdup_printf("%s.%06uZ", date, (guint)(time % 1000000));
  g_clear_pointer(&seconds, g_date_time_unref);
  g_free(date);
  return text;
}

/* Prints the line for a complete episode. */
static void print_episode(const GstStructure *episode) {
  guint index = 0;
  guint64 time, nanoseconds = 0, frames = 0, bytes = 0, dropped = 0;
  gst_structure_get(episode, "index", G_TYPE_UINT, &index, "duration", G_TYPE_UINT64, &nanoseconds, "frames", G_TYPE_UINT64,
                    &frames, "bytes", G_TYPE_UINT64, &bytes, "dropped", G_TYPE_UINT64, &dropped, NULL);
  gchar *captured = gst_structure_get_uint64(episode, "start", &time) ? utc(time) : g_strdup("no capture time");
  printf("%u: %s, %s, %.3f s, %" G_GUINT64_FORMAT " frames, %" G_GUINT64_FORMAT " bytes, %s, %" G_GUINT64_FORMAT " dropped\n",
         index, gst_structure_get_string(episode, "location"), captured, (gdouble)nanoseconds / GST_SECOND, frames, bytes,
         gst_structure_get_string(episode, "reason"), dropped);
  fflush(stdout);
  g_free(captured);
}

static gboolean on_message(GstBus *bus, GstMessage *message, gpointer data) {
  (void)bus;
  Export *export = data;
  GError *error = NULL;
  switch (GST_MESSAGE_TYPE(message)) {
  case GST_MESSAGE_ELEMENT:
    if (gst_message_has_name(message, "reduct-episode")) {
      clear_progress(export);
      print_episode(gst_message_get_structure(message));
    }
    break;
  case GST_MESSAGE_WARNING:
    gst_message_parse_warning(message, &error, NULL);
    clear_progress(export);
    fprintf(stderr, "warning: %s\n", error->message);
    g_error_free(error);
    break;
  case GST_MESSAGE_ERROR:
    gst_message_parse_error(message, &error, NULL);
    fail(export, error);
    break;
  case GST_MESSAGE_EOS:
    g_main_loop_quit(export->loop);
    break;
  default:
    break;
  }
  return G_SOURCE_CONTINUE;
}

static void end_stream(GstElement *pipeline, gpointer data) {
  (void)data;
  gst_element_send_event(pipeline, gst_event_new_eos());
}

static gboolean on_interrupt(gpointer data) {
  Export *export = data;
  /* The event waits while files cannot be written as fast as they come. */
  gst_element_call_async(export->pipeline, end_stream, NULL, NULL);
  /* Only once: a second Ctrl-C does what it does without a handler. */
  return G_SOURCE_REMOVE;
}

/* Called when the loop is idle, after an error on the bus, which has a better text. */
static gboolean on_no_start(gpointer data) {
  fail(data, g_error_new_literal(GST_CORE_ERROR, GST_CORE_ERROR_STATE_CHANGE, "the pipeline does not start"));
  return G_SOURCE_REMOVE;
}

static GstElement *make(const gchar *factory) {
  GstElement *element = gst_element_factory_make(factory, NULL);
  if (element == NULL) {
    fprintf(stderr, "export: GStreamer has no %s: set GST_PLUGIN_PATH to the folder of libgstreduct.so\n", factory);
    exit(1);
  }
  return element;
}

static void set_up(Export *export, const gchar *bucket, const gchar *entry, const gchar *folder) {
  /* The location is a printf pattern, in which the folder is to stay as it is. */
  gchar **parts = g_strsplit(folder, "%", -1);
  gchar *escaped = g_strjoinv("%%", parts);
  gchar *location = g_build_filename(escaped, "episode_%05d.mp4", NULL);

  export->source = make("reductsrc");
  g_object_set(export->source, "bucket", bucket, "entry", entry, "start", start, "stop", stop, NULL);
  GstElement *splitter = make("reductepisodesplit");
  g_object_set(splitter, "location", location, "duration", (guint64)(duration * GST_SECOND + 0.5), NULL);
  export->pipeline = gst_pipeline_new(NULL);
  gst_bin_add_many(GST_BIN(export->pipeline), export->source, splitter, NULL);
  if (!gst_element_link(export->source, splitter)) {
    fputs("export: the elements do not link\n", stderr);
    exit(1);
  }
  g_free(location);
  g_free(escaped);
  g_strfreev(parts);
}

static void run(Export *export) {
  GstBus *bus = gst_element_get_bus(export->pipeline);
  gst_bus_add_watch(bus, on_message, export);
  g_timeout_add(export->terminal ? 100 : 1000, show_progress, export);
  g_unix_signal_add(SIGINT, on_interrupt, export);
  if (gst_element_set_state(export->pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
    g_idle_add(on_no_start, export);
  g_main_loop_run(export->loop);
  clear_progress(export);
  gst_element_set_state(export->pipeline, GST_STATE_NULL);
  gst_bus_remove_watch(bus);
  gst_object_unref(bus);
}

int main(int argc, char *argv[]) {
  GError *error = NULL;
  GOptionContext *context = g_option_context_new("BUCKET ENTRY FOLDER");
  g_option_context_set_summary(context, "Exports an entry of ReductStore, or a range of it, as MP4 episodes.");
  g_option_context_add_main_entries(context, options, NULL);
  g_option_context_add_group(context, gst_init_get_option_group());
  gboolean parsed = g_option_context_parse(context, &argc, &argv, &error);
  g_option_context_free(context);
  if (!parsed || argc != 4 || !(duration >= 0 && duration < (gdouble)G_MAXINT64 / GST_SECOND)) {
    fprintf(stderr, "export: %s\n", error ? error->message : "usage: export BUCKET ENTRY FOLDER, or --help");
    return 2;
  }
  if (g_mkdir_with_parents(argv[3], 0777) != 0) {
    fprintf(stderr, "export: %s: %s\n", argv[3], g_strerror(errno));
    return 1;
  }

  Export export = {.loop = g_main_loop_new(NULL, FALSE), .terminal = isatty(STDERR_FILENO) == 1};
  set_up(&export, argv[1], argv[2], argv[3]);
  run(&export);
  if (export.failure)
    fprintf(stderr, "export: %s\n", export.failure->message);
  int status = export.failure ? 1 : 0;
  g_clear_error(&export.failure);
  gst_object_unref(export.pipeline);
  g_main_loop_unref(export.loop);
  return status;
}
