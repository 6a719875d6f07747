/* Texts of one line: amounts, times, durations, base URLs, paths of requests and of archives; and
 * the snapshot that the journal stores with a charge. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/endpoint.h"
#include "base/datetime.h"
#include "base/money.h"
#include "bundle/archive.h"
#include "charge/snapshot.h"
#include "net/url.h"
#include "spec/support/fuzz.h"

/* What is printed is read as the same amount. */
static void read_money(const char *text, size_t size)
{
  char printed[MONEY_TEXT];
  money amount, again;
  struct decimal value;
  if (decimal_parse(text, size, &value) == MONEY_OK) {
    if (money_nearest(&value, &amount) == MONEY_OK) money_multiply(amount, &value, &again);
    if (money_nearest(&value, &amount) == MONEY_OK) money_divide(amount, &value, &again);
  }
  if (money_parse(text, size, &amount) != MONEY_OK) return;
  size_t length = money_format(amount, printed);
  if (length >= MONEY_TEXT || money_parse(printed, length, &again) != MONEY_OK) abort();
  if (again != amount || money_from_double(money_to_double(amount), &again) == MONEY_SYNTAX)
    abort();
}

static void read_times(const char *text)
{
  double seconds;
  if (date_parse(text, &seconds) && !isfinite(seconds)) abort();
  if (duration_parse(text, &seconds) && !(isfinite(seconds) && seconds >= 0)) abort();
}

/* A base URL that is accepted is in its own one spelling. */
static void read_url(const char *text)
{
  struct error err = ERROR_INIT;
  char *url = url_check_base(text, &err);
  char *again = url ? url_check_base(url, &err) : NULL;
  if (url && (!again || strcmp(url, again) != 0)) abort();
  free(again);
  free(url);
}

static void read_paths(const char *text, size_t size)
{
  struct error err = ERROR_INIT;
  size_t path_size = 0;
  if (endpoint_check_path(text, size, &path_size, &err)) {
    if (path_size > size || text[0] != '/' || memmem(text, path_size, "/../", 4)) abort();
  }
  if (archive_check_name(text, size)) return;
  if (size == 0 || text[0] == '/' || strncmp(text, "../", 3) == 0 || strstr(text, "/../")) abort();
}

static void read_snapshot(const char *text)
{
  struct snapshot snapshot = SNAPSHOT_INIT, again = SNAPSHOT_INIT;
  struct buffer first = {0}, second = {0};
  bool ok = snapshot_read(&snapshot, text) && snapshot_write(&snapshot, &first) &&
            snapshot_read(&again, first.data) && snapshot_write(&again, &second);
  if (ok && first.size != second.size) abort();
  if (ok && first.size > 0 && memcmp(first.data, second.data, first.size) != 0) abort();
  buffer_free(&second);
  buffer_free(&first);
  snapshot_free(&again);
  snapshot_free(&snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  read_money(text, size);
  read_times(text);
  read_url(text);
  if (strlen(text) == size) read_paths(text, size);
  read_snapshot(text);
  free(text);
  return 0;
}
