/* Plug-ins (weir_plugin.h): shared objects. Of a server, whose task types run in its process, on threads of a pool, as those of a
 * process that links the library.
 *
 *   plugins_new -> plugins_load (inside node_open) -> plugins_begin -> .. -> node_drain, plugins_stop -> node_close, plugins_end
 *
 * Owner: the server. The main thread makes all these calls; plugins_watcher() is the runner's. The last three take NULL: no
 * plug-in was named. What never happens: code of a file that is no regular file, or that anybody may write; a plug-in that stays
 * in use though it was refused; a plug-in that is unloaded, because a routine that was given up may still be in it. */
#ifndef LIB_PLUGINS_H
#define LIB_PLUGINS_H
#include "node.h"

struct plugins;
/* stop_us: how long routines have to stop. o gets room for their policy. */
struct plugins *plugins_new(struct node_opts *o, int64_t stop_us);
/* Loads the files, whose code runs from here on, and adds their types: after the process has given up the rights that it does not
 * need, and after its spawner was made. The error names the file and the way out. */
enum wr_rc plugins_load(struct plugins *p, const char *const *file, size_t n, struct registry *r, struct wr_err *err) WR_MUST;
/* What the node's runner calls: routines that wait for tasks, and `also`, which is borrowed. */
struct watcher plugins_watcher(struct plugins *p, const struct watcher *also);
enum wr_rc plugins_begin(struct plugins *p, struct node *n, struct wr_err *err) WR_MUST;
void plugins_stop(struct plugins *p);         /* nobody uses the node any more */
void plugins_end(struct plugins *p);

/* ---- the files alone: for a handle of the library, whose types they become ---- */
struct weir_s;
struct plugin_files;
struct plugin_files *plugin_files_new(const char *option);   /* how messages name the option; borrowed */
/* r: the types that a handle may not have. Once. */
enum wr_rc plugin_files_load(struct plugin_files *p, struct weir_s *h, const char *const *file, size_t n,
                             const struct registry *r, struct wr_err *err) WR_MUST;
void plugin_files_free(struct plugin_files *p);   /* NULL is fine; what is loaded stays loaded */
#endif
