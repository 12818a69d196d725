/* The spawner as a program of its own: what stands behind its exec, in the image that the worker carries and in the verb
 * `weir spawner`. */
#ifndef PROGRAM_H
#define PROGRAM_H
/* Returns only if no node has started this process: then a person did, and it is not made for that. */
void spawner_program(int argc, char **argv);
#endif
