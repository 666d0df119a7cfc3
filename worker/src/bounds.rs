//! Every bound that the running of user code keeps, beside those of the product in `rules::limits`.

use std::time::Duration;

/// One frame between parent and child. The largest is a fold's: a state, its secrets and a batch of requests.
pub const FRAME_BYTES_MAX: usize = 96 << 20;

/// What the requests of one batch, a fold's or of keys, may weigh on their way to a child; the rest waits for the next
/// call.
pub const FOLD_REQUEST_BYTES_MAX: usize = 16 << 20;
/// How many requests of one fold go to a child at once.
pub const FOLD_REQUESTS_MAX: usize = 1_024;
/// What the answers of one fold may weigh: a child that has gathered more answers for the prefix it did.
pub const FOLD_ANSWER_BYTES_MAX: usize = 32 << 20;
/// A child that has folded for this long answers for the prefix it did, so that others get their turn.
pub const FOLD_SLICE: Duration = Duration::from_millis(200);

/// How many requests a live guest is given at once, at first and at most.
pub const LIVE_STRIDE_MIN: usize = 8;
pub const LIVE_STRIDE_MAX: usize = 128;
/// A stride that takes longer than such a share of a call's clock is halved.
pub const LIVE_STRIDE_SHARE: u64 = 8;
/// After so many requests it is asked whether live guests pay for this program:
pub const LIVE_TRIAL: u32 = 1_024;
/// not when they left more than one in so many to a pristine guest.
pub const LIVE_LEFT_SHARE: u32 = 8;

/// How often the epoch moves while a call runs: a call outlives its clock by at most this much.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

/// The stack of the thread that runs programs. Wasm may use 16 MiB of it; the rest is for the TypeScript parser,
/// which recurses as deep as the source nests.
pub const STACK_BYTES: usize = 256 << 20;

/// How many programs a child keeps ready.
pub const PROGRAMS_MAX: usize = 24;

/// What a child may map as writable memory: its stack, two guests' memories and the largest frames, with room.
pub const DATA_BYTES_MAX: u64 = 1 << 30;
/// The largest file a child may write: the image of a program, a guest's whole memory (1,536 pages of 64 KiB).
pub const IMAGE_BYTES_MAX: usize = 1_536 << 16;
/// The descriptors a child may hold: the socket, the streams, the page map, the base image and two images for each program.
pub const OPEN_FILES_MAX: u64 = 8 + 2 * PROGRAMS_MAX as u64;
/// A child whose resident memory once passed this is replaced after its call.
pub const RESIDENT_BYTES_MAX: u64 = 320 << 20;

/// How many calls may wait for a child, over all programs.
pub const CALLS_WAITING_MAX: usize = 4_096;
/// A call that no child has taken by then was not run: it is `Unavailable`.
pub const CALL_WAIT: Duration = Duration::from_secs(20);

/// The same for a fold: nobody waits for it but its lane, which would only ask again and stand further behind.
pub const FOLD_WAIT: Duration = Duration::from_secs(300);
/// A call for which a client waits is refused when those before it will take longer than this.
pub const PROMPT_WAIT: Duration = Duration::from_millis(500);
/// So many of one program may wait however long each takes.
pub const PROMPT_CALLS_MIN: usize = 8;
/// A run that takes no longer is quick.
pub const QUICK_RUN: Duration = Duration::from_millis(10);
/// And what comes on top where the program must be loaded first.
pub const QUICK_LOAD: Duration = Duration::from_millis(50);
/// About how long a fold holds a seat for the quick; the rest of its batch waits for the next.
pub const QUICK_TURN: Duration = Duration::from_millis(20);
/// How long a program that was not quick keeps away from the seats of those who are; doubled each time in a row. Short
/// at first: on a busy machine it may have been somebody else's work.
pub const SLOW_FOR_MIN: Duration = Duration::from_secs(2);
pub const SLOW_FOR_MAX: Duration = Duration::from_secs(3_600);
/// Programs of which is known how long their calls take.
pub const PROGRAMS_REMEMBERED_MAX: usize = 16_384;

/// A request that loses so many children, each time alone, is taken for what brings them down.
pub const CHILDREN_LOST_MAX: u32 = 3;

/// How long a new child may take to say that it is ready.
pub const HELLO_WAIT: Duration = Duration::from_secs(10);
/// Reading, translating and loading a program that the child does not know yet.
pub const LOAD_WAIT: Duration = Duration::from_millis(2_500);
/// What is allowed beyond the clock of a call before its child counts as stuck.
pub const CALL_GRACE: Duration = Duration::from_millis(1_000);

/// A child that died without having answered anything is replaced after a pause, which doubles up to this.
pub const RESPAWN_PAUSE_MAX: Duration = Duration::from_secs(2);
/// The first of those pauses.
pub const RESPAWN_PAUSE_MIN: Duration = Duration::from_millis(10);
