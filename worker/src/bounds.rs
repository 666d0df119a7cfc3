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

/// How many runtime servers run at once, over all functions.
pub const SERVERS_MAX: usize = 256;
/// How many calls may wait for a seat in one function's servers.
pub const SEATS_WAITED_FOR_MAX: usize = 1_024;
/// How often a server that starts is asked whether it accepts.
pub const ACCEPTS_POLL: Duration = Duration::from_millis(1);
/// A function whose server failed to start is not tried again before this is over.
pub const START_PAUSE: Duration = Duration::from_secs(1);
/// How often the processor time of servers at work is looked at.
pub const PROCESSOR_POLL: Duration = Duration::from_millis(50);
/// How long the last words of a process that is dead are waited for.
pub const LAST_WORDS_WAIT: Duration = Duration::from_millis(200);
/// The last lines that a process printed, which go with the report of its end.
pub const LINES_KEPT_MAX: usize = 20;
/// One of those lines; the rest is cut.
pub const LINE_BYTES_MAX: usize = 2_048;
/// One line of a server's log pipe: 8,000 characters of text, each escaped, and its names. A longer one is dropped.
pub const LOG_LINE_BYTES_MAX: usize = 128 << 10;
/// What the log of one request may weigh; what comes after is counted and dropped.
pub const LOG_BYTES_MAX: usize = 5 << 20;
/// How much of a log pipe is read at once; after a full read comes a pause, so that a flood costs its own function time.
pub const LOG_READ_BYTES: usize = 64 << 10;
pub const LOG_READ_PAUSE: Duration = Duration::from_millis(1);

/// Where user ids of sandboxed processes begin, beyond those of systemd's containers.
pub const SANDBOX_USERS_FIRST: u32 = 0x7000_0000;
/// How many one Everfold may use at a time, and how many of it may run on a machine before two use the same.
pub const SANDBOX_USERS: u32 = 1 << 10;
pub const SANDBOX_HOSTS: u32 = 1 << 18;
/// The folder of a server's socket.
pub const SOCKET_FOLDER_BYTES: u64 = 1 << 20;
/// `/dev/shm` of a sandbox.
pub const SHARED_MEMORY_BYTES: u64 = 16 << 20;
/// The descriptors one sandboxed process may hold.
pub const SANDBOX_OPEN_FILES_MAX: u64 = 4_096;
/// The largest file one sandboxed process may write.
pub const SANDBOX_FILE_BYTES_MAX: u64 = 256 << 20;
/// Folders of the machine that one sandbox may be shown, beside its code and its runtime.
pub const SHOWN_FOLDERS_MAX: usize = 16;
/// Variables of one sandboxed process: bubblewrap takes so many arguments and no more.
pub const VARIABLES_MAX: usize = 2_000;
/// Tasks of a sandbox that are not its own: who starts it, who waits outside, and who reaps inside.
pub const SANDBOX_TASKS: u64 = 3;
/// What bubblewrap says of the process it made.
pub const SANDBOX_INFO_BYTES_MAX: u64 = 4_096;
/// How long the parts of a sandbox's way to the internet may each take until they are in place.
pub const NETWORK_WAIT: Duration = Duration::from_secs(5);
/// How often a network that is being made is asked for its loopback.
pub const LOOPBACK_POLL: Duration = Duration::from_millis(1);
/// Connections that one sandbox may have to the internet, less a few: its stack has a descriptor for each.
pub const STACK_OPEN_FILES_MAX: u64 = 1_024;
/// What is read of the reasons of a stack that did not start.
pub const STACK_WORDS_BYTES_MAX: u64 = 4_096;
/// Tasks of a sandbox that is connected, beside the others that are not its own.
pub const STACK_TASKS: u64 = 1;
/// How often the size of a build's tree is looked at.
pub const TREE_POLL: Duration = Duration::from_secs(1);
/// The same for servers that have nothing to do.
pub const IDLE_POLL: Duration = Duration::from_secs(1);
/// Threads that wait to start a sandbox: from the beginning, and at most.
pub const STATIONS_AT_HAND: usize = 2;
pub const STATIONS_IDLE_MAX: usize = 8;
/// When none is left, one more is made after this.
pub const STATION_PAUSE: Duration = Duration::from_secs(1);

/// How long an engine of containers may take to answer, unless it runs one.
pub const ENGINE_WAIT: Duration = Duration::from_secs(10);
/// How often it is asked whether a container runs that it was told to start.
pub const CONTAINER_POLL: Duration = Duration::from_millis(100);
/// How often it is told to kill one that does not end, and after how long its client is killed instead.
pub const CONTAINER_KILL_PAUSE: Duration = Duration::from_millis(50);
pub const CONTAINER_KILL_WAIT: Duration = Duration::from_secs(10);
/// How long the end of a container may take to be known.
pub const CONTAINER_END_WAIT: Duration = Duration::from_secs(5);
/// Processors that one container may keep busy.
pub const CONTAINER_PROCESSORS: u32 = 1;
/// What may lie beside its socket, which is a folder of the machine.
pub const SOCKET_FILES_MAX: u64 = 64;
/// One variable of a container: engines read so much of a line.
pub const CONTAINER_VARIABLE_BYTES_MAX: usize = (64 << 10) - 1;

/// What is allowed beyond the time of a request before its server is killed.
pub const REPLY_GRACE: Duration = Duration::from_millis(50);
/// How long the rest of a request's log is waited for once it was answered.
pub const LOG_WAIT: Duration = Duration::from_millis(200);
/// The head of a function's response.
pub const REPLY_HEAD_BYTES_MAX: usize = 256 << 10;
/// And how many headers it has.
pub const REPLY_HEADERS_MAX: usize = 512;
/// How long a connection to a server stays open when nothing is sent on it.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(1);
/// And how many of one server do.
pub const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long a connection whose answer has ended may take until it is ready for another request.
pub const CONNECTION_READY_WAIT: Duration = Duration::from_millis(5);
