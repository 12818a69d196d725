/* Facts of logs: chunks in, bytes out. */
#include "facts.h"
#include "mem.h"

static struct logs *logs_of(struct world *w) {
  struct wr_err err;
  struct logs *l = NULL;
  if (logs_open(w->s, &l, &err)) fail_msg("%s", err.msg);
  return l;
}

static int64_t new_ti(struct world *w) {
  int64_t ti;
  OK(store_ids(w->s, ID_TI, 1, &ti));
  return ti;
}

/* Text appended as chunk seq at offset. */
static struct log_chunk chunk(int64_t ti, uint32_t epoch, uint32_t seq, int64_t offset, const char *text) {
  return (struct log_chunk){.ti = ti, .epoch = epoch, .seq = seq, .stream = 1, .offset = offset, .time_us = 1, .data = text, .n = strlen(text)};
}

static void log_is(struct world *w, int64_t ti, uint32_t epoch, int64_t offset, size_t n, const char *want, int64_t size) {
  struct wr_err err;
  struct buf b = BUF_INIT;
  int64_t got = -1;
  struct reader *r = reader_of(w);
  if (reader_log(r, ti, epoch, offset, n, &b, &got, &err)) fail_msg("%s", err.msg);
  reader_put(r);
  assert_int_equal(got, size);
  assert_int_equal(b.len, strlen(want));
  if (b.len) assert_memory_equal(b.data, want, b.len);
  buf_done(&b);
}

static void log_of_nothing_is_empty(struct world *w) {
  int64_t ti = new_ti(w);
  log_is(w, ti, 1, 0, 100, "", 0);
  log_is(w, ti, 1, 50, 100, "", 0);
}

static void log_reads_back_from_any_place(struct world *w) {
  int64_t ti = new_ti(w);
  struct logs *l = logs_of(w);
  const struct log_chunk c[] = {chunk(ti, 1, 1, 0, "hello "), chunk(ti, 1, 2, 6, "wide "), chunk(ti, 1, 3, 11, "world\n")};
  const char *all = "hello wide world\n";
  OK(logs_write(l, c, 2));
  log_is(w, ti, 1, 0, 100, "hello wide ", 11);
  OK(logs_write(l, c + 2, 1));
  for (size_t at = 0; at <= strlen(all); at++)
    for (size_t n = 0; n <= strlen(all) + 2; n++) {
      char want[32];
      snprintf(want, sizeof want, "%.*s", (int)n, all + at);
      log_is(w, ti, 1, (int64_t)at, n, want, 17);
    }
  log_is(w, ti, 1, 18, 5, "", 17);
  logs_close(l);
}

static void log_appends_to_the_buffer(struct world *w) {
  struct wr_err err;
  int64_t ti = new_ti(w), size;
  struct logs *l = logs_of(w);
  const struct log_chunk c = chunk(ti, 1, 1, 0, "tail");
  OK(logs_write(l, &c, 1));
  logs_close(l);
  struct buf b = BUF_INIT;
  buf_str(&b, "head ");
  struct reader *r = reader_of(w);
  WR(reader_log(r, ti, 1, 0, 100, &b, &size, &err));
  reader_put(r);
  assert_string_equal(b.data, "head tail");
  buf_done(&b);
}

static void log_is_of_one_attempt(struct world *w) {
  int64_t ti = new_ti(w), other = new_ti(w);
  struct logs *l = logs_of(w);
  const struct log_chunk c[] = {chunk(ti, 1, 1, 0, "first"), chunk(ti, 7, 1, 0, "seventh"), chunk(other, 9, 1, 0, "other")};
  OK(logs_write(l, c, 3));
  log_is(w, ti, 7, 0, 100, "seventh", 7);
  log_is(w, ti, 0, 0, 100, "", 0);
  log_is(w, ti, 1, 0, 100, "first", 5);
  log_is(w, ti, 2, 0, 100, "", 0);
  log_is(w, other, 9, 0, 100, "other", 5);
  logs_close(l);
}

static void log_chunk_twice_stands_once(struct world *w) {
  int64_t ti = new_ti(w);
  struct logs *l = logs_of(w);
  const struct log_chunk c[] = {chunk(ti, 1, 1, 0, "one"), chunk(ti, 1, 2, 3, "two"), chunk(ti, 1, 3, 6, "three")};
  OK(logs_write(l, c, 2));
  OK(logs_write(l, c, 3));
  log_is(w, ti, 1, 0, 100, "onetwothree", 11);
  logs_close(l);
}

static void log_keeps_bytes(struct world *w) {
  struct wr_err err;
  int64_t ti = new_ti(w), size;
  static char bytes[40000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 31 + i / 256);
  struct logs *l = logs_of(w);
  const struct log_chunk c[] = {{.ti = ti, .epoch = 1, .seq = 1, .stream = 2, .data = bytes, .n = sizeof bytes},
                                {.ti = ti, .epoch = 1, .seq = 2, .stream = 1, .offset = sizeof bytes, .data = bytes, .n = 1}};
  OK(logs_write(l, c, 2));
  logs_close(l);
  struct buf b = BUF_INIT;
  struct reader *r = reader_of(w);
  WR(reader_log(r, ti, 1, 0, sizeof bytes, &b, &size, &err));
  assert_int_equal(size, sizeof bytes + 1);
  assert_int_equal(b.len, sizeof bytes);
  assert_memory_equal(b.data, bytes, sizeof bytes);
  buf_clear(&b);
  WR(reader_log(r, ti, 1, 39990, 100, &b, &size, &err));
  reader_put(r);
  assert_int_equal(b.len, 11);
  assert_memory_equal(b.data, bytes + 39990, 10);
  buf_done(&b);
}

static void log_of_many_small_chunks(struct world *w) {
  enum { N = 1500 };
  int64_t ti = new_ti(w);
  struct logs *l = logs_of(w);
  struct log_chunk *c = calloc(N, sizeof *c);
  static char text[N][8];
  assert_non_null(c);
  for (uint32_t i = 0; i < N; i++) {
    snprintf(text[i], 8, "%06u\n", i);
    c[i] = chunk(ti, 1, i, i * 7, text[i]);
  }
  OK(logs_write(l, c, N));
  log_is(w, ti, 1, 7 * 777, 14, "000777\n000778\n", 7 * N);
  log_is(w, ti, 1, 7 * N - 3, 100, "99\n", 7 * N);
  free(c);
  logs_close(l);
}

static void log_survives_a_reopen(struct world *w) {
  int64_t ti = new_ti(w);
  struct batch b = {0};
  OK(batch_do(w, &b));
  struct logs *l = logs_of(w);
  const struct log_chunk c = chunk(ti, 1, 1, 0, "kept");
  OK(logs_write(l, &c, 1));
  logs_close(l);
  world_again(w);
  log_is(w, ti, 1, 0, 100, "kept", 4);
}

static void log_may_be_the_result(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, id);
  OK(put_task(w, ROW_INSERT, &r));
  r.t.state = TASK_SUCCESS, r.t.epoch = 2, r.log = 2, r.result = "the output", r.result_len = 10, r.log_bytes = 10;
  OK(put_finish(w, &r));
  log_is(w, r.ti, 2, 0, 100, "the output", 10);
  log_is(w, r.ti, 2, 4, 3, "out", 10);
  log_is(w, r.ti, 1, 0, 100, "", 0); /* the text is another attempt's */
}

static void stream_is(struct world *w, int64_t ti, uint8_t stream, int64_t offset, size_t n, const char *want, int64_t want_size) {
  struct wr_err err;
  struct buf b = BUF_INIT;
  int64_t size;
  struct reader *r = reader_of(w);
  WR(reader_log_stream(r, ti, 1, stream, offset, n, &b, &size, &err));
  reader_put(r);
  buf_add(&b, "", 1);
  assert_string_equal(b.data, want);
  assert_int_equal(size, want_size);
  buf_done(&b);
}

/* Offsets count the bytes of one stream; bytes of other streams between them do not show. */
static void log_of_one_stream(struct world *w) {
  int64_t ti = new_ti(w);
  static const struct { uint8_t stream; const char *text; } said[] = {
    {1, "one "}, {2, "ERR "}, {1, "two "}, {3, "[mark]"}, {2, "OR "}, {1, "three"}};
  struct log_chunk c[6];
  int64_t at = 0;
  for (uint32_t i = 0; i < 6; at += (int64_t)c[i].n, i++) {
    c[i] = chunk(ti, 1, i + 1, at, said[i].text);
    c[i].stream = said[i].stream;
  }
  struct logs *l = logs_of(w);
  OK(logs_write(l, c, 6));
  logs_close(l);
  stream_is(w, ti, 1, 0, 100, "one two three", 13);
  stream_is(w, ti, 2, 0, 100, "ERR OR ", 7);
  stream_is(w, ti, 1, 2, 7, "e two t", 13);
  stream_is(w, ti, 1, 8, 3, "thr", 13);
  stream_is(w, ti, 1, 4, 4, "two ", 13);
  stream_is(w, ti, 2, 7, 5, "", 7);
  stream_is(w, ti, 2, 99, 5, "", 7);
  stream_is(w, new_ti(w), 1, 0, 5, "", 0);
}

static int add_size(void *ctx, uint32_t epoch, int64_t size) {
  struct buf *b = ctx;
  buf_printf(b, "%u:%d ", epoch, (int)size);
  return 0;
}

static void sizes_are(struct world *w, int64_t ti, uint8_t stream, const char *want) {
  struct wr_err err;
  struct buf b = BUF_INIT;
  buf_str(&b, "");
  struct reader *r = reader_of(w);
  WR(reader_log_sizes(r, ti, stream, add_size, &b, &err));
  reader_put(r);
  assert_string_equal(b.data, want);
  buf_done(&b);
}

static void log_sizes_of_attempts(struct world *w) {
  int64_t ti = new_ti(w), next = new_ti(w);
  struct log_chunk c[] = {chunk(ti, 1, 1, 0, "one"), chunk(ti, 1, 2, 3, "four"), chunk(ti, 3, 1, 0, "three"), chunk(next, 2, 1, 0, "next")};
  c[1].stream = 2;
  struct logs *l = logs_of(w);
  sizes_are(w, ti, 0, "");
  OK(logs_write(l, c, 4));
  logs_close(l);
  sizes_are(w, ti, 0, "1:7 3:5 ");
  sizes_are(w, ti, 1, "1:3 3:5 ");
  sizes_are(w, ti, 2, "1:4 ");
}

/* Where the newest log ends: two looks differ when it has grown. Only a store of several processes has it. */
static void log_top_grows(struct world *w) {
  struct wr_err err;
  struct task_row row = alone_row_of(w, task_save(w, "t", "ECHO"));
  int64_t top = 0; /* as without a log */
  size_t n;
  struct ins_state got;
  OK(put_task(w, ROW_INSERT, &row));
  struct logs *l = logs_of(w);
  for (uint32_t i = 0; i < 3; i++) {
    const struct log_chunk c = chunk(row.ti, 1, i + 1, 2 * (int64_t)i, "xy");
    OK(logs_write(l, &c, 1));
    struct reader *r = reader_of(w);
    WR(reader_states(r, INS_TASK_LOG, &row.ti, 1, &got, &n, &err));
    reader_put(r);
    assert_int_equal(n, 1);
    if (store_single(w->s)) assert_int_equal(got.log_top, 0);
    else assert_true(got.log_top > top);
    top = got.log_top;
  }
  logs_close(l);
}

static void log_writes_nothing(struct world *w) {
  struct logs *l = logs_of(w);
  OK(logs_write(l, NULL, 0));
  logs_close(l);
}

const struct fact facts_logs[] = {
  FACT(log_of_nothing_is_empty), FACT(log_reads_back_from_any_place), FACT(log_appends_to_the_buffer),
  FACT(log_is_of_one_attempt), FACT(log_chunk_twice_stands_once), FACT(log_keeps_bytes), FACT(log_of_many_small_chunks),
  FACT_FRESH(log_survives_a_reopen), FACT(log_may_be_the_result), FACT(log_of_one_stream), FACT(log_sizes_of_attempts),
  FACT(log_top_grows), FACT(log_writes_nothing),
};
const size_t n_facts_logs = sizeof facts_logs / sizeof *facts_logs;
