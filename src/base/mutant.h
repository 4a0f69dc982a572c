/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules that the simulator can break on purpose, to show that it would notice. In the library the
 * macro is the constant 0 and the broken branch does not exist; only the simulator's second build
 * (ROVEI_MUTANTS) has it. */
#ifndef ROVEI_BASE_MUTANT_H
#define ROVEI_BASE_MUTANT_H

/* X(identifier, name on the command line) */
#define ROVEI_MUTANT_LIST(X)                                                                       \
    X(NO_DIVERT, "no-divert")                                                                      \
    X(ACK_ON_RECEIVE, "ack-on-receive")                                                            \
    X(NO_DEDUP, "no-dedup")                                                                        \
    X(POSITIONS_LATE, "positions-late")                                                            \
    X(SERVE_BEFORE_COMMIT, "serve-before-commit")                                                  \
    X(RESUME_AFTER_COMMIT, "resume-after-commit")                                                  \
    X(REDIRECT_IGNORES_EPOCH, "redirect-ignores-epoch")                                            \
    X(REPLAY_ACCEPTED, "replay-accepted")                                                          \
    X(TICKET_IGNORED, "ticket-ignored")                                                            \
    X(GIVES_AWAY_BEFORE_CLOSED, "gives-away-before-closed")                                        \
    X(ABORT_FROM_IGNORANCE, "abort-from-ignorance")                                                \
    X(EVENT_OPENS_A_LANE, "event-opens-a-lane")                                                    \
    X(GAP_IN_SILENCE, "gap-in-silence")                                                            \
    X(MOVING_IS_AN_OUTCOME, "moving-is-an-outcome")                                                \
    X(PATH_UNCHALLENGED, "path-unchallenged")                                                      \
    X(AMPLIFIES, "amplifies")                                                                      \
    X(CUTOVER_FROM_ANYONE, "cutover-from-anyone")                                                  \
    X(FAILURE_FROM_ANYONE, "failure-from-anyone")                                                  \
    X(FINAL_BATCH_RACES, "final-batch-races")                                                      \
    X(NO_RESEND_TO_STOCK, "no-resend-to-stock")                                                    \
    X(FEEDS_NO_RESUME, "feeds-no-resume")                                                          \
    X(FEED_POSITION_LEFT_BEHIND, "feed-position-left-behind")                                      \
    X(FEED_TOOK_UNSEEN, "feed-took-unseen")                                                        \
    X(TARGET_FEEDS_EARLY, "target-feeds-early")                                                    \
    X(SOURCE_KEEPS_MEMBERSHIP, "source-keeps-membership")                                          \
    X(REVOKED_LEG_GOES_ON, "revoked-leg-goes-on")                                                  \
    X(BEGIN_IS_A_GAP, "begin-is-a-gap")                                                            \
    X(ANSWER_BEFORE_PLACE, "answer-before-place")

#ifdef ROVEI_MUTANTS
enum rovei_mutant_id {
    ROVEI_MUTANT_NONE,
#define ROVEI_MUTANT_ENUM(id, name) ROVEI_MUTANT_##id,
    ROVEI_MUTANT_LIST(ROVEI_MUTANT_ENUM)
#undef ROVEI_MUTANT_ENUM
};
extern enum rovei_mutant_id rovei_mutant; /* defined and set by the simulator */
#define ROVEI_MUTANT(id) (rovei_mutant == ROVEI_MUTANT_##id)
#else
#define ROVEI_MUTANT(id) 0
#endif

#endif
