/* What may be registered at run time. Each kind has names, versions and a number of changes of its own. */
#ifndef MODEL_ADDED_KIND_H
#define MODEL_ADDED_KIND_H
enum added_kind { ADDED_EXECUTOR, ADDED_ANALYZER };
#endif
