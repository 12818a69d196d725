/* libFuzzer's door to one target, named by FUZZ_TARGET when this is compiled. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) { return FUZZ_TARGET(data, n); }
