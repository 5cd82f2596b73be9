/* ports/yaml.h: YAML 1.1 texts as trees of nodes with their places. TOUCHES nothing but its text;
 * the one user of libyaml. Anchors and aliases, tags and multiple documents are refused (a mistake
 * each); depth at most 32, 100 000 nodes. */
#ifndef PORTS_YAML_H
#define PORTS_YAML_H

#include "core/config.h"

/* The tree (node_free()), or NULL with a mistake "file:line:column: ..." added. A key that stands
 * twice in one mapping is a mistake, but the tree is there, with the first. An empty text is an
 * empty mapping. */
struct node *yaml_parse(struct view text, const char *file, struct mistakes *mistakes);

#endif
