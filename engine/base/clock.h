/* Clocks and random numbers: the one place that reads them. Core gets `now` with the event instead.
 *
 * wall: microseconds since 1970 UTC, may step; mono: CLOCK_MONOTONIC, for durations and timers of one machine;
 * boot: CLOCK_BOOTTIME, counts suspend, for leases and deadlines. All are int64_t microseconds named *_us. */
#ifndef WR_CLOCK_H
#define WR_CLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_us(void);
int64_t clock_mono_us(void);
int64_t clock_boot_us(void);

/* splitmix64: small, seedable, for jitter and simulation; never for secrets. */
uint64_t rand_next(uint64_t *state);
void rand_secret(void *p, size_t n); /* getrandom; aborts when the kernel has none */

/* S2's "YYYY-MM-DD HH:MM:SS" in the zone set by clock_zone() (default: the system's). Whole seconds, cut. */
#define CLOCK_S2_LEN 20
void clock_s2(char out[CLOCK_S2_LEN], int64_t wall_us);
/* RFC 3339 UTC, always six decimals: 2026-11-20T16:30:00.123456Z */
#define CLOCK_RFC_LEN 28
void clock_rfc3339(char out[CLOCK_RFC_LEN], int64_t wall_us);
/* "2026-11-20 16:30:00.123456" in UTC: the SQL literal of DATETIME(6). */
#define CLOCK_SQL_LEN 27
void clock_sql(char out[CLOCK_SQL_LEN], int64_t wall_us);
bool clock_parse_sql(const char *s, size_t n, int64_t *wall_us);
/* Either of the two outside forms (S2 or RFC 3339 with Z or an offset; decimals beyond six are cut off). */
bool clock_parse(const char *s, size_t n, int64_t *wall_us);
#define CLOCK_LAST_US INT64_C(253402300799999999)   /* the end of the year 9999, UTC: no text says more */
/* Before any thread starts. "" or NULL = the system's zone; false when the zone file does not exist. */
bool clock_zone(const char *iana);
#endif
