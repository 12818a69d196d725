/* SQLite reads the index of its WAL through a mapping. Whoever cuts that file meanwhile ends the process by SIGBUS. Nothing
 * can prevent that, but one line then says which file it was. The children of the process end as after every death of a node. */
#ifndef CLI_CUT_FILE_H
#define CLI_CUT_FILE_H
/* After the spawner was started, before any thread. */
void cut_file_watch(void);
#endif
