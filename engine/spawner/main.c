/* The spawner alone, as the image that the worker carries: few libraries, little memory, quick to start. */
#include <stdio.h>

#include "program.h"

int main(int argc, char **argv) {
  spawner_program(argc, argv);
  fputs("weir-spawner is started by weir, for itself.\n", stderr);
  return 2;
}
