/* The store in a file: SQLite in WAL mode. A connection, its prepared statements and its
 * transactions. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/trust.h"
#include "store/schema.h"

#define LONGEST_LOCK                                                          \
  (15 * INT64_C(1000000)) /* microseconds to wait for a lock that others hold \
                           */
#define LONGEST_LOCK_IN_A_HURRY INT64_C(1000000)

static const char *hint(int code, int why)
{
  if (why == ENOSPC || why == EDQUOT) code = SQLITE_FULL;
  switch (code) {
    case SQLITE_NOTADB:
      return "it is not an SQLite database and was not changed; use another path, or move it "
             "away";
    case SQLITE_CORRUPT:
      return "it is damaged and was not changed; restore a copy, or move it away together "
             "with its -wal and -shm "
             "files (the journal of charges goes with it)";
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return "it is read-only; make the file and its folder writable, or use another path";
    case SQLITE_CANTOPEN:
      return "it, or a file beside it, cannot be opened; its folder must exist and be writable";
    case SQLITE_FULL:
      return "the disk is full; make room and try again";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "another process keeps it locked; find it with fuser, end it, and try again";
    case SQLITE_IOERR:
      return "it cannot be read or written; check the disk";
    default:
      return "SQLite refused";
  }
}

/* SQLite takes a file system without locks for one on which another process has them. Asked on the
 * lock file: closing a descriptor of the store itself would drop SQLite's locks. */
static bool lacks_locks(const struct sqlite *sqlite)
{
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s-lock", sqlite->path) >= (int)sizeof path) return false;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (fd < 0) return false;
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  bool lacks = fcntl(fd, F_OFD_GETLK, &whole) != 0 && errno == ENOLCK;
  close(fd);
  return lacks;
}

static bool fail_locked(const struct sqlite *sqlite, const char *said, struct error *err)
{
  struct process_view holder;
  if (lacks_locks(sqlite))
    error_set(err, ERROR_STORE,
              "the store %s: its file system has no locks (%s); use a path on a local disk",
              sqlite->path, strerror(ENOLCK));
  else if (!sqlite_find_holder(sqlite->path, &holder))
    error_set(err, ERROR_STORE, "the store %s: %s (%s)", sqlite->path, hint(SQLITE_BUSY, 0), said);
  else if (holder.stopped)
    error_set(err, ERROR_STORE,
              "the store %s: the process %lld (%s) keeps it locked and is stopped; continue it "
              "with "
              "kill -CONT %lld, or end it, and try again (%s)",
              sqlite->path, (long long)holder.pid, holder.name, (long long)holder.pid, said);
  else
    error_set(err, ERROR_STORE,
              "the store %s: the process %lld (%s) keeps it locked; end it, and try again (%s)",
              sqlite->path, (long long)holder.pid, holder.name, said);
  return false;
}

bool sqlite_fail(const struct sqlite *sqlite, struct error *err)
{
  int code = sqlite3_errcode(sqlite->db) & 0xff, why = sqlite3_system_errno(sqlite->db);
  const char *said = sqlite3_errmsg(sqlite->db);
  if (code == SQLITE_NOMEM)
    error_set(err, ERROR_INTERNAL, "out of memory");
  else if (code == SQLITE_BUSY)
    fail_locked(sqlite, said, err);
  else if (why && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR))
    error_set(err, ERROR_STORE, "the store %s: %s (%s: %s)", sqlite->path, hint(code, why), said,
              strerror(why));
  else
    error_set(err, ERROR_STORE, "the store %s: %s (%s)", sqlite->path, hint(code, 0), said);
  return false;
}

bool sqlite_damaged(const struct sqlite *sqlite, struct error *err, const char *what)
{
  error_set(err, ERROR_STORE, "the store %s: %s (%s)", sqlite->path, hint(SQLITE_CORRUPT, 0), what);
  return false;
}

static void nap(int64_t microseconds)
{
  struct timespec time = {.tv_sec = 0, .tv_nsec = microseconds * 1000};
  nanosleep(&time, NULL);
}

/* Short at first, since others hold the lock for about 50 µs; at most 4 ms, with some jitter so
 * that waiting processes do not retry in step. The intended waiting time counts: when the machine
 * sleeps or is busy, the holder of the lock does not progress either. */
static int on_busy(void *arg, int count)
{
  struct sqlite *sqlite = arg;
  if (count == 0) sqlite->waited = 0;
  if (sqlite->waited > (atomic_load(sqlite->hurry) ? LONGEST_LOCK_IN_A_HURRY : LONGEST_LOCK))
    return 0;
  int64_t most = count < 12 ? INT64_C(20) << (count / 2) : 4000,
          length = most / 2 + loop_clock() % (most / 2);
  nap(length);
  sqlite->waited += length;
  return 1;
}

static bool is_memory(const struct sqlite *sqlite)
{
  return strcmp(sqlite->path, ":memory:") == 0;
}

static int64_t wall_clock(void)
{
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

bool sqlite_execute(struct sqlite *sqlite, const char *text, struct error *err)
{
  int code, count = 0;
  do code = sqlite3_exec(sqlite->db, text, NULL, NULL, NULL);
  while ((code & 0xff) == SQLITE_BUSY &&
         on_busy(sqlite, count++)); /* SQLite does not wait for every lock itself */
  return code == SQLITE_OK || sqlite_fail(sqlite, err);
}

static bool read_version(void *arg, const struct db_row *row, struct error *err)
{
  (void)err;
  *(int64_t *)arg = db_number(row, 0);
  return true;
}

/* A newer program may have migrated the file since it was opened. */
static bool is_ours(struct sqlite *sqlite, struct error *err)
{
  static const char query[] = "PRAGMA user_version";
  int64_t version = 0;
  return db_read(&sqlite->driver, query, NULL, 0, read_version, &version, err) &&
         (version <= SCHEMA_VERSION || sqlite_refuse_newer(sqlite, err));
}

bool sqlite_begin(struct sqlite *sqlite, bool durable, struct error *err)
{
  static const char take_write_lock[] = "BEGIN IMMEDIATE";
  if (durable != sqlite->durable) {
    if (!sqlite_execute(sqlite, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                        err))
      return false;
    sqlite->durable = durable;
  }
  return db_run(&sqlite->driver, take_write_lock, NULL, 0, NULL, err) && is_ours(sqlite, err);
}

bool sqlite_end(struct sqlite *sqlite, bool ok, struct error *err)
{
  static const char commit[] = "COMMIT", roll_back[] = "ROLLBACK";
  struct error ignored;
  ok = ok && db_run(&sqlite->driver, commit, NULL, 0, NULL, err);
  if (!ok && !sqlite3_get_autocommit(sqlite->db))
    db_run(&sqlite->driver, roll_back, NULL, 0, NULL, &ignored);
  return ok;
}

/* SQLite believes the pages that it has in memory. Where money depends on what is read, it comes
 * from the files: another program may have overwritten them. */
static bool begin(struct store_driver *driver, enum db_safety safety, struct error *err)
{
  static const char of_one_moment[] = "BEGIN DEFERRED";
  struct sqlite *sqlite = (struct sqlite *)driver;
  if (safety == DB_SHARED || safety == DB_DURABLE) sqlite3_db_release_memory(sqlite->db);
  if (safety != DB_READ) return sqlite_begin(sqlite, safety == DB_DURABLE, err);
  return db_run(driver, of_one_moment, NULL, 0, NULL, err) && is_ours(sqlite, err);
}

static bool end(struct store_driver *driver, bool commit, struct error *err)
{
  return sqlite_end((struct sqlite *)driver, commit, err);
}

/* There are some 40 of them. */
static sqlite3_stmt *find_kept(struct sqlite *sqlite, const char *text)
{
  for (size_t i = 0; i < sqlite->kept_count; i++)
    if (sqlite->kept[i].text == text) return sqlite->kept[i].statement;
  return NULL;
}

static sqlite3_stmt *keep(struct sqlite *sqlite, const char *text, struct error *err)
{
  struct buffer sql = {0};
  struct sqlite_kept *kept = realloc(sqlite->kept, (sqlite->kept_count + 1) * sizeof *kept);
  if (kept) sqlite->kept = kept;
  if (!kept || !db_text_for(&sql, text, false)) {
    buffer_free(&sql);
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v3(sqlite->db, sql.data, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) ==
      SQLITE_OK)
    kept[sqlite->kept_count++] = (struct sqlite_kept){text, statement};
  else
    sqlite_fail(sqlite, err);
  buffer_free(&sql);
  return statement;
}

/* SQLite numbers $1, $2 … in the order in which they appear. */
static void bind(sqlite3_stmt *statement, const struct db_value *values, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    const struct db_value *value = &values[i];
    char name[24];
    snprintf(name, sizeof name, "$%zu", i + 1);
    int at = sqlite3_bind_parameter_index(statement, name);
    if (value->kind == DB_IS_NUMBER)
      sqlite3_bind_int64(statement, at, value->number);
    else if (value->kind == DB_IS_BYTES)
      sqlite3_bind_blob64(statement, at, value->size ? value->data : "", value->size,
                          SQLITE_STATIC);
    else
      sqlite3_bind_text(statement, at, value->data, -1, SQLITE_STATIC);
  }
}

static bool step(struct sqlite *sqlite, sqlite3_stmt *statement, const struct db_statement *wanted,
                 struct error *err)
{
  const struct db_row row = {.driver = &sqlite->driver, .source = statement};
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW)
    if (wanted->read && !wanted->read(wanted->arg, &row, err)) return false;
  if (code != SQLITE_DONE) return sqlite_fail(sqlite, err);
  if (wanted->changed) *wanted->changed += sqlite3_changes64(sqlite->db);
  return true;
}

static bool run(struct store_driver *driver, const struct db_statement *wanted, struct error *err)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  sqlite3_stmt *statement = find_kept(sqlite, wanted->text);
  if (!statement) statement = keep(sqlite, wanted->text, err);
  if (!statement) return false;
  bind(statement, wanted->values, wanted->count);
  bool ok = step(sqlite, statement, wanted, err);
  sqlite3_reset(statement);
  return ok;
}

/* Each statement has run at once. */
static bool sync_sqlite(struct store_driver *driver, struct error *err)
{
  (void)driver, (void)err;
  return true;
}

static const void *bytes(const struct db_row *row, int column, size_t *size)
{
  const void *data = sqlite3_column_type(row->source, column) == SQLITE_BLOB
                         ? sqlite3_column_blob(row->source, column)
                         : (const void *)sqlite3_column_text(row->source, column);
  *size = (size_t)sqlite3_column_bytes(row->source, column);
  return data;
}

static int64_t number(const struct db_row *row, int column)
{
  return sqlite3_column_int64(row->source, column);
}

static bool damaged(struct store_driver *driver, const char *what, struct error *err)
{
  return sqlite_damaged((struct sqlite *)driver, err, what);
}

static void now(sqlite3_context *context, int count, sqlite3_value **values)
{
  (void)count, (void)values;
  sqlite3_result_int64(context, wall_clock());
}

static void tick(sqlite3_context *context, int count, sqlite3_value **values)
{
  (void)count, (void)values;
  sqlite3_result_int64(context, loop_clock());
}

/* Whether the process with a token still runs, stopped or not. */
static void alive(sqlite3_context *context, int count, sqlite3_value **values)
{
  (void)count;
  const struct sqlite *sqlite = sqlite3_user_data(context);
  struct flock byte = {.l_type = F_WRLCK,
                       .l_whence = SEEK_SET,
                       .l_start = sqlite3_value_int64(values[0]),
                       .l_len = 1};
  sqlite3_result_int(context, is_memory(sqlite) ||
                                  fcntl(sqlite->lock_fd, F_OFD_GETLK, &byte) != 0 ||
                                  byte.l_type != F_UNLCK);
}

static bool fail_lock_file(const struct sqlite *sqlite, struct error *err)
{
  const char *why = strerror(errno),
             *next = errno == ENOLCK   ? "its file system has no locks; use a local one"
                     : errno == ENOSPC ? "make room and try again"
                     : errno == EACCES ? "change its owner and mode so that you can write"
                                       : "the folder must be writable";
  error_set(err, ERROR_STORE, "the store %s: its lock file %s-lock: %s; %s", sqlite->path,
            sqlite->path, why, next);
  return false;
}

static bool open_lock_file(struct sqlite *sqlite, struct error *err)
{
  char *path = NULL;
  if (sqlite->lock_fd >= 0) return true;
  if (asprintf(&path, "%s-lock", sqlite->path) < 0) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  sqlite->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  free(path);
  return sqlite->lock_fd >= 0 || fail_lock_file(sqlite, err);
}

/* Has an open-file-description lock on one byte of a file beside the store, at the offset of the
 * token. The kernel drops it when the process ends. */
static bool claim(struct store_driver *driver, int64_t token, struct error *err)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = token, .l_len = 1};
  if (is_memory(sqlite)) return true;
  return open_lock_file(sqlite, err) &&
         (fcntl(sqlite->lock_fd, F_OFD_SETLK, &byte) == 0 || fail_lock_file(sqlite, err));
}

static bool unclaim(struct store_driver *driver, struct error *err)
{
  const struct sqlite *sqlite = (const struct sqlite *)driver;
  struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  return sqlite->lock_fd < 0 || fcntl(sqlite->lock_fd, F_OFD_SETLK, &all) == 0 ||
         fail_lock_file(sqlite, err);
}

static bool add_functions(struct sqlite *sqlite, struct error *err)
{
  static const struct {
    const char *name;
    void (*run)(sqlite3_context *context, int count, sqlite3_value **values);
    int params;
  } functions[] = {{"now", now, 0}, {"tick", tick, 0}, {"alive", alive, 1}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (sqlite3_create_function_v2(sqlite->db, functions[i].name, functions[i].params,
                                   SQLITE_UTF8 | SQLITE_DIRECTONLY, sqlite, functions[i].run, NULL,
                                   NULL, NULL) != SQLITE_OK)
      return sqlite_fail(sqlite, err);
  return true;
}

static struct sqlite_file look_at(const struct sqlite *sqlite, const char *ending)
{
  char path[PATH_MAX];
  struct stat status;
  int size = snprintf(path, sizeof path, "%s%s", sqlite->path, ending);
  if (size >= (int)sizeof path || stat(path, &status) != 0) return (struct sqlite_file){0};
  return (struct sqlite_file){status.st_dev, status.st_ino, status.st_size};
}

static struct sqlite_files look_at_files(const struct sqlite *sqlite)
{
  return (struct sqlite_files){.database = look_at(sqlite, ""),
                               .wal = look_at(sqlite, "-wal"),
                               .index = look_at(sqlite, "-shm")};
}

static bool is_same_file(const struct sqlite_file *a, const struct sqlite_file *b)
{
  return a->device == b->device && a->inode == b->inode;
}

static bool is_shorter(const struct sqlite_file *a, const struct sqlite_file *b)
{
  return a->size < b->size;
}

/* Closing writes what the write-ahead log has to the database, unless others have changed these
 * files: then they are left as they are. A log that was removed, without another in its place, has
 * entries that are nowhere else, and is written. */
static void protect_changed(struct sqlite *sqlite)
{
  const struct sqlite_files now = look_at_files(sqlite), *open = &sqlite->files;
  bool same =
      is_same_file(&now.database, &open->database) && !is_shorter(&now.database, &open->database);
  bool same_index = is_same_file(&now.index, &open->index) && !is_shorter(&now.index, &open->index);
  if (same && same_index && is_same_file(&now.wal, &open->wal)) return;
  sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  if (same && !now.wal.inode && (same_index || !now.index.inode))
    sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
}

static void close_sqlite(struct store_driver *driver)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  if (sqlite->files.database.inode) protect_changed(sqlite);
  for (size_t i = 0; i < sqlite->kept_count; i++) sqlite3_finalize(sqlite->kept[i].statement);
  free(sqlite->kept);
  sqlite3_close(sqlite->db);
  if (sqlite->lock_fd >= 0) close(sqlite->lock_fd);
  free(sqlite->path);
  free(sqlite);
}

/* Writes to a file that was moved away or replaced would be lost. One that was cut off has lost
 * something, and reading the index beyond its end would end this process. */
static bool is_stale(struct store_driver *driver)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  if (is_memory(sqlite)) return false;
  struct sqlite_files now = look_at_files(sqlite), *open = &sqlite->files;
  if (!is_same_file(&now.database, &open->database) || !is_same_file(&now.wal, &open->wal) ||
      !is_same_file(&now.index, &open->index) || is_shorter(&now.database, &open->database) ||
      is_shorter(&now.index, &open->index))
    return true;
  open->database.size = now.database.size;
  return false;
}

static bool refuse_path(const struct sqlite *sqlite, struct error *err, const char *why,
                        const char *next)
{
  error_set(err, ERROR_STORE, "the store %s: %s; %s", sqlite->path, why, next);
  return false;
}

/* SQLite takes a file shorter than a page for an empty one, and would overwrite it. */
static bool check_file(const struct sqlite *sqlite, const struct stat *status, struct error *err)
{
  if (!S_ISREG(status->st_mode))
    return refuse_path(sqlite, err,
                       S_ISDIR(status->st_mode) ? "it is a folder" : "it is not a regular file",
                       "use the path of a file");
  if (status->st_size == 0 || status->st_size >= 512) return true;
  return refuse_path(sqlite, err, "it is not an SQLite database and was not changed",
                     "use another path, or move it away");
}

static bool refuse_trust(const struct sqlite *sqlite, struct error *err,
                         const struct distrust *found)
{
  error_set(err, ERROR_STORE,
            "the store %s: %s is not safe, since it %s: they could cause double purchases; %s %s",
            sqlite->path, found->path, found->why, trust_remedy(found), found->path);
  return false;
}

/* Refuses a file, one of those beside it, or a folder that other users can change: the journal
 * decides what is bought. */
static bool check_trust(const struct sqlite *sqlite, struct error *err)
{
  static const char *const endings[] = {"", "-wal", "-shm", "-journal", "-lock"};
  char path[PATH_MAX];
  struct stat status;
  struct distrust found;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    if (snprintf(path, sizeof path, "%s%s", sqlite->path, endings[i]) >= (int)sizeof path)
      return refuse_path(sqlite, err, "its path is too long", "use another path");
    if (stat(path, &status) == 0 && !trust_status(path, &status, &found))
      return refuse_trust(sqlite, err, &found);
  }
  return trust_folders(sqlite->path, &found) || refuse_trust(sqlite, err, &found);
}

/* Creates the file with access for its owner only. mknod does not open it: closing a descriptor of
 * the file would drop the locks of another connection of this process. */
static bool make_file(struct sqlite *sqlite, struct error *err)
{
  struct stat status;
  if (stat(sqlite->path, &status) == 0) return check_file(sqlite, &status, err);
  if (mknod(sqlite->path, S_IFREG | 0600, 0) == 0 || errno == EEXIST) return true;
  const char *next = errno == ENOENT   ? "create its folder first, or use another path"
                     : errno == ENOSPC ? "make room and try again"
                                       : "its folder must be writable";
  return refuse_path(sqlite, err, strerror(errno), next);
}

/* Times of CLOCK_BOOTTIME are comparable within one boot only. */
static void read_boot(struct sqlite *sqlite)
{
  strcpy(sqlite->driver.clock, "unknown boot");
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char id[sizeof sqlite->driver.clock];
  ssize_t size = read(fd, id, sizeof id - 1);
  close(fd);
  if (size <= 1) return;
  id[size] = '\0';
  id[strcspn(id, "\n")] = '\0';
  strcpy(sqlite->driver.clock, id);
}

static bool connect_file(struct sqlite *sqlite, struct error *err)
{
  if (!is_memory(sqlite) && (!make_file(sqlite, err) || !check_trust(sqlite, err))) return false;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(sqlite->path, &sqlite->db, flags, NULL) != SQLITE_OK)
    return sqlite_fail(sqlite, err);
  sqlite3_busy_handler(sqlite->db, on_busy, sqlite);
  if (sqlite3_db_readonly(sqlite->db, "main") == 1)
    return refuse_path(sqlite, err, "it is read-only",
                       "make the file and its folder writable, or use another path");
  if (!add_functions(sqlite, err) || !sqlite_migrate(sqlite, err)) return false;
  if (!is_memory(sqlite)) sqlite->files = look_at_files(sqlite);
  return !sqlite->driver.run->reopened || sqlite_check(sqlite, err);
}

static struct store_driver *open_sqlite(const char *location, const atomic_bool *hurry,
                                        struct store_run *run, struct error *err)
{
  struct sqlite *sqlite = calloc(1, sizeof *sqlite);
  char *path = strdup(location);
  if (!sqlite || !path) {
    free(sqlite);
    free(path);
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  sqlite->driver.ops = &store_sqlite;
  sqlite->driver.run = run;
  sqlite->hurry = hurry;
  sqlite->path = path;
  sqlite->lock_fd = -1;
  read_boot(sqlite);
  if (connect_file(sqlite, err)) return &sqlite->driver;
  close_sqlite(&sqlite->driver);
  return NULL;
}

const struct store_ops store_sqlite = {
    .open = open_sqlite,
    .close = close_sqlite,
    .stale = is_stale,
    .begin = begin,
    .run = run,
    .sync = sync_sqlite,
    .end = end,
    .bytes = bytes,
    .number = number,
    .damaged = damaged,
    .claim = claim,
    .unclaim = unclaim,
};
