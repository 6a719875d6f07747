/* Prototypes of the modules of bind/ that declare one or two functions. Each *_open pushes the
 * module's table. */
#ifndef PROXYLUA_BIND_MODULES_H
#define PROXYLUA_BIND_MODULES_H

#include <lua.h>

struct archive;

/* modules.c: the opener of `proxylua.core`, one table with all that C offers to the standard
 * module. */
int core_open(lua_State *L);

/* archive.c
 *   read(bytes [, limits]) -> list of {name, data}, sorted by name
 *   load(path [, limits]) -> the same from a file; offset and size, in bytes, of a range of it
 *   write(list of {name, data}) -> bytes; the same list gives the same bytes
 *   check_name(name) -> nil, or why an archive cannot hold a file of that name
 * limits: count of files, file (bytes of one), total (bytes of all), ratio of unpacked to packed
 * size. A bad archive is an error of kind config. */
void archive_open(lua_State *L);

/* The files of the list of {name, data} at an absolute index. Pushes their owner. */
struct archive *archive_check(lua_State *L, int index);

/* sha256(text) -> 64 digits in lower case. */
void digest_open(lua_State *L);

/* standard.c: replaces print, io.write, os.exit, and what warn does. */
void standard_open(lua_State *L);

/* bundle.c: the app in this program's own file, and writing programs that carry one.
 *   here() -> the name by which the program was called if it carries an app, else nil
 *   read(name) -> the text of a file of the app, or nil
 *   files() -> list of {name, size}
 *   write(path, files): writes a copy of this program with a list of {name, data}, whole or not at
 * all. A file that contains the API key is a usage error A damaged app is an error of kind config.
 */
void bundle_module_open(lua_State *L);

/* coroutine.c: replaces functions of the global table `coroutine`, so that waiting works through
 * user coroutines. */
void coroutine_open(lua_State *L);

/* data.c: Lua text as data.
 *   load(text, chunkname [, limits]) -> a copy of the table that the chunk returns, made of tables,
 * strings, numbers and booleans. The chunk runs without globals. limits: memory (bytes, of the
 * state and again of the copied strings), instructions, values, depth. Errors are of kind config,
 * with file and line or the field's path. */
void data_open(lua_State *L);

/* decode.c: what a list of proxies may be packed in.
 *   gunzip() -> a decompressor with the methods push(text); pull() -> a piece of what it stands
 * for, or nil when it needs more; finish() -> nil, or why what was pushed is incomplete. push and
 * pull raise usage for damaged data utf16(text, big_endian) -> UTF-8, and the bytes at the end that
 * are no whole character base64(text) -> bytes, or nil; blanks are skipped, both alphabets are
 * known seen() -> a set that remembers digests of 16 bytes: add(text) -> whether it was new,
 * count() */
void decode_open(lua_State *L);

/* document.c: json() and yaml() -> a document with the methods feed(text), next() and close(), as
 * bind/document/document.h describes it. */
void document_module_open(lua_State *L);

/* doctor.c: {key, store, clock}, the checks of `proxylua doctor` that need no configured engine. */
void doctor_open(lua_State *L);

/* endpoint.c: a callable table. Called, it returns a new list of rows: name, method, path, class
 * (safe, once or charge), summary, record, list, paged, text, options, and params: a list of {name,
 * type, where, required, min, max, values, summary}. Its fields: check_path(text) -> path, query;
 * match(method, path) -> name; path(name, {id=…}) -> path; nearest(name) -> name. */
void endpoint_open(lua_State *L);

/* fs.c, `core.file`:
 *   create(path [, keeps_mode]) -> a file that is written piece by piece and is there whole or not
 *     at all; only its owner can read it, or those who can read the one that it replaces
 *   source(path) -> a file to read, "-" for standard input; nil, the reason, and whether it does
 *     not exist if it cannot be opened. Methods: read(most): what is available, at most that many
 *     bytes; nil at the end; nil and the reason on an error. Waits for input while other tasks run;
 *     raises `cancelled`. close() */
void file_open(lua_State *L);

/* fs.c, `core.folder`:
 *   list(path) -> list of {name, kind}, sorted by name; kind is "file", "folder", "link" or
 * "other"; nil and the reason on an error sync(path): flushes the folder's entries to disk; raises
 */
void folder_open(lua_State *L);

/* gateway.c: open(options) -> a gateway (gateway/gateway.h). Required options:
 *   strategy, quarantine, timeout, idle (seconds), connections (0: as many as descriptors allow);
 *   sticky, resolve_locally, log (a path, or "-") may be absent. Methods:
 *   user(name, password), rule(allow, text) -> nil or why it is not one
 *   listen(address, port, is for metrics) -> port
 *   update(list of records): replaces the proxies
 *   stats() -> totals, with the list `proxies`
 *   serve(seconds): waits until it is stopped; when its task is cancelled, what is under way may
 *     end for so many seconds, in which no other task runs
 *   stop(seconds): the same from another task, while tasks run */
void gateway_module_open(lua_State *L);

/* http.c: px.http with get, head, post, put, patch, delete. */
void web_open(lua_State *L);

/* journal.c: reading and settling the journal of charges. All of these wait for the store.
 *   list{states=, after=, limit=} -> entries in the order of their ids, and the id to continue
 * after, nil at the end. states: list of names; limit: how many entries are scanned (100). While
 * the account behind the key is unknown, all entries of this base URL count as its own get(key or
 * id) -> entry, or nil random_key() -> an unused key; does not wait settle(id, state [, {order_id=,
 * price=, answer=}]) -> whether that entry was open until now An entry is a table: id, account,
 * key, endpoint, params, quote, state, open, order_id, price, answer, snapshot, host, pid, run_id,
 * day, created_at, updated_at, and `running`: the process that wrote it is still at work on it. */
void journal_open(lua_State *L);

/* notes.c: notes as lists, of which lua/proxylua/api/notes.lua makes tables. All of these wait for
 * the store; `of_api`: the notes of the API at the base URL, else those of the store. get(of_api,
 * kind, names) -> list of texts, false where there is none put(of_api, kind, names, texts,
 * only_new) -> how many were written or removed; a text that is false removes list(of_api, kind,
 * after) -> lists of names, texts and times (seconds since 1970): the next ones, empty at the end
 */
void notes_open(lua_State *L);

/* pattern.c: compile(text) -> a Lua pattern that matches in linear time (base/pattern.h), with the
 *   method matches(bytes); or nil and why it is refused */
void pattern_open(lua_State *L);

/* pool.c: new(strategy, seconds of quarantine) -> a rotating pool (pool/pool.h) with the methods
 *   add(url) -> whether it is new; remove(url) -> whether it was there; count()
 *   pick(key or nil, 64 random bits, URLs that were tried…) -> URL, or nil without proxies
 *   report(url, "worked", "failed" or "other" [, latency]) -> whether it is in the pool
 *   rows() -> list of {url, requests, failures, latency, left}; left: seconds of its quarantine */
void pool_open(lua_State *L);

/* task.c: spawn, gather, sleep, clock, now; tasks have the methods join, cancel, status. */
void task_open(lua_State *L);

/* qr.c; both raise usage for a text that no code can hold:
 *   rows(text) -> list of texts, a row of modules each, margin included: "1" is dark, "0" light
 *   png(text, scale) -> the bytes of a picture, scale in pixels a module */
void qr_open(lua_State *L);

/* sandbox.c: the emulated API inside the process.
 *   start(options) -> {url=, key=, admin_url=, trace_url=}; one sandbox a runtime. `port` is the
 * API's (default: a free one); every other option is a setting of
 * lua/proxylua/sandbox/settings.lua: a text, number or boolean; faults and keys also take a list
 *   stop(): harmless if none runs
 *   place() -> what start returned; nil if none runs */
void sandbox_open(lua_State *L);

/* tally.c: a function that returns a new tally of the records of a list; see there. */
void tally_open(lua_State *L);
void arity_open(lua_State *L);

/* login.c: the API key of `proxylua auth`, which Lua never sees.
 *   read(prompt): reads the key from standard input, at a terminal without an echo; the run uses it
 *     in place of any other
 *   save(path): writes the key that the run uses into a file that only this user can read
 *   scrub(text) -> the text, without the API key
 *   is_in_environment() -> whether the environment has a key; before the first request */
void login_open(lua_State *L);

/* text.c, `core.text`:
 *   width(text) -> columns of a UTF-8 text: 2 for most of East Asia's characters and emoji, 0 for
 *     combining characters. Bytes that are not UTF-8, and control characters, count 1 each
 *   prefix(text, columns) -> the longest prefix that needs no more columns than that */
void text_open(lua_State *L);

/* text.c, `core.quote`, for work in which Lua's patterns would be most of the cost:
 *   percent(text) -> the text in which only letters, digits and - . _ ~ stand for themselves
 *   json(text) -> the JSON string of an ASCII text, quotes included; nil if it holds other bytes */
void quote_open(lua_State *L);

/* traceback.c: pushes "stack traceback:" and a line for each frame, without those of the program's
 * own modules and the C functions beside them; with --verbose all. */
void traceback_push(lua_State *L);

/* plugin/plugin.c: the processes of plugins, from the parent's side: start, can_jail, and the
 * functions of grants.c and exec.c. */
#define PLUGIN_ARGUMENT \
  "--plugin-process" /* first argument; then name, bytes of memory, seconds, calls */
void plugin_open(lua_State *L);

/* plugin/exec.c: adds exec to the table on top: programs run for plugins, without a shell or input,
 * with bounded output. */
void exec_add(lua_State *L);

/* plugin/grants.c: adds to the table on top read_confined, write_confined (files confined to a
 * folder) and url (its parts). */
void grants_add(lua_State *L);

#endif
