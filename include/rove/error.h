/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors. Every fallible call returns rove_err: ROVE_OK (0) or a negative code of the one list
 * below. Each code has a name, a sentence and a class; the class says what the caller must do, and
 * a switch on it is enough for most callers. Numbers never change once released; new codes are
 * appended. */
#ifndef ROVE_ERROR_H
#define ROVE_ERROR_H

#include <rove/export.h>

ROVE_BEGIN_DECLS

/* What the caller of a failed call has to do. */
typedef enum rove_err_class {
    ROVE_CLASS_NONE = 0, /* success */
    ROVE_CLASS_PEER,     /* the other side sent something wrong: drop it, count it, go on */
    ROVE_CLASS_RETRY,    /* nothing is wrong but the moment: try again later */
    ROVE_CLASS_LOCAL,    /* this machine refused (memory, disk, network, permissions) */
    ROVE_CLASS_USAGE,    /* the call itself is wrong, or names something that is not there */
    ROVE_CLASS_FATAL     /* the object's state is suspect: free it and start again */
} rove_err_class;

/* X(name, number, class, sentence) */
#define ROVE_ERR_LIST(X)                                                                           \
    X(OK, 0, NONE, "success")                                                                      \
    /* bytes from outside */                                                                       \
    X(E_SHORT, 1, PEER, "the input ends before the value it promises")                             \
    X(E_BOUND, 2, PEER, "a field exceeds its limit")                                               \
    X(E_TRAILING, 3, PEER, "bytes follow where the message should end")                            \
    X(E_MAGIC, 4, PEER, "the input does not begin with the expected magic")                        \
    X(E_VERSION, 5, PEER, "the format or protocol version is not supported")                       \
    X(E_FLAG, 6, PEER, "a flag or type byte has a value that is not allowed")                      \
    X(E_FORMAT, 7, PEER, "the input is malformed")                                                 \
    X(E_CHANNEL_EMPTY, 8, PEER, "a channel name is empty")                                         \
    X(E_CHANNEL_LONG, 9, PEER, "a channel name is longer than 255 bytes")                          \
    X(E_CHANNEL_FORMAT, 10, PEER, "a channel name is not in canonical form")                       \
    X(E_CHANNEL_CHAR, 11, PEER, "a channel name has a character outside of a-z 0-9 - _ . /")       \
    /* keys and signatures */                                                                      \
    X(E_PUBLIC_KEY, 12, PEER, "the public key is not a point of the curve")                        \
    X(E_SIGNATURE, 13, PEER, "the signature is not valid")                                         \
    X(E_READ_ONLY, 14, USAGE, "the key has no private half here")                                  \
    X(E_NO_IMAGE, 15, PEER, "the entity has no X25519 image (a point of mixed or small order)")    \
    X(E_RESERVED_ID, 16, USAGE, "the node id of this key collides with the packet magic")          \
    X(E_AUTH, 17, PEER, "the message does not authenticate")                                       \
    X(E_REPLAY, 18, PEER, "the packet or handshake was seen before or is too old")                 \
    X(E_WEAK_SECRET, 19, PEER, "the key exchange gave an all-zero secret")                         \
    /* causal chain */                                                                             \
    X(E_ORIGIN_MISMATCH, 20, PEER, "the link belongs to another origin")                           \
    X(E_SEQUENCE_GAP, 21, PEER, "the link's sequence does not follow the one before it")           \
    X(E_PARENT_MISMATCH, 22, PEER, "the link's parent hash does not match the event before it")    \
    X(E_SEQUENCE_END, 23, LOCAL, "the causal sequence cannot grow any further")                    \
    /* state snapshot */                                                                           \
    X(E_SNAPSHOT_SEQUENCE, 24, PEER, "the snapshot's sequence and its link disagree")              \
    X(E_SNAPSHOT_ORIGIN, 25, PEER, "the snapshot's entity and its link disagree")                  \
    X(E_SNAPSHOT_SIZE, 26, USAGE, "the state or its bindings exceed the snapshot format")          \
    X(E_SNAPSHOT_ENVELOPE, 27, PEER, "the snapshot's envelope flag or envelope is malformed")      \
    /* identity envelope */                                                                        \
    X(E_ENVELOPE_SIGNER, 28, PEER, "the envelope's signer is not a valid or not the expected key") \
    X(E_ENVELOPE_ATTEST, 29, PEER, "the envelope's attestation is not valid")                      \
    X(E_ENVELOPE_OPEN, 30, PEER, "the envelope cannot be opened with this key")                    \
    X(E_ENVELOPE_ORIGIN, 31, PEER, "the envelope holds another identity than expected")            \
    /* mesh */                                                                                     \
    X(E_UNKNOWN_PEER, 32, USAGE, "no such peer")                                                   \
    X(E_UNREACHABLE, 33, RETRY, "nobody who could answer can be reached")                          \
    X(E_GONE, 34, USAGE, "the handle refers to something that has ended")                          \
    X(E_INCARNATION, 35, PEER, "the peer presents an older incarnation than was seen before")      \
    X(E_IDENTITY, 36, PEER, "the peer's entity does not match the key it proved")                  \
    X(E_STREAM_LIMIT, 37, RETRY, "the limit of open streams is reached")                           \
    X(E_STREAM_STATE, 38, PEER, "the frame does not fit the state of its stream")                  \
    X(E_FLOW, 39, PEER, "the peer sent more than it was allowed to")                               \
    X(E_FULL, 40, RETRY, "a bounded buffer is full")                                               \
    X(E_TOO_LARGE, 41, USAGE, "the event or message exceeds its size limit")                       \
    X(E_CLOSED, 42, USAGE, "the object is closed")                                                 \
    X(E_RATE, 43, RETRY, "the rate limit of this source is reached")                               \
    /* runtime */                                                                                  \
    X(E_NOT_READY, 44, RETRY, "the runtime has not been started")                                  \
    X(E_SHUTTING_DOWN, 45, USAGE, "the runtime has been shut down")                                \
    X(E_KIND_EXISTS, 46, USAGE, "a kind of this name is already registered")                       \
    X(E_KIND_UNKNOWN, 47, USAGE, "no kind of this name is registered")                             \
    X(E_SNAPSHOT_IDENTITY, 48, USAGE, "the snapshot belongs to another identity")                  \
    X(E_NOT_FOUND, 49, USAGE, "no such daemon here")                                               \
    X(E_STALE, 50, RETRY, "the daemon was replaced or removed meanwhile; nothing was done")        \
    X(E_EXISTS, 51, USAGE, "the daemon, or an expectation for it, is here already")                \
    X(E_ORIGIN_TAKEN, 52, USAGE, "another entity with the same origin hash is registered")         \
    X(E_PROCESS, 53, USAGE, "the daemon's process function reported an error")                     \
    X(E_SNAPSHOT_FAILED, 54, USAGE, "the daemon's snapshot function reported an error")            \
    X(E_RESTORE_FAILED, 55, USAGE, "the daemon cannot be restored from this state")                \
    X(E_STATELESS, 56, USAGE, "the daemon is stateless and has no snapshot")                       \
    X(E_BINDINGS, 57, PEER, "the subscription ledger does not decode")                             \
    X(E_REENTRANT, 58, USAGE, "the call comes from inside of what it would run or wait for")       \
    X(E_WOULD_BLOCK, 59, USAGE, "the call would block the only thread that can complete it")       \
    X(E_HORIZON_FULL, 60, USAGE, "the daemon's horizon holds its maximum of origins")              \
    X(E_RUNTIME_EXISTS, 61, USAGE, "the node has a runtime already")                               \
    /* moves */                                                                                    \
    X(E_MOVING, 62, RETRY, "the daemon is being moved")                                            \
    X(E_MOVED, 63, USAGE, "the daemon has moved to another node")                                  \
    X(E_DIVERTED, 64, NONE, "the event was diverted to the daemon's next host")                    \
    X(E_BUFFER_FULL, 65, RETRY, "the buffer of diverted events is full")                           \
    X(E_TARGET_UNAVAILABLE, 66, RETRY, "the target node cannot be reached")                        \
    X(E_TARGET_NOT_READY, 67, RETRY, "the target's runtime is not ready yet")                      \
    X(E_TARGET_NO_FACTORY, 68, USAGE, "the target does not expect the daemon, or lacks its kind")  \
    X(E_TARGET_NO_RUNTIME, 69, USAGE, "the target does not run a compute runtime")                 \
    X(E_NOT_READY_TIMEOUT, 70, RETRY, "the target stayed not ready for the whole retry budget")    \
    X(E_STATE_FAILED, 71, USAGE, "the daemon's state could not be taken, sent or restored")        \
    X(E_IDENTITY_MISSING, 72, USAGE, "neither side has the daemon's key for the target")           \
    X(E_IDENTITY_TRANSPORT, 73, USAGE, "the daemon's identity could not be transported")           \
    X(E_ALREADY_MIGRATING, 74, RETRY, "the daemon is being moved already")                         \
    X(E_WRONG_PHASE, 75, USAGE, "the move is in another phase")                                    \
    X(E_CANCELLED, 76, USAGE, "the move was cancelled")                                            \
    X(E_TIMED_OUT, 77, RETRY, "the time allowed has passed")                                       \
    X(E_TOO_LATE, 78, USAGE, "the move is committed and can only go forward")                      \
    X(E_STILL_MOVING, 79, RETRY, "the move is committed and has not ended yet")                    \
    X(E_PEER_LOST, 80, RETRY, "the other node of the move is gone")                                \
    X(E_MOVE_NOT_CLOSED, 81, RETRY, "the former host has not confirmed the last move yet")         \
    X(E_STALE_EPOCH, 82, PEER, "a higher epoch of this daemon is known")                           \
    X(E_SUPERSEDED, 83, USAGE, "another holder has the right to this daemon")                      \
    X(E_LIVES_ELSEWHERE, 84, USAGE,                                                                \
      "other nodes know this identity: it lives, or lived, elsewhere")                             \
    X(E_NOT_DURABLE, 85, USAGE, "the target cannot keep the daemon's level of acknowledgement")    \
    X(E_REFUSED, 86, USAGE, "policy refuses this")                                                 \
    X(E_WRONG_PEER, 87, PEER, "the message comes from a node with no part in this move")           \
    X(E_SAME_NODE, 88, USAGE, "source and target are the same node")                               \
    /* lanes */                                                                                    \
    X(E_LANE_LIMIT, 89, RETRY, "the daemon or this sender has its maximum of lanes")               \
    X(E_LANE_UNKNOWN, 90, RETRY, "the host does not know the lane")                                \
    X(E_WINDOW, 91, RETRY, "the lane's window is full")                                            \
    X(E_UNKNOWN_OUTCOME, 92, USAGE, "whether the event was applied is not known")                  \
    X(E_LOST, 93, USAGE, "the event was applied and its effect was lost in a crash")               \
    X(E_STOPPED, 94, USAGE, "the daemon was stopped")                                              \
    /* this machine */                                                                             \
    X(E_NOMEM, 95, LOCAL, "out of memory")                                                         \
    X(E_USAGE, 96, USAGE, "an argument is not valid")                                              \
    X(E_IO, 97, LOCAL, "an input or output operation failed")                                      \
    X(E_ADDRESS, 98, LOCAL, "the address cannot be used or is taken")                              \
    X(E_PERMISSION, 99, LOCAL, "the file can be read by others, or access is not permitted")       \
    X(E_LOCKED, 100, LOCAL, "another process is using this identity")                              \
    X(E_FILE, 101, LOCAL, "the file is missing or its content is not what it should be")           \
    X(E_ABI, 102, USAGE, "the shared object is not a kind, or was built for another ABI")          \
    X(E_STRUCT_VERSION, 103, USAGE, "the caller was compiled with an unknown version of a struct") \
    X(E_BUSY, 104, RETRY, "another thread is at it just now")                                      \
    X(E_INTERNAL, 105, FATAL, "an internal invariant does not hold")                               \
    /* state snapshot, further */                                                                  \
    X(E_SNAPSHOT_DIGEST, 106, PEER, "the snapshot is damaged: its digest does not fit its bytes")  \
    X(E_SNAPSHOT_KIND, 107, USAGE, "the snapshot is of a daemon of another kind")                  \
    /* class net */                                                                                \
    X(E_TARGET_KEY, 108, USAGE, "the target's key is not known, so nothing can be sealed to it")   \
    X(E_NO_LANES, 109, USAGE, "the daemon lives on a node of class net, where no lane goes")       \
    /* permission tokens */                                                                        \
    X(E_TOKEN_SIGNATURE, 110, PEER, "the token's signature is not valid")                          \
    X(E_TOKEN_EARLY, 111, PEER, "the token is not valid yet")                                      \
    X(E_TOKEN_EXPIRED, 112, PEER, "the token has expired")                                         \
    X(E_TOKEN_LONG, 113, PEER, "the token's life is longer than 365 days")                         \
    X(E_TOKEN_NO_LIFE, 114, USAGE, "a token has to live for at least one second")                  \
    X(E_TOKEN_EXHAUSTED, 115, PEER, "the token may not be handed on any further")                  \
    X(E_TOKEN_NO_DELEGATE, 116, PEER, "the token does not allow its subject to hand it on")        \
    X(E_TOKEN_NOT_AUTHORIZED, 117, PEER, "no token given authorises this")                         \
    X(E_TOKEN_REVOKED, 118, PEER, "the token is revoked")                                          \
    X(E_TOKEN_FORMAT, 119, PEER, "the token or chain of tokens is malformed")                      \
    /* drain */                                                                                    \
    X(E_CORDONED, 120, USAGE, "the node is cordoned: it takes no daemons in")                      \
    /* channels */                                                                                 \
    X(E_CHANNEL_UNAUTHORIZED, 121, RETRY, "the publisher does not authorise this subscription")    \
    X(E_CHANNEL_UNKNOWN, 122, USAGE, "the publisher has no such channel")                          \
    X(E_CHANNEL_THROTTLED, 123, RETRY,                                                             \
      "the publisher refuses this node for a while, after too many requests in vain")              \
    X(E_CHANNELS_FULL, 124, RETRY, "the publisher has its maximum of channels, or this node has")  \
    X(E_CHANNEL_EXISTS, 125, USAGE, "a channel of this name exists already")                       \
    X(E_CHANNEL_DENIED, 126, USAGE, "publish denied by channel ACL")                               \
    X(E_NOT_DELIVERED, 127, RETRY, "no subscriber could be given what was published")              \
    X(E_CHANNEL_ENDED, 128, RETRY, "the publisher has ended this subscription")                    \
    X(E_ACK_TIMEOUT, 129, RETRY, "membership ack timeout: the publisher has not answered")         \
    /* placement */                                                                                \
    X(E_NO_CANDIDATE, 130, RETRY, "no node matches what is required")                              \
    X(E_NO_TARGET, 131, RETRY, "no node that can be reached takes the daemon")                     \
    X(E_WHERE, 132, USAGE, "the condition on nodes is not well formed")                            \
    X(E_PREDICATE, 133, PEER, "the predicate does not decode")                                     \
    X(E_SPAWN_UNKNOWN, 134, USAGE, "whether the other node has spawned the daemon is not known")   \
    X(E_CHANNEL_SEAT, 135, USAGE,                                                                  \
      "this node is on the channel for others: in another queue group, or in none")                \
    /* data directory */                                                                           \
    X(E_STORE_FULL, 136, LOCAL, "the disk of the data directory is full")                          \
    X(E_STORE_MAP, 137, LOCAL, "the records of the data directory have reached store_map")         \
    X(E_STORE_READ_ONLY, 138, LOCAL, "the data directory cannot be written")                       \
    X(E_STORE_ACCESS, 139, LOCAL, "the data directory is open to others, or is another user's")    \
    X(E_STORE_LOCKED, 140, LOCAL, "another process uses the data directory")                       \
    X(E_STORE_FOREIGN, 141, USAGE, "the data directory is another node's, or is none")             \
    X(E_STORE_NEWER, 142, USAGE, "the data directory was written by a newer version")              \
    X(E_STORE_CORRUPT, 143, LOCAL, "something in the data directory is damaged")                   \
    X(E_STORE_IO, 144, LOCAL, "the disk of the data directory has failed")                         \
    X(E_STORE_ROLLED_BACK, 145, LOCAL, "the data directory is older than the node's last start")   \
    X(E_MOVE_LIMIT, 146, RETRY, "as many moves as moves_max allows are under way from this node")

typedef enum rove_err {
#define ROVE_ERR_ENUM(name, number, class, text) ROVE_##name = -(number),
    ROVE_ERR_LIST(ROVE_ERR_ENUM)
#undef ROVE_ERR_ENUM
} rove_err;

/* The name of a code without its prefix ("E_SHORT"), or "E_?" for a number that is no code.
 * Static string. Threads: any. Blocking: never. */
ROVE_API const char *rove_err_name(rove_err err);

/* The sentence of a code. Static string. Threads: any. Blocking: never. */
ROVE_API const char *rove_strerror(rove_err err);

/* The class of a code; ROVE_CLASS_FATAL for a number that is no code. Threads: any. */
ROVE_API rove_err_class rove_err_class_of(rove_err err);

ROVE_END_DECLS

#endif
