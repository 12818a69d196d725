/* The spawner as a program of its own: what stands behind its exec, in the image that the worker carries and in the verb
 * `weir spawner`. */
#ifndef PROGRAM_H
#define PROGRAM_H
/* Returns only where this is not what it is for: nobody has started it but a person. */
void spawner_program(int argc, char **argv);
#endif
