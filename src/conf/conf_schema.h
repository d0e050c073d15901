/* SPDX-License-Identifier: Apache-2.0 */
/* conf_schema.h - the one table that says what may be configured.
 *
 * A row is a key: its kind, the field of struct conf it fills, its bounds, its default and the
 * sentence that gantry.yaml(5) prints about it.  The loader, the canonical form, the masking of
 * secrets and the manual walk the same rows, so none of them can know a key that another lacks.
 * What ties two keys together is not here but in check/conf_rules.h. */
#ifndef CONF_CONF_SCHEMA_H
#define CONF_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LIMIT_CONF_TEXT_BYTES = 16 << 10,       /* one value */
	LIMIT_CONF_KEY_BYTES = 1024,            /* "deployers.mystical.environment.PATH" */
	LIMIT_CONF_ELEMENTS = 256,              /* queues, deployers, texts of a list */
	LIMIT_CONF_LISTENERS = 16,
};

/* What a field holds, in C and in words. */
enum conf_kind {
	CONF_UINT,              /* unsigned */
	CONF_DURATION,          /* int64_t, ms */
	CONF_SIZE,              /* int64_t, bytes */
	CONF_BOOL,              /* bool */
	CONF_ENUM,              /* an enum; its values are the places in words */
	CONF_WORD,              /* char *, one of words */
	CONF_TEXT,              /* char *, one line */
	CONF_URL,               /* char *, its scheme one of words */
	CONF_PATH,              /* char *, an absolute path, or one of words */
	CONF_TEMPLATE,          /* char *, template.h */
	CONF_TEXTS,             /* struct texts, each one of words where there are any */
	CONF_TEMPLATES,         /* struct texts */
	CONF_TEMPLATE_PAIRS,    /* struct pairs, name -> template */
	CONF_SECTION,           /* a struct, filled by rows */
	CONF_MAP,               /* an array of structs by name, each filled by rows; its first field is the name */
	CONF_LIST,              /* an array of structs, each filled by rows */
	CONF_OPTION,            /* a struct *, filled by rows; NULL when the file does not have it */
	CONF_ABSENT,            /* a part that this build does not have; no field */
};

enum conf_applies {
	CONF_ON_RELOAD,
	CONF_ON_RESTART,        /* a reload that changes it is refused */
};

struct conf_row {
	const char *key;                /* NULL ends a table */
	enum conf_kind kind;
	size_t offset;                  /* of the field within its section's struct */
	int64_t min, max;               /* of numbers and durations; bytes of a text; elements of a list or map */
	const char *zero;               /* what 0 means, where it is allowed outside of min to max */
	const char *def;                /* as it would be written, $STATE and $RUN included, texts of a list between
	                                 * ", "; NULL: not given */
	const char *const *words;       /* NULL-terminated; of a template: its names, where they are not a job's */
	const char *const *absent;      /* words that belong to parts not in this build; NULL-terminated or NULL */
	const struct conf_row *rows;    /* of a section, an option, a map or a list */
	size_t size;                    /* of an option, or of a map's or a list's element */
	size_t count_offset;            /* of its size_t count */
	enum conf_applies applies;
	bool secret;                    /* never shown; of a URL: its password */
	bool kept;                      /* stored with each job, so no secret of a file may come here */
	bool required;
	bool relative;                  /* a path that may be relative to the configuration */
	bool early;                     /* read before all others, which may need what it brings */
	bool internal;                  /* not a key of the file: it only crosses from program to program */
	const char *of;                 /* belongs to this `type` alone; NULL: to all */
	const char *text;               /* for gantry.yaml(5), in mdoc without macros */
};

/* The rows of struct conf. */
extern const struct conf_row conf_schema[];

const struct conf_row *conf_row_find(const struct conf_row *rows, const char *key);
/* The row at a dotted path with names and numbers left out ("queues.url"), or NULL. */
const struct conf_row *conf_row_at(const char *path);

/* Whether a kind holds one value, written as one text. */
bool conf_kind_is_scalar(enum conf_kind kind);
/* Whether name may be the name of a queue or deployer: letters, digits, "_" and "-". */
bool conf_name_is_sound(const char *name);

#endif
