/* SQLite reads the index of its WAL through a mapping. Who cuts that file under it ends the process by SIGBUS, which nothing can
 * prevent: then at least one line says which file it was. Its children end as after every death of a node. */
#ifndef CLI_CUT_FILE_H
#define CLI_CUT_FILE_H
/* After the spawner was started, before any thread. */
void cut_file_watch(void);
#endif
