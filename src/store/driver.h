/* What a subject that keeps its data in the store (notes, rate limits, journal) works with. A
 * subject brings its own statements, written once for both kinds of store, and runs them on the
 * store's thread in transactions. A kind of store is a struct store_ops: SQLite (sqlite.c) or
 * PostgreSQL (postgres.c). The store knows none of its subjects. */
#ifndef PROXYLUA_STORE_DRIVER_H
#define PROXYLUA_STORE_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* The text of a statement is the same for both kinds of store, with parameters $1, $2 …, apart from
 * places where they differ. One place must not be inside another. */
#define DB_EITHER(sqlite, postgres) "\1" sqlite "\2" postgres "\3"

/* The store's clock in microseconds since 1970, and one that cannot be set: that of this boot, or
 * again the database's. Compare the values of such a clock only if driver.clock is the same. */
#define DB_SERVER_TIME "(extract(epoch from clock_timestamp()) * 1000000)::int8"
#define DB_NOW DB_EITHER("now()", DB_SERVER_TIME)
#define DB_TICK DB_EITHER("tick()", DB_SERVER_TIME)

/* Locks the rows that were read until the end of the transaction. */
#define DB_FOR_UPDATE DB_EITHER("", " FOR UPDATE")

/* A condition: one of the texts of a JSON array. */
#define DB_IN(array)                                       \
  DB_EITHER("IN (SELECT value FROM json_each(" array "))", \
            "= ANY(ARRAY(SELECT json_array_elements_text(" array "::json)))")

/* What a transaction survives once it is committed. */
enum db_safety {
  DB_READ,   /* it writes nothing; all that it reads is of one moment */
  DB_LOOSE,  /* the end of this process */
  DB_SHARED, /* and a crash of the database's server: other machines rely on it */
  DB_DURABLE /* it is on disk */
};

struct db_value {
  enum { DB_IS_NULL, DB_IS_NUMBER, DB_IS_TEXT, DB_IS_FOREIGN, DB_IS_BYTES } kind;
  int64_t number;
  const void *data;
  size_t size;
};

#define DB_NUMBER(value) ((struct db_value){.kind = DB_IS_NUMBER, .number = (value)})
#define DB_TEXT(value) ((struct db_value){.kind = DB_IS_TEXT, .data = (value)}) /* or NULL */
/* A text of others, which need not be UTF-8; or NULL. */
#define DB_FOREIGN(value) ((struct db_value){.kind = DB_IS_FOREIGN, .data = (value)})
#define DB_BYTES(value, length) \
  ((struct db_value){.kind = DB_IS_BYTES, .data = (value), .size = (length)})

/* The parameters of a statement, for db_run and db_read. */
#define DB_WITH(...)                      \
  (const struct db_value[]){__VA_ARGS__}, \
      sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_PARAMS 24 /* at most */

struct db_row {
  struct store_driver *driver;
  void *source;
  int index;
};

typedef bool db_reader(void *arg, const struct db_row *row, struct error *err);

struct db_statement {
  const char *text; /* lives as long as the program */
  const struct db_value *values;
  size_t count;
  db_reader *read; /* NULL: there are no rows to read */
  void *arg;
  int64_t *changed; /* the number of rows that were written is added to it; may be NULL */
};

struct store_run;

/* The primitives of a kind of store. Those with an error return false when it is set. */
struct store_ops {
  /* `hurry` becomes true when the program is ending: no long waits from then on. */
  struct store_driver *(*open)(const char *location, const atomic_bool *hurry,
                               struct store_run *run, struct error *err);
  void (*close)(struct store_driver *driver);
  /* Whether the file at the location is not the one that was opened, or the connection is gone. */
  bool (*stale)(struct store_driver *driver);
  bool (*begin)(struct store_driver *driver, enum db_safety safety, struct error *err);
  bool (*run)(struct store_driver *driver, const struct db_statement *statement, struct error *err);
  bool (*sync)(struct store_driver *driver, struct error *err);
  bool (*end)(struct store_driver *driver, bool commit, struct error *err);
  /* After a transaction that failed: connects again, when that helps and nothing can have been
   * committed. NULL: never. */
  bool (*connect)(struct store_driver *driver, int64_t began, struct error *err);
  const void *(*bytes)(const struct db_row *row, int column, size_t *size);
  int64_t (*number)(const struct db_row *row, int column);
  bool (*damaged)(struct store_driver *driver, const char *what, struct error *err);
  /* A token that a process claims shows others, in SQL as alive(token), that it runs. NULL: no. */
  bool (*claim)(struct store_driver *driver, int64_t token, struct error *err);
  bool (*unclaim)(struct store_driver *driver, struct error *err);        /* all of its tokens */
  bool (*pooled)(struct store_driver *driver, struct store_check *check); /* NULL: never pooled */
};

/* What this process remembers of the store that it began with. It outlives a driver. */
struct store_run {
  char id[40];   /* set when the store was created; empty: not read yet */
  bool replaced; /* the present store has another id: this run spends no more */
  bool reopened; /* other programs have changed the files, or the connection was lost */
  /* What a subject keeps here. */
  void *kept;
  void (*free)(void *kept);
  /* Does periodic work when there is no job, and returns in how many microseconds it wants to be
   * called again; negative: not before the next job. NULL: there is no periodic work. */
  int64_t (*tend)(struct store_driver *driver);
  /* Called before a driver is closed. NULL: there is nothing to do. */
  void (*leave)(struct store_driver *driver, bool usable);
};

struct store_driver {
  const struct store_ops *ops;
  struct store_run *run;
  char clock[64]; /* the name of the clock that cannot be set: a boot, or a database */
};

extern const struct store_ops store_sqlite, store_postgres;

/* Runs the statements of `body` in one transaction, and commits if it returns true. When the
 * connection is lost before the commit was sent, everything runs once more on another one: `body`
 * sets its results anew. */
bool db_transact(struct store_driver *driver, enum db_safety safety,
                 bool (*body)(struct store_driver *driver, void *arg, struct error *err), void *arg,
                 struct error *err);

/* Runs a statement. It may run later, with others in one round trip: in their order, at the latest
 * at the next db_sync or at the end of the transaction. What it failed of is reported there. */
bool db_run(struct store_driver *driver, const char *text, const struct db_value *values,
            size_t count, int64_t *changed, struct error *err);

/* The same for a statement with rows; `read` is called for each. It must not run statements. */
bool db_read(struct store_driver *driver, const char *text, const struct db_value *values,
             size_t count, db_reader *read, void *arg, struct error *err);

/* Waits until all statements have run and their rows are read. */
bool db_sync(struct store_driver *driver, struct error *err);

/* Reads both clocks of the store. */
struct db_clock {
  int64_t now, tick;
};
bool db_read_clock(struct store_driver *driver, struct db_clock *clock, struct error *err);

/* The columns of a row; a text is valid while the row is read, NULL for SQL NULL. */
const char *db_text(const struct db_row *row, int column);
const void *db_bytes(const struct db_row *row, int column, size_t *size);
bool db_is_null(const struct db_row *row, int column);
int64_t db_number(const struct db_row *row, int column); /* 0 for SQL NULL; a bool is 0 or 1 */
bool db_copy(const struct db_row *row, int column, char **copy, struct error *err);

/* Sets the error for damaged data in the store. Returns false. */
bool db_damaged(struct store_driver *driver, const char *what, struct error *err);

/* Writes the text for one kind of store. False when out of memory. */
struct buffer;
bool db_text_for(struct buffer *text, const char *statement, bool postgres);

/* The name of a location for messages: a database without its user, password and parameters. The
 * caller frees it; NULL when out of memory. */
char *store_name(const char *location);

/* Compares the id that was read with the one that this process began with; remembers the first. */
void store_identify(struct store_run *run, const char *id);

/* False with a store error when the store is not the one that this process began with. */
bool store_is_same(const struct store_run *run, struct error *err);

#endif
