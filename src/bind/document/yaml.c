/* YAML through libyaml: its events. Plain scalars keep their text, since a password 0123 is no
 * number. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "bind/document/document.h"

/* libyaml cannot wait for input within an event, which needs far less than this. */
#define AHEAD DOCUMENT_MAX_TOKEN

struct yaml {
  yaml_parser_t parser;
  bool starved;
};

static int read_fed(void *arg, unsigned char *to, size_t room, size_t *got)
{
  struct document *document = arg;
  struct yaml *yaml = document->state;
  size_t size = document->size - document->at;
  if (size > room) size = room;
  if (size == 0 && !document->ended) yaml->starved = true;
  if (size > 0) memcpy(to, document->text + document->at, size);
  document->at += size;
  *got = size;
  return 1;
}

bool document_yaml_begin(struct document *document)
{
  struct yaml *yaml = calloc(1, sizeof *yaml);
  if (!yaml || !yaml_parser_initialize(&yaml->parser)) {
    free(yaml);
    return false;
  }
  document->state = yaml;
  yaml_parser_set_encoding(&yaml->parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input(&yaml->parser, read_fed, document);
  return true;
}

static void close_yaml(struct document *document)
{
  struct yaml *yaml = document->state;
  yaml_parser_delete(&yaml->parser);
  free(yaml);
  document->state = NULL;
}

static bool is_null(const yaml_event_t *event)
{
  const char *text = (const char *)event->data.scalar.value;
  return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
         (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
          strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0);
}

/* Whether the innermost container waits for a key. */
static bool wants_key(const struct document *document)
{
  return document->depth > 0 && !document->levels[document->depth - 1].list && !document->has_key;
}

static enum document_step add_scalar(struct document *document, lua_State *L, yaml_event_t *event)
{
  const char *text = (const char *)event->data.scalar.value;
  const char *anchor = (const char *)event->data.scalar.anchor;
  size_t size = event->data.scalar.length, line = event->start_mark.line + 1;
  document->line = line;
  document->column = event->start_mark.column;
  if (wants_key(document))
    return document_key(document, L, text, size) ? DOCUMENT_GOES_ON : DOCUMENT_ERROR;
  if (is_null(event)) return document_add_null(document, L);
  lua_pushlstring(L, text, size);
  if (anchor) document_name(document, L, anchor, 1);
  return document_add(document, L, line, size);
}

static enum document_step open_container(struct document *document, lua_State *L, bool list,
                                         const yaml_event_t *event, const yaml_char_t *anchor)
{
  size_t line = event->start_mark.line + 1;
  if (wants_key(document))
    return document_fail(document, line, event->start_mark.column + 1,
                         "a key must be a text, got a %s", list ? "list" : "mapping");
  if (anchor && strlen((const char *)anchor) >= sizeof document->levels[0].anchor)
    return document_fail(document, line, event->start_mark.column + 1,
                         "the name of an anchor is too long");
  return document_open(document, L, list, line, (const char *)anchor) ? DOCUMENT_GOES_ON
                                                                      : DOCUMENT_ERROR;
}

static enum document_step take_event(struct document *document, lua_State *L, yaml_event_t *event)
{
  switch (event->type) {
    case YAML_SCALAR_EVENT:
      return add_scalar(document, L, event);
    case YAML_SEQUENCE_START_EVENT:
      return open_container(document, L, true, event, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
      return open_container(document, L, false, event, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      return document_close(document, L);
    case YAML_ALIAS_EVENT:
      if (wants_key(document))
        return document_fail(document, event->start_mark.line + 1, 0, "a key must be a text");
      return document_alias(document, L, (const char *)event->data.alias.anchor,
                            event->start_mark.line + 1, event->start_mark.column + 1);
    case YAML_STREAM_END_EVENT:
      return DOCUMENT_END;
    default:
      return DOCUMENT_GOES_ON;
  }
}

static enum document_step refuse(struct document *document, const struct yaml *yaml)
{
  const yaml_parser_t *parser = &yaml->parser;
  if (yaml->starved)
    return document_fail(document, parser->mark.line + 1, parser->mark.column + 1,
                         "a value or a comment is longer than %zu KiB", AHEAD >> 10);
  size_t line = parser->problem_mark.line + 1, column = parser->problem_mark.column + 1;
  if (parser->error == YAML_READER_ERROR) {
    line = parser->mark.line + 1;
    column = parser->mark.column + 1;
  }
  const char *problem = parser->problem ? parser->problem : "not enough memory";
  if (!parser->context) return document_fail(document, line, column, "%s", problem);
  return document_fail(document, line, column, "%s (%s that begins on line %zu)", problem,
                       parser->context, parser->context_mark.line + 1);
}

static enum document_step step_yaml(struct document *document, lua_State *L)
{
  struct yaml *yaml = document->state;
  yaml_event_t event;
  if (!document->ended && document->size - document->at < AHEAD) return DOCUMENT_MORE;
  if (!yaml_parser_parse(&yaml->parser, &event) || yaml->starved) return refuse(document, yaml);
  enum document_step step = take_event(document, L, &event);
  yaml_event_delete(&event);
  return step;
}

const struct document_parser document_yaml = {.step = step_yaml, .close = close_yaml};
