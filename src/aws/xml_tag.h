/* SPDX-License-Identifier: Apache-2.0 */
/* xml_tag.h - picks texts out of the small XML replies of STS and SNS.
 *
 * Not a parser: it finds the first element of a name, at any depth, and gives its text.  That is
 * enough for replies whose element names are unique, and says nothing about well-formedness. */
#ifndef AWS_XML_TAG_H
#define AWS_XML_TAG_H

#include <stddef.h>

/* The text of the first element called name, entities decoded and blanks around it removed; the
 * caller's to free.  NULL when there is none, it does not end, or it holds elements. */
char *xml_tag_text(const char *xml, size_t xml_bytes, const char *name);

#endif
