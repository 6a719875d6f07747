#include "store/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static bool run_once(struct store_driver *driver, enum db_safety safety,
                     bool (*body)(struct store_driver *driver, void *arg, struct error *err),
                     void *arg, struct error *err)
{
  bool ok = driver->ops->begin(driver, safety, err) && body(driver, arg, err);
  return driver->ops->end(driver, ok, err) && ok;
}

bool db_transact(struct store_driver *driver, enum db_safety safety,
                 bool (*body)(struct store_driver *driver, void *arg, struct error *err), void *arg,
                 struct error *err)
{
  int64_t began = loop_clock();
  if (run_once(driver, safety, body, arg, err)) return true;
  return driver->ops->connect && driver->ops->connect(driver, began, err) &&
         run_once(driver, safety, body, arg, err);
}

bool db_run(struct store_driver *driver, const char *text, const struct db_value *values,
            size_t count, int64_t *changed, struct error *err)
{
  const struct db_statement statement = {.text = text,
                                         .values = values,
                                         .count = count,
                                         .changed = changed};
  return driver->ops->run(driver, &statement, err);
}

bool db_read(struct store_driver *driver, const char *text, const struct db_value *values,
             size_t count, db_reader *read, void *arg, struct error *err)
{
  const struct db_statement statement = {.text = text,
                                         .values = values,
                                         .count = count,
                                         .read = read,
                                         .arg = arg};
  return driver->ops->run(driver, &statement, err);
}

bool db_sync(struct store_driver *driver, struct error *err)
{
  return driver->ops->sync(driver, err);
}

static bool read_clock(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  *(struct db_clock *)arg = (struct db_clock){.now = db_number(row, 0), .tick = db_number(row, 1)};
  return true;
}

bool db_read_clock(struct store_driver *driver, struct db_clock *clock, struct error *err)
{
  static const char query[] = "SELECT " DB_NOW ", " DB_TICK;
  return db_read(driver, query, NULL, 0, read_clock, clock, err);
}

const void *db_bytes(const struct db_row *row, int column, size_t *size)
{
  return row->driver->ops->bytes(row, column, size);
}

const char *db_text(const struct db_row *row, int column)
{
  size_t size;
  return db_bytes(row, column, &size);
}

bool db_is_null(const struct db_row *row, int column)
{
  return !db_text(row, column);
}

int64_t db_number(const struct db_row *row, int column)
{
  return row->driver->ops->number(row, column);
}

bool db_copy(const struct db_row *row, int column, char **copy, struct error *err)
{
  const char *text = db_text(row, column);
  *copy = text ? strdup(text) : NULL;
  if (text && !*copy) error_set(err, ERROR_INTERNAL, "out of memory");
  return *copy || !text;
}

bool db_damaged(struct store_driver *driver, const char *what, struct error *err)
{
  return driver->ops->damaged(driver, what, err);
}

/* The marks are those of DB_EITHER. */
bool db_text_for(struct buffer *text, const char *statement, bool postgres)
{
  text->size = 0;
  for (bool wanted = true; *statement; statement++) {
    if (*statement == '\1')
      wanted = !postgres;
    else if (*statement == '\2')
      wanted = postgres;
    else if (*statement == '\3')
      wanted = true;
    else {
      size_t size = strcspn(statement, "\1\2\3");
      if (wanted && !buffer_add(text, statement, size)) return false;
      statement += size - 1;
    }
  }
  return true;
}
