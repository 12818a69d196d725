/* The spawner as a program of its own: what stands behind its exec, in the image that the worker carries and in the verb
 * `weir spawner`. */
#ifndef PROGRAM_H
#define PROGRAM_H
/* Returns only when a person started this process instead of a node. */
void spawner_program(int argc, char **argv);
#endif
