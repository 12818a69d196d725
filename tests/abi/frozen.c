/* What compiled programs have taken from weir.h and no symbol of libweir.so shows: the numbers of its constants, and the layout
 * of a plug-in. It is compiled, never run. A number that changes breaks programs without a word; a new one is added here. */
#include "weir_plugin.h"

#define IS(name, number) _Static_assert((name) == (number), #name " has changed: programs that were compiled before break")
#define AT(member, bytes) IS(offsetof(weir_plugin_t, member), bytes)

IS(WEIR_OK, 0);
IS(WEIR_ERR_INVALID, -1);
IS(WEIR_ERR_NOT_FOUND, -2);
IS(WEIR_ERR_CONFLICT, -3);
IS(WEIR_ERR_UNKNOWN_TYPE, -4);
IS(WEIR_ERR_UNAVAILABLE, -5);
IS(WEIR_ERR_OUTCOME_UNKNOWN, -6);
IS(WEIR_ERR_TIMEOUT, -7);
IS(WEIR_ERR_NO_MEMORY, -8);
IS(WEIR_ERR_UNSUPPORTED, -9);
IS(WEIR_ERR_REFUSED, -10);
IS(WEIR_ERR_FENCED, -11);
IS(WEIR_ERR_BUSY, -12);

IS(WEIR_STATE_INIT, 0);
IS(WEIR_STATE_PENDING, 1);
IS(WEIR_STATE_RUNNING, 2);
IS(WEIR_STATE_CANCELING, 3);
IS(WEIR_STATE_PAUSE, 4);
IS(WEIR_STATE_FINISHED, 5);
IS(WEIR_STATE_FAILED, 6);

IS(WEIR_PHASE_NORMAL, 0);
IS(WEIR_PHASE_FINISHED, 1);
IS(WEIR_PHASE_FAILED, 2);
IS(WEIR_REMOVE, 0x100);

IS(WEIR_STOP_NONE, 0);
IS(WEIR_STOP_PAUSE, 1);
IS(WEIR_STOP_CANCEL, 2);
IS(WEIR_STOP_DELETE, 3);
IS(WEIR_STOP_SHUTDOWN, 4);
IS(WEIR_STOP_TIMEOUT, 5);
IS(WEIR_STOP_FENCED, 6);

IS(WEIR_PLUGIN_ABI, 1);
#if UINTPTR_MAX > 0xffffffff
AT(size, 0);
AT(abi, 8);
AT(name, 16);
AT(types, 24);
AT(n_types, 32);
AT(pick, 40);
AT(user, 48);
IS(sizeof(weir_plugin_t), 56);
#endif
