/* What a member says of executors: exec_offers.h. */
#include "exec_offers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "executor_post.h"
#include "text.h"

enum { DIR_BYTES = 4096 };

static void add_line(struct buf *b, const char *s) {
  for (; *s; s++) buf_ch(b, (unsigned char)*s < ' ' || *s == 127 ? ' ' : *s);
  buf_ch(b, '\n');
}

static const char *next_line(const char *line) {
  line += strcspn(line, "\n");
  return *line ? line + 1 : line;
}

void exec_offers_dir(struct buf *b, const char *dir) { add_line(b, dir); }

void exec_offers_listens(struct buf *b, const char *address, uint16_t port) { buf_printf(b, "@%s/%u\n", address, port); }

void exec_offers_listeners(const char *text, void (*fn)(void *ctx, const char *address, size_t n, uint16_t port), void *ctx) {
  for (const char *line = text ? text : ""; *line; line = next_line(line)) {
    size_t n = strcspn(line, "/\n");
    int64_t port = 0;
    bool good = *line == '@' && n > 1 && line[n] == '/' && text_i64(line + n + 1, strcspn(line + n + 1, "\n"), &port);
    if (good && port > 0 && port <= UINT16_MAX) fn(ctx, line + 1, n - 1, (uint16_t)port);
  }
}

void exec_offers_add(struct buf *b, const char *type, int64_t version, const char *why) {
  buf_str(b, type);
  buf_ch(b, ' ');
  buf_i64(b, version);
  if (why) buf_ch(b, ' ');
  add_line(b, why ? why : "");
}

/* The number behind "TYPE " at the start of the line; NULL: it is about something else. */
static const char *of_type(const char *line, const char *type) {
  size_t n = strlen(type);
  return strncmp(line, type, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

enum exec_says exec_offers_say(const char *text, const char *type, int64_t version, char *why, size_t why_n) {
  for (const char *line = text ? text : ""; *line; line = next_line(line)) {
    const char *at = of_type(line, type);
    char *end = NULL;
    if (!at || strtoll(at, &end, 10) != version) continue;
    if (*end != ' ') return EXEC_OFFERED;
    snprintf(why, why_n, "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
    return EXEC_NOT;
  }
  return EXEC_UNSAID;
}

void exec_offers_analyzer(struct buf *b, const char *name, int64_t version, const char *why) {
  buf_printf(b, "?%s/%lld/", name, (long long)version);
  add_line(b, why);
}

bool exec_offers_no_analyzer(const char *text, const char *name, int64_t version, char *why, size_t why_n) {
  size_t n = strlen(name);
  for (const char *line = text ? text : ""; *line; line = next_line(line)) {
    if (*line != '?' || strncmp(line + 1, name, n) != 0 || line[n + 1] != '/') continue;
    char *end = NULL;
    if (strtoll(line + n + 2, &end, 10) != version || *end != '/') continue;
    snprintf(why, why_n, "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
    return true;
  }
  return false;
}

bool exec_offers_any(const char *text, const char *type) {
  for (const char *line = text ? text : ""; *line; line = next_line(line)) {
    const char *at = of_type(line, type);
    if (at && at[strcspn(at, " \n")] != ' ') return true;
  }
  return false;
}

void exec_offers_each(const char *text, void (*fn)(void *ctx, const char *name, size_t n), void *ctx) {
  for (const char *line = text ? text : ""; *line; line = next_line(line)) {
    size_t n = strcspn(line, " \n");
    if (*line == '/' || *line == '?' || line[n] != ' ') continue;
    const char *at = line + n + 1;
    if (at[strcspn(at, " \n")] != ' ') fn(ctx, line, n);
  }
}

bool exec_offers_below(const char *text, const char *path) {
  char dir[DIR_BYTES];
  for (const char *line = text ? text : ""; *line == '/'; line = next_line(line)) {
    size_t n = strcspn(line, "\n");
    if (n >= sizeof dir) continue;
    memcpy(dir, line, n);
    dir[n] = '\0';
    if (program_path_below(path, dir)) return true;
  }
  return false;
}
