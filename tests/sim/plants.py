#!/usr/bin/env python3
"""Bugs planted in copies of engine/core and engine/runner, to prove that the simulator finds them.

  plants.py --make OUT SRC_CORE SRC_RUNNER    writes the copies; PLANT(n) is true when plant n is selected at run time
  plants.py --list SRC_CORE SRC_RUNNER        their names
  plants.py --run SIM SRC_CORE SRC_RUNNER     every plant must be found within --seeds, and without one nothing must be

Each plant is one line or two of the product's source, changed. When the source has moved on, so that a text does not occur
there exactly once, the copy is made without that plant and --run fails, so that no plant is lost unnoticed."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HEAD = "extern int weir_plant;\nextern size_t weir_batch_rows, weir_page;\n#define PLANT(n) (weir_plant == (n))\n"
# Sizes that are large in the product and small in the copies, so that batches, pages and slices end everywhere.
SIZES = [("LIMIT_BATCH_ROWS", "weir_batch_rows"), ("PAGE", "weir_page"), ("WHOLE_NODES", "weir_page"), ("NEED_AHEAD 1000", "NEED_AHEAD 5"),
         ("JOB_SLICE", "weir_page")]

FOUND = {35: 3672, 56: 633, 57: 365}  # the seed that last found a rare plant: it saves a minute as long as it still does
PARTS = 8  # of the seeds without a plant: they take longest, and are shared among the jobs

PLANTS = [
    (1, "a report of another attempt is taken", "core/task.c",
     "if (is_report(ev->kind) && (ev->owner", "if (!PLANT(1) && is_report(ev->kind) && (ev->owner"),
    (2, "answered before the commit", "runner/batch.c",
     "rc = handle_event(r, &l->v[l->taken]);",
     "{ rc = handle_event(r, &l->v[l->taken]); struct req *q = l->v[l->taken].q; if (PLANT(2) && rc == STORE_OK && q && "
     "l->v[l->taken].then == THEN_OVER) { ledger_done(&r->mail.reqs, q); l->v[l->taken].q = NULL; q->done(q, q->done_ctx); } }"),
    (3, "pushed before the commit, and never again", "runner/batch.c",
     "rc = store_write(r->env.store, &r->writer.b);",
     "for (size_t i = 0; PLANT(3) && i < r->step.effects.n_after; i++) { const struct eff_after *f = &r->step.effects.after[i]; "
     "if (f->kind == AFTER_PUSH) (void)env_push(&r->env, SLOT_ASYNC, &(struct hint){run_ti(f->r, f->task), f->r->fi}, 1); }\n"
     "  rc = store_write(r->env.store, &r->writer.b);"),
    (3, None, "runner/after.c", "case AFTER_PUSH: push_hint(", "case AFTER_PUSH: if (!PLANT(3)) push_hint("),
    (4, "the version is not checked", "runner/rows.c",
     ".expect = c->locked == r->env.batch_no ? 0 : run->version", ".expect = c->locked == r->env.batch_no || PLANT(4) ? 0 : run->version"),
    (5, "caches survive a failed batch", "runner/batch.c",
     "  cache_undo(&r->cache);", "  if (!PLANT(5)) cache_undo(&r->cache);"),
    (6, "a loss counts as a failure", "runner/handle.c",
     "  return TASK_EV_LOST;", "  return PLANT(6) ? TASK_EV_FAIL : TASK_EV_LOST;"),
    (7, "a task that is claimed at once uses no slot", "runner/step.c",
     "else if (run_take(&s->ctx, i)) admission_take(", "else if (run_take(&s->ctx, i) && !PLANT(7)) admission_take("),
    (8, "a re-run keeps the tokens of its nodes", "core/rerun.c",
     ".state = NODE_WAITING, .known = 1,",
     ".state = NODE_WAITING, .ok = PLANT(8) ? r->node[i].ok : 0, .fail = PLANT(8) ? r->node[i].fail : 0, .known = 1,"),
    (9, "a fenced node goes on", "runner/runner.c", "if (rc == STORE_FENCED) runner_fenced(r);", "if (rc == STORE_FENCED && !PLANT(9)) runner_fenced(r);"),
    (9, None, "runner/batch.c", "case STORE_FENCED: runner_fenced(r); break;", "case STORE_FENCED: if (!PLANT(9)) runner_fenced(r); break;"),
    (10, "an unknown commit is simply done again", "runner/batch.c",
     "if (committed) { batch_ok(r); return; }", "if (committed && !PLANT(10)) { batch_ok(r); return; }"),
    (11, "the sweep skips the last node", "core/run.c",
     "uint32_t n = r->dag->n, what = m->node;", "uint32_t n = r->dag->n - (PLANT(11) && m->node == MORE_SWEEP && r->dag->n > 1), what = m->node;"),
    (12, "only RUNNING attempts of a dead node are lost", "runner/reconciler.c",
     "if (owned && !mine && !t->owner_live) {",
     "if (PLANT(12) && t->state != TASK_RUNNING) return;\n  if (owned && !mine && !t->owner_live) {"),
    (13, "a node that ends forgets its last child", "core/run.c",
     "uint32_t u = m->node, end = d->child_at[u + 1];",
     "uint32_t u = m->node, end = d->child_at[u + 1]; if (PLANT(13) && u < d->n && end - d->child_at[u] > 1) end--;"),
    (14, "the node's own sweep looks for the wrong epoch", "runner/reconciler.c",
     "if (admission_epoch(c->admission, t->ti) != t->epoch) {", "if ((admission_epoch(c->admission, t->ti) != t->epoch) != PLANT(14)) {"),
    (15, "children may outlive the lease", "runner/lease.c",
     "l->sent_us + e->lease_us / 4 * 3", "l->sent_us + e->lease_us / 4 * (PLANT(15) ? 8 : 3)"),
    (16, "a batch that wrote nothing renews the lease", "runner/batch.c",
     "if (wrote) lease_ok(&r->lease);",
     "if (PLANT(16) && !wrote && !r->env.single) r->lease.clock_at = r->env.boot_us + r->env.lease_us / RENEW_PART;\n"
     "  if (PLANT(16) || wrote) lease_ok(&r->lease);"),
    (17, "attempts of a re-run are counted from one again", "core/rerun.c",
     ".epoch = r->task[k].t.epoch}", ".epoch = PLANT(17) ? 0 : r->task[k].t.epoch}"),
    (18, "claims go on after a cancel", "core/run.c",
     "{ return r->wish > WISH_STOP || r->state == FLOW_PAUSED; }", "{ return (r->wish > WISH_STOP && !PLANT(18)) || r->state == FLOW_PAUSED; }"),
    (19, "a result that only seems late to a stale cache is dropped", "runner/batch.c",
     "r->env.single ? STORE_OK : confirm(r)", "r->env.single || PLANT(19) ? STORE_OK : confirm(r)"),
    (20, "the rest of a large flow is not stored", "runner/rows.c",
     "if (run->n_more == 0) return NULL;", "if (run->n_more == 0 || PLANT(20)) return NULL;"),
    (21, "an event of a flow that another node holds is dropped", "runner/loader.c",
     "if (got[i] == 2) l->held[l->n_held++] = fi[i];", "if (got[i] == 2 && !PLANT(21)) l->held[l->n_held++] = fi[i];"),
    (22, "attempts are started before the commit", "runner/batch.c",
     "  lease_sent(&r->lease);\n", "  lease_sent(&r->lease);\n  if (PLANT(22)) give_starts(r);\n"),
    (22, None, "runner/batch.c", "static enum store_rc batch_write(struct runner *r) {\n",
     "void give_starts(struct runner *r);\nstatic enum store_rc batch_write(struct runner *r) {\n"),
    (22, None, "runner/after.c", "static void give_starts(struct runner *r) {", "void give_starts(struct runner *r);\nvoid give_starts(struct runner *r) {"),
    (23, "the third loss is like the others", "core/task.c",
     "if (t->losses >= LIMIT_LOSSES) return move_end(t, TASK_DEAD);", "if (t->losses >= LIMIT_LOSSES && !PLANT(23)) return move_end(t, TASK_DEAD);"),
    (24, "onFailure answers a node that only follows a failed one", "core/run.c",
     "if (state != NODE_UPSTREAM_FAILED && r->wish", "if ((PLANT(24) || state != NODE_UPSTREAM_FAILED) && r->wish"),
    (25, "the slot is that of the task's newest version", "runner/step.c",
     "bool other = !ref->inl && t->version != b->version,", "bool other = !ref->inl && !PLANT(25) && t->version != b->version,"),
    (26, "claims ahead have no bound", "runner/admission.c",
     "ahead_count(&a->ahead, p->capacity) : 0);", "ahead_count(&a->ahead, p->capacity) * (PLANT(26) ? 9 : 1) : 0);"),
    (27, "a key is not looked up", "runner/request.c",
     "if (q->key && keys_answer(&r->keys, e, &made)) {", "if (q->key && !PLANT(27) && keys_answer(&r->keys, e, &made)) {"),
    (28, "a handed-back attempt counts as lost", "runner/handle.c",
     "case ATTEMPT_HANDBACK: return TASK_EV_HANDBACK;", "case ATTEMPT_HANDBACK: return PLANT(28) ? TASK_EV_LOST : TASK_EV_HANDBACK;"),
    (29, "a key answers for another body", "runner/keys.c",
     "bool same = memcmp(", "bool same = PLANT(29) || memcmp("),
    (30, "a refused request uses up its key", "runner/rows.c",
     "if (r->keys.v[i].state == KEY_NEW) *WR_PUSH", "if (r->keys.v[i].state == KEY_NEW || (PLANT(30) && r->keys.v[i].state == KEY_FREE)) *WR_PUSH"),
    (51, "an end after our own TERM is a success", "core/task.c",
     "return s->ev->asked || is_analysed(s) ? do_end_as(s) : do_ok(s);",
     "return (s->ev->asked && !PLANT(51)) || is_analysed(s) ? do_end_as(s) : move_end(s->t, TASK_SUCCESS);"),
    (31, "an attempt that is handed back changes nothing", "core/task.c",
     "static unsigned do_handback(const struct step *s) { return", "static unsigned do_handback(const struct step *s) { if (PLANT(31)) return 0; return"),
    (32, "a failed renewal refuses no request", "runner/runner.c",
     "    else runner_store_failed(r, rc);\n    return next_wake(r);",
     "    else if (PLANT(32)) r->pace.again_us = r->env.boot_us + 1000000;\n    else runner_store_failed(r, rc);\n    return next_wake(r);"),
    (33, "a store that only says RETRY is never away", "runner/watch.c",
     "if (rc == STORE_DOWN || boot_us - w->bad_us >= WATCH_PATIENCE_US)",
     "if (rc == STORE_DOWN || (!PLANT(33) && boot_us - w->bad_us >= WATCH_PATIENCE_US))"),
    (34, "a request in a batch of unknown outcome waits for ever", "runner/answers.c",
     "if (late) answer_in_doubt(a);",
     "if (late && !PLANT(34)) answer_in_doubt(a);"),
    (35, "in doubt a client is told that nothing was stored", "runner/answers.c",
     "return q->place == REQ_SENT ? WR_OUTCOME_UNKNOWN :", "return q->place == REQ_SENT && !PLANT(35) ? WR_OUTCOME_UNKNOWN :"),
    (36, "a request that was taken back is sent", "runner/ledger.c",
     "  if (q->back) return false;",
     "  if (q->back && !PLANT(36)) return false;"),
    (37, "while the store is away no waiting client is told", "runner/answers.c",
     "if (s != WATCH_WELL) answers_refuse(", "if (s != WATCH_WELL && !PLANT(37)) answers_refuse("),
    (37, None, "runner/batch.c", "if (s != WATCH_WELL) answers_refuse(", "if (s != WATCH_WELL && !PLANT(37)) answers_refuse("),
    (38, "a client of a sent request is told that it was not sent", "runner/ledger.c",
     "return was == REQ_SENT ? REQ_BACK_UNKNOWN",
     "return was == REQ_SENT && !PLANT(38) ? REQ_BACK_UNKNOWN"),
    (39, "the store is back, and is never shown as well", "runner/watch.c",
     "  w->state = WATCH_WELL;\n  w->bad_us",
     "  if (!PLANT(39)) w->state = WATCH_WELL;\n  w->bad_us"),
    (40, "a full disk is no fault", "runner/watch.c",
     "if (rc == STORE_NO_SPACE) return WATCH_FULL;", "if (rc == STORE_NO_SPACE) return PLANT(40) ? WATCH_WELL : WATCH_FULL;"),
    (41, "an empty pop starts no look", "runner/lost_hints.c", "  l->empty |= m->empty | m->lost;", "  l->empty |= PLANT(41) ? 0 : m->empty | m->lost;"),
    (41, None, "runner/lost_hints.c", "l->full &= (uint8_t)~bit, l->empty |= bit;", "l->full &= (uint8_t)~bit, l->empty |= PLANT(41) ? 0 : bit;"),
    (42, "other content with the same name is taken for the same", "runner/submit.c",
     "if (!alone_key_same(key, t))", "if (!PLANT(42) && !alone_key_same(key, t))"),
    (43, "a move to another queue is told, and not stored", "runner/alone.c",
     "  a->moved = true;\n  changed(a);", "  a->moved = true;\n  if (!PLANT(43)) changed(a);"),
    (44, "a deleted task keeps its rows", "runner/rows.c",
     "if (c->alone->gone) { *WR_PUSH(w->gone", "if (c->alone->gone && !PLANT(44)) { *WR_PUSH(w->gone"),
    (45, "a delayed task is forgotten with the memory of its node", "runner/reconciler.c",
     "if (t->due_us == 0) break;", "if (t->due_us == 0 || (PLANT(45) && t->state == TASK_BLOCKED)) break;"),
    (46, "an attempt that stopped because it was told to counts as a failure", "runner/handle.c",
     ".asked = a->asked, .remove", ".asked = a->asked && !(PLANT(46) && a->end == ATTEMPT_FAIL), .remove"),
    (52, "a paused flow ends although a node waits for the resume", "core/run.c",
     "!flow_final(r->state) && !(r->hold & HOLD_NODES)) finish", "!flow_final(r->state) && (PLANT(52) || !(r->hold & HOLD_NODES))) finish"),
    (53, "claims go on in a paused flow", "core/run.c",
     "r->wish > WISH_STOP || r->state == FLOW_PAUSED; }", "r->wish > WISH_STOP || (r->state == FLOW_PAUSED && !PLANT(53)); }"),
    (53, None, "core/run.c", "if (r->state == FLOW_PAUSED) out = run_hold_task(r, ev->task, out);\n  run_task_did(",
     "if (r->state == FLOW_PAUSED && !PLANT(53)) out = run_hold_task(r, ev->task, out);\n  run_task_did("),
    (54, "an attempt that a pause has stopped is queued again", "core/task.c",
     "if (s->t->resume == RESUME_RUN) return to_queue(s)", "if (s->t->resume == RESUME_RUN || PLANT(54)) return to_queue(s)"),
    (55, "a stop for a pause costs a loss", "core/task.c",
     "return move_pause(s->t) | TASK_OUT_ATTEMPT_ENDED;", "if (PLANT(55)) s->t->losses++;\n  return move_pause(s->t) | TASK_OUT_ATTEMPT_ENDED;"),
    (56, "the resume of a flow takes up what a user has paused", "core/task.c",
     "return s->t->resume == RESUME_FLOW ? to_queue(s) : 0;", "return s->t->resume == RESUME_FLOW || PLANT(56) ? to_queue(s) : 0;"),
    (57, "a deleted task whose attempt had to stop first keeps its rows", "core/delete.c",
     "if (!s->pol->cleans_up) return end_gone(s);", "if (!s->pol->cleans_up) return PLANT(57) ? failed(s) : end_gone(s);"),
    (58, "a new run keeps the failures of the last one", "core/ask.c", "  t->tries = 0;\n", "  if (!PLANT(58)) t->tries = 0;\n"),
    (59, "the run of a created task is told, and not stored", "core/ask.c",
     "if (!may) { a->no = ASK_BUSY; return 0; }", "if (!may) { a->no = ASK_BUSY; return 0; }\n  if (PLANT(59) && a->t->state == TASK_CREATED) return 0;"),
    (60, "a delayed task begins at once", "core/task.c",
     "if (!start->hold && start->at_us <= now_us)", "if (!start->hold && (start->at_us <= now_us || PLANT(60)))"),
    (61, "the resume of a flow leaves what the pause holds", "core/task.c",
     "if (t->end_as == TASK_QUEUED) return to_queue(s);\n", "if (PLANT(61)) return 0;\n  if (t->end_as == TASK_QUEUED) return to_queue(s);\n"),
    (62, "a claim does not look at the limits again", "runner/queues.c",
     "if (l && limit_ask(q, l, true) != HELD_NOT) return false;", "if (!PLANT(62) && l && limit_ask(q, l, true) != HELD_NOT) return false;"),
    (63, "what others run is not counted", "runner/queues.c",
     "uint64_t others = (uint64_t)l->held + l->foreign + ", "uint64_t others = (uint64_t)l->held + (PLANT(63) ? 0 : l->foreign) + "),
    (64, "an attempt that has ended still counts", "runner/queues.c",
     "  h->running--;\n  hold_over(q, ti, h);", "  if (PLANT(64)) return;\n  h->running--;\n  hold_over(q, ti, h);"),
    (65, "a start takes nothing from the bucket", "runner/queues.c",
     "l->rate_us = (l->rate_us > now ? l->rate_us : now) + l->each_us;", "l->rate_us = (l->rate_us > now ? l->rate_us : now) + (PLANT(65) ? 0 : l->each_us);"),
    (66, "limits are not locked where other nodes claim", "runner/wait.c",
     "if (q->n_row == 0 || r->env.single) return STORE_OK;", "if (PLANT(66) || q->n_row == 0 || r->env.single) return STORE_OK;"),
    (67, "a hint that comes to nothing is held for ever", "runner/wait.c",
     "if (e->kind == EV_HINT && e->from == HINT_PULLED) queues_release", "if (!PLANT(67) && e->kind == EV_HINT && e->from == HINT_PULLED) queues_release"),
    (68, "a paused queue goes on", "runner/queues.c", "if (l->paused) return HELD_PAUSED;", "if (l->paused && !PLANT(68)) return HELD_PAUSED;"),
    (69, "what runs already is not noted when the first row comes", "runner/rows.c",
     "if (r->queues.owes) owed_notes(w, &r->queues);", "if (r->queues.owes && !PLANT(69)) owed_notes(w, &r->queues);"),
    (70, "a claim is not noted", "runner/rows.c",
     "if (eff->after[i].kind == AFTER_START) note_task(", "if (eff->after[i].kind == AFTER_START && !PLANT(70)) note_task("),
    (71, "what has ended stays noted", "runner/rows.c",
     "if (t->epoch > 0 && (e->gone || !task_counts(t))) unnote(", "if (!PLANT(71) && t->epoch > 0 && (e->gone || !task_counts(t))) unnote("),
    (72, "tasks of which nobody knows whose they are count nowhere", "runner/queues.c", "      unknown++;\n", "      unknown += !PLANT(72);\n"),
    (73, "a moved task of a flow keeps its note", "runner/rows.c",
     "if (task != UINT32_MAX) note_task(r, c, task);", "if (task != UINT32_MAX && !PLANT(73)) note_task(r, c, task);"),
    (74, "a task that is made starts under a limit that is not locked", "runner/queues.c",
     "return !limit_is_shared(l) || l->locked == q->env->batch_no;", "return PLANT(74) || !limit_is_shared(l) || l->locked == q->env->batch_no;"),
    (75, "the attempt of a task that is deleted by force runs on", "runner/after.c",
     "} else if (why == STOP_FENCED) {\n", "} else if (PLANT(75) && why == STOP_FENCED) {\n    (void)ti;\n  } else if (why == STOP_FENCED) {\n"),
    (76, "the same on another node", "runner/handle.c", "case EV_STRAY: return do_stray(r, e);", "case EV_STRAY: return PLANT(76) ? STORE_OK : do_stray(r, e);"),
    (80, "a node that is to drain claims", "runner/admission.c",
     "p->free = a->env->draining || p->used", "p->free = (a->env->draining && !PLANT(80)) || p->used"),
    (81, "a node looks once whether it is to drain", "runner/drain.c",
     "d->at = d->env->single ? INT64_MAX", "d->at = d->env->single || PLANT(81) ? INT64_MAX"),
    (41, None, "runner/reconciler.c", "return c->pass.hints || (age > HINT_AGE_US && lists_empty(c)) ?", "return c->pass.hints || (!PLANT(41) && age > HINT_AGE_US && lists_empty(c)) ?"),
    (90, "a claim does not look at what is wanted of its job", "runner/jobs.c",
     "  return w == JOB_WISH_PAUSE || w == JOB_WISH_CHECKPOINT", "  return PLANT(90) ? false : w == JOB_WISH_PAUSE || w == JOB_WISH_CHECKPOINT"),
    (91, "who ends the last task of a job leaves its end to others", "runner/rows.c",
     "    job_decide(&h->row.j);\n", "    if (!PLANT(91) || h->fresh || job_live(&h->row.j) > 0) job_decide(&h->row.j);\n"),
    (92, "a closed job takes tasks", "runner/job.c", "return adds && h->row.j.closed ? ", "return adds && !PLANT(92) && h->row.j.closed ? "),
    (93, "a loss is counted, and the task's class stays", "runner/jobs.c",
     "  job_move(j, s);\n", "  if (!PLANT(93) || !s->lost) job_move(j, s);\n"),
    (95, "a task changes, and its job is not written because no counter does", "runner/jobs.c",
     "  h->changed = true;\n}", "  h->changed |= !PLANT(95) || s->gone || job_class(s->was) != job_class(s->now);\n}"),
    (96, "taskKeys are unique beyond their job", "runner/alone_keys.c",
     "  if (!e->q->job) return 0;\n", "  if (PLANT(96) || !e->q->job) return 0;\n"),
    (98, "a canceled job ends as its tasks did", "core/job.c",
     "  if (j->wish == JOB_WISH_CANCEL) return JOB_CANCELED;\n", "  if (!PLANT(98) && j->wish == JOB_WISH_CANCEL) return JOB_CANCELED;\n"),
    (100, "the row of a deleted job goes before its tasks", "runner/jobs.c",
     "  h->was_empty = job_empty(&row->j);\n", "  h->was_empty = PLANT(100) ? row->j.state == JOB_DELETING : job_empty(&row->j);\n"),
    (101, "nobody takes away the row of a deleted job", "core/job.c",
     "  if (job_empty(j)) j->pass = true;", "  if (!PLANT(101) && job_empty(j)) j->pass = true;"),
    (111, "a verdict is stored without its tasks", "runner/tree.c",
     "out == RUN_OK && a->fresh > 0 ? make_all(", "out == RUN_OK && a->fresh > 0 && !PLANT(111) ? make_all("),
    (112, "a parent ends before its last child", "runner/tree.c",
     "return s->row.live == 0;", "return s->row.live <= PLANT(112);"),
    (112, None, "runner/tree.c", "if (s->row.live > 0 || !s->there)", "if (s->row.live > PLANT(112) || !s->there)"),
    (113, "an analysis that is lost counts as a loss", "core/analyse.c",
     "[TASK_EV_LOST] = queue_again,", "[TASK_EV_LOST] = lost,"),
    (113, None, "core/analyse.c", "/* A call that a planned stop ended",
     "static unsigned lost(const struct step *s) { s->t->losses += PLANT(113) && s->t->losses < 2; return queue_again(s); }\n"
     "/* A call that a planned stop ended"),
    (114, "nobody ends a parent whose last child has ended", "runner/trees.c",
     "  if (gone || (lives(was) && !lives(now))) trees_settle(t, s);", "  if (gone || (!PLANT(114) && lives(was) && !lives(now))) trees_settle(t, s);"),
    (115, "the tasks of a node's verdict end, and nobody tells the node", "runner/tree.c",
     "if (rc == STORE_OK && got == 1 && row.fi != 0) trees_next(", "if (rc == STORE_OK && got == 1 && row.fi != 0 && !PLANT(115)) trees_next("),
    (115, None, "runner/reconciler.c", "if (t->phase == PHASE_RUN || !c->office ||", "if (t->phase == PHASE_RUN || PLANT(115) || !c->office ||"),
    (116, "an analysis that is given up is made all the same", "core/run.c",
     "    f->kind = AFTER_NONE;\n    return true;", "    if (!PLANT(116)) f->kind = AFTER_NONE;\n    return true;"),
    (119, "a full list forgets the row: what it refused counts as sent", "runner/after.c",
     "if (p[s].n > 0 && !env_push(&r->env, s, p[s].h, p[s].n))", "if (p[s].n > 0 && !env_push(&r->env, s, p[s].h, p[s].n) && !PLANT(119))"),
    (119, None, "runner/wait.c", "else if (!send(r, s, t)) reconciler_refused(", "else if (!send(r, s, t) && !PLANT(119)) reconciler_refused("),
    (119, None, "runner/lost_hints.c", "calm = whole && !l->push.young && !l->push.waits;",
     "calm = whole && !l->push.young && (PLANT(119) || !l->push.waits);"),
    (119, None, "runner/reconciler.c", "? age > HINT_AGE_US : hint_turn(c, age);", "? !PLANT(119) && age > HINT_AGE_US : hint_turn(c, age);"),
    (120, "what is below a task of a node does not look at its flow", "runner/jobs.c",
     "  if (m == 0) return STORE_OK;\n  m = wr_distinct(fi,", "  if (m == 0 || PLANT(120)) return STORE_OK;\n  m = wr_distinct(fi,"),
    (121, "the pause of a flow below its tasks has no end", "core/job.c",
     "bool changed = paused ? flow_pauses(", "bool changed = PLANT(121) && !paused ? false : paused ? flow_pauses("),
    (122, "a claim trusts what the pause of the flow has left in the head of the tree", "runner/step.c",
     "  if (h->flow_held || h->flow_paused) return true;\n", "  if (!PLANT(122) && (h->flow_held || h->flow_paused)) return true;\n"),
]


def sources(core, runner):
    """The files that are copied: "core/run.c" -> its path."""
    return {f"{layer}/{p.name}": p for layer, src in (("core", core), ("runner", runner))
            for p in sorted(pathlib.Path(src).glob("*.c")) if p.name != "runner_thread.c"}


def withered(text):
    """Plants whose place is gone: number -> why."""
    return {n: f"{old!r} stands {text[name].count(old)} times in {name}" for n, _, name, old, _ in PLANTS if text[name].count(old) != 1}


def make(out, core, runner):
    text = {name: p.read_text() for name, p in sources(core, runner).items()}
    rotten = withered(text)
    for n, _, name, old, new in PLANTS:
        if n not in rotten:
            text[name] = text[name].replace(old, new)
    for name in text:
        for old, new in SIZES:
            text[name] = re.sub(rf"\b{old}\b", new, text[name])
    os.makedirs(out, exist_ok=True)
    for name, body in text.items():
        path = pathlib.Path(out, name.replace("/", "_"))
        if not path.exists() or path.read_text() != HEAD + body:
            path.write_text(HEAD + body)


def try_one(sim, n, first, seeds):
    if n in FOUND:
        found = try_range(sim, n, FOUND[n], 1)
        if found[1]:
            return found
    return try_range(sim, n, first, seeds)


def try_range(sim, n, first, seeds):
    p = subprocess.run([sim, "--plant", str(n), "--from", str(first), "--seeds", str(seeds)], capture_output=True, text=True, check=False)
    last = p.stderr.strip().splitlines()[-1] if p.stderr.strip() else ""
    return n, p.returncode, last


def run(sim, core, runner, seeds, jobs):
    rotten = withered({name: p.read_text() for name, p in sources(core, runner).items()})
    name = {n: text for n, text, *_ in PLANTS if text}
    part = -(-seeds // PARTS)
    todo = [(0, 1 + i * part, part) for i in range(PARTS)] + [(n, 1, seeds) for n in sorted(name)]
    bad = 0
    print(f"1..{len(todo)}")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for at, (n, rc, last) in enumerate(pool.map(lambda job: try_one(sim, *job), todo), 1):
            ok = rc == 0 if n == 0 else rc != 0 and "sim: seed" in last and n not in rotten
            bad += not ok
            what = f"no plant, no finding, part {at} of {PARTS}" if n == 0 else name[n]
            print(f"{'ok' if ok else 'not ok'} {at} - {what}")
            print(f"# {rotten.get(n) or last or 'nothing found'}")
    return 1 if bad else 0


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--make", nargs=3, metavar=("OUT", "CORE", "RUNNER"))
    a.add_argument("--list", nargs=2, metavar=("CORE", "RUNNER"))
    a.add_argument("--run", nargs=3, metavar=("SIM", "CORE", "RUNNER"))
    a.add_argument("--seeds", type=int, default=6000)
    a.add_argument("--jobs", type=int, default=2)
    o = a.parse_args()
    if o.make:
        make(*o.make)
        return 0
    if o.list:
        print(*(name.replace("/", "_") for name in sources(*o.list)))
        return 0
    return run(*o.run, o.seeds, o.jobs)


if __name__ == "__main__":
    sys.exit(main())
