//! A "no" that the caller can mend: a code for programs, a sentence for people, a hint at what to do next.

use alloc::{borrow::Cow, format, string::String};

/// Becomes an RFC 9457 problem document at the rim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As HTTP numbers it.
    pub status: u16,
    pub code: &'static str,
    pub title: &'static str,
    pub detail: Cow<'static, str>,
    pub hint: Cow<'static, str>,
    /// Seconds after which it is worth asking again.
    pub retry_after_s: Option<u32>,
    /// Line and column, from 1, where source is at fault.
    pub place: Option<(u32, u32)>,
}

macro_rules! refusals {
    ($($name:ident = $status:literal $code:literal $title:literal, $detail:literal, hint $hint:literal $(, after $after:literal)?;)*) => {
        impl Refusal {
            $(
                #[doc = concat!("`", stringify!($status), " ", $code, "`: ", $detail)]
                pub const $name: Refusal = Refusal {
                    status: $status, code: $code, title: $title,
                    detail: Cow::Borrowed($detail), hint: Cow::Borrowed($hint),
                    retry_after_s: refusals!(@after $($after)?), place: None,
                };
            )*
            /// All of them, for the page that lists them.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$name),*];
        }
    };
    (@after) => { None };
    (@after $after:literal) => { Some($after) };
}

refusals! {
    KEY_UNKNOWN = 404 "key_unknown" "Unknown key", "No hook answers to this key.", hint "'everfold hooks' lists your hooks with their keys; a key belongs to one server.";
    PATH_UNKNOWN = 404 "path_unknown" "Not found", "Nothing is served at this path.", hint "The API is under /api; hooks are written at /write/KEY and read at /read/KEY.";
    METHOD_UNKNOWN = 405 "method_not_allowed" "Method not allowed", "This path is served, but not with this method.", hint "GET /docs lists the methods of each path.";
    HOOK_UNKNOWN = 404 "hook_unknown" "Unknown hook", "There is no hook with this id.", hint "'everfold hooks' lists your hooks.";
    HOOK_FOREIGN = 403 "hook_foreign" "Not your hook", "This hook belongs to somebody else.", hint "Sign in as its owner.";
    REQUEST_UNKNOWN = 404 "request_unknown" "Unknown request", "No request with this id was kept by this hook.", hint "Use the id of the 202 reply, with the same write key.";
    IDENTITY_MISSING = 401 "identity_missing" "Who are you?", "This call needs an identity, and none came with it.", hint "POST /api/auth/guest-user gives one; send it as 'Authorization: Bearer JWT'.";
    IDENTITY_INVALID = 401 "identity_invalid" "Identity not accepted", "The token is expired, malformed, or of another server.", hint "POST /api/auth/refresh-token renews it; POST /api/auth/guest-user begins anew.";
    TOKEN_INVALID = 400 "token_invalid" "Token not accepted", "This refresh token is expired, used, or belongs to another identity.", hint "Sign in again.";
    BODY_TOO_LARGE = 413 "body_too_large" "Body too large", "The body is larger than 1 MiB.", hint "Send less, or send a link to it; GET /api/limits lists every limit.";
    BODY_UNREADABLE = 400 "body_unreadable" "Body not readable", "The body ended early or was cut off.", hint "Send it again.";
    BODY_TOO_DEEP = 400 "json_too_deep" "JSON too deep", "The JSON body nests deeper than 128 levels.", hint "Flatten it; GET /api/limits lists every limit.";
    BODY_MALFORMED = 400 "body_malformed" "Body not understood", "The body is not the JSON this call takes.", hint "See /docs for its fields.";
    HEADERS_TOO_LARGE = 431 "headers_too_large" "Headers too large", "The headers are larger than 64 KiB together.", hint "Send fewer or shorter headers.";
    SOURCE_TOO_LARGE = 413 "source_too_large" "Source too large", "The source is larger than 1 MiB.", hint "A hook is one file; leave out what it does not use.";
    SOURCE_UNRUNNABLE = 400 "source_unrunnable" "The code cannot be run", "The code does not parse, or throws while it loads.", hint "Mend it and publish again; the live version goes on.";
    IDEMPOTENCY_KEY_REUSED = 409 "idempotency_key_reused" "Idempotency-Key reused", "This Idempotency-Key came before, with another body.", hint "Use a new key for a new request.";
    IDEMPOTENCY_KEY_TOO_LONG = 400 "idempotency_key_too_long" "Idempotency-Key too long", "An Idempotency-Key has at most 256 bytes.", hint "Use a UUID.";
    KEY_KIND_UNKNOWN = 400 "key_kind_unknown" "Unknown kind of key", "A key is of type \"read\" or \"write\".", hint "Send {\"type\":\"read\"} or {\"type\":\"write\"}.";
    KEYS_TOO_MANY = 400 "keys_too_many" "Too many keys", "A hook has at most 64 keys.", hint "Pause or revoke one that is no longer used.";
    SECRETS_TOO_MANY = 400 "secrets_too_many" "Too many secrets", "A hook has at most 64 secrets.", hint "Remove one that is no longer used.";
    SECRET_UNKNOWN = 404 "secret_unknown" "Unknown secret", "The hook has no secret of this name.", hint "'everfold secrets list HOOK' lists their names.";
    SECRET_MALFORMED = 400 "secret_malformed" "Secret not accepted", "A secret has a name of 1 to 128 bytes and a value of at most 16 KiB.", hint "Keep large things in the state, or send a link to them.";
    VERSION_UNKNOWN = 404 "version_unknown" "Unknown version", "The hook has no version of this number that can be restored.", hint "'everfold versions HOOK' lists them.";
    EXPORT_BROKEN = 400 "export_broken" "Not a whole export", "The stream is not an export of a hook, was cut off, or a record in it was changed.", hint "Export the hook again; nothing was kept of this.";
    TOKEN_OF_NO_LIST = 400 "token_of_no_list" "Token not understood", "The token is not of this list.", hint "Use the nextToken of the page before, or none.";
    SEQ_BEYOND = 400 "seq_beyond_end" "No such request yet", "The seq lies past the end of the log.", hint "Leave ?at away for the newest state.";
    PARAMETER_MALFORMED = 400 "parameter_malformed" "Parameter not understood", "?at and ?after take a whole number.", hint "Use the seq of a reply.";
    NUMBER_OUT_OF_BOUNDS = 400 "number_out_of_bounds" "Number out of bounds", "A number in the address is not whole, or not within its bounds.", hint "Leave it away for the usual; GET /api/limits lists every limit.";
    POINTER_MALFORMED = 400 "pointer_malformed" "Not a path into the state", "?path is not a JSON Pointer.", hint "Write it as /total or /byName/tea, with ~1 for a slash and ~0 for ~; the empty path is the state itself.";
    SETTLED_NOT_YET = 408 "not_settled_yet" "Not settled yet", "The request is kept, and not folded yet.", hint "Ask again; it is not lost.", after 1;
    AFTER_NOT_YET = 408 "not_folded_yet" "Not folded that far yet", "The state does not reflect that request yet.", hint "Ask again.", after 1;
    BUSY = 503 "busy" "Too busy", "The server has more to do than it can do promptly; nothing was kept.", hint "Send it again after the time in Retry-After, with the same Idempotency-Key.", after 1;
    UNCERTAIN = 503 "uncertain" "Not known whether it was kept", "The store, or the node that has it, failed while it was being kept.", hint "Send it again with the same Idempotency-Key.", after 1;
    FULL = 507 "disk_full" "No space left", "The server's disk is full; nothing was kept. Reading goes on.", hint "Send it again later; writing resumes by itself when there is space.", after 10;
    DRAINING = 503 "draining" "Going down", "The server is shutting down; nothing was kept.", hint "Send it again.", after 1;
    OWNER_MISSING = 503 "owner_missing" "Nobody has it", "No node has what this is about just now, or none that is reached from here; nothing was kept.", hint "Send it again; 'everfold cluster' shows the nodes.", after 1;
    UNAVAILABLE = 503 "worker_unavailable" "Code cannot be run now", "No worker could run the code.", hint "Ask again; 'everfold doctor' shows what this machine offers.", after 1;
    RUN_FAILED = 500 "code_failed" "The hook's code failed", "The code threw or ran out.", hint "The error is in the hook's history.";
    FAULT = 500 "fault" "Our fault", "Something went wrong on the server; it is in its log.", hint "Ask again; nothing acknowledged is lost.";
    NO_READ_KEY = 400 "read_key_missing" "No read key", "The address lacks ?readKey=.", hint "Connect to /state-events?readKey=KEY.";
    NO_HOOK_ID = 400 "hook_id_missing" "No hook", "The address lacks ?hookId=.", hint "Connect to /hook-events?hookId=ID.";
    ORIGIN_FOREIGN = 403 "origin_foreign" "Not from this site", "A page of another site cannot use the identity that this browser has here.", hint "Call from this server's own pages, or send 'Authorization: Bearer JWT'; --public-url tells the server its own address.";
    TOO_FAST = 429 "too_many_writes" "Too many writes", "A guest's hook takes so many writes a minute with one key; nothing was kept.", hint "Send it again after the time in Retry-After, or sign in: hooks of users have no such bound.", after 60;
    NOT_WEBSOCKET = 400 "upgrade_missing" "Not a WebSocket", "This path speaks WebSocket only.", hint "Connect with ws:// or wss://.";
    EMAIL_MALFORMED = 400 "email_malformed" "Not an e-mail address", "This is not an e-mail address that mail can be sent to.", hint "Write it as name@example.com; a domain in other letters in its ASCII form, xn--….";
    LINK_INVALID = 400 "link_invalid" "Link not accepted", "This sign-in link is unknown, was used, or is older than an hour.", hint "Ask for another: POST /api/auth/signin, or 'everfold login'.";
    SIGNED_IN_ALREADY = 403 "signed_in_already" "Signed in already", "A link is sent to guests only, and this call comes from a user.", hint "POST /api/auth/signout first.";
    SESSION_NEEDED = 403 "session_needed" "A key cannot do this", "An API key does what its owner does with hooks; keys, sign-ins and settings are for people.", hint "Sign in and send the JWT instead of the key.";
    KEY_FOR_WORKERS = 403 "key_for_workers" "A worker's key", "This key lets a worker take jobs, and nothing else.", hint "Make a key with {\"type\":\"api\"}.";
    ACCOUNT_KEY_UNKNOWN = 404 "account_key_unknown" "Unknown key", "You have no API or worker key with this id.", hint "GET /api/keys lists yours.";
    ACCOUNT_KEY_KIND_UNKNOWN = 400 "account_key_kind_unknown" "Unknown kind of key", "A key of an account is of type \"api\" or \"worker\".", hint "Send {\"type\":\"api\"} or {\"type\":\"worker\"}.";
    ACCOUNT_KEYS_TOO_MANY = 400 "account_keys_too_many" "Too many keys", "An account has at most 64 keys.", hint "Revoke one that is no longer used: DELETE /api/keys/ID.";
    ACCOUNT_KEY_NAME_TOO_LONG = 400 "account_key_name_too_long" "Name too long", "The name of a key has at most 200 bytes.", hint "Say where it is used, and no more.";
    CLOSED_TO_GUESTS = 403 "closed_to_guests" "Closed to guests", "The owner of this server lets in only who has an account.", hint "Sign in: 'everfold login URL', or POST /api/auth/signin {email}, which needs no identity here.";
    CLOSED_TO_NEW_USERS = 403 "closed_to_new_users" "Closed to new users", "The owner of this server makes no new accounts.", hint "Ask the owner to open it, or sign in with an address that has an account.";
    SETTINGS_FOREIGN = 403 "settings_foreign" "Not your server", "The settings of a server belong to the user who signed in first.", hint "Sign in as that user.";
    BEGUN_TOO_OFTEN = 429 "begun_too_often" "Too many from here", "This network address made as many guests and asked for as many links as it may in an hour.", hint "Keep the identity you have; the server's --guests-per-hour sets the number.";
    ACTION_UNKNOWN = 404 "action_unknown" "Unknown action", "There is no action with this slug.", hint "GET /api/actions lists yours: those of published hooks, and of the programs that are connected.";
    ACTION_OFFLINE = 409 "action_offline" "Its program is away", "The program that has this action is not connected.", hint "Start it, and try again; what was answered is kept.";
    SLUG_MALFORMED = 400 "slug_malformed" "Not a slug", "A slug is made of letters, digits, '-', '_' and '.', with a '/' between its parts, and has at most 200 bytes.", hint "GET /api/actions lists the slugs of yours.";
    QUEUE_PARAMS_TOO_LARGE = 413 "queue_params_too_large" "Parameters too large", "The parameters of a queued action have at most 64 KiB as JSON.", hint "Send a link to what is large.";
    QUEUE_FULL = 409 "queue_full" "The queue is full", "10,000 actions wait in this queue; it takes no more.", hint "Begin or dequeue some first; GET /api/queue lists them.";
    QUEUE_ITEM_UNKNOWN = 404 "queue_item_unknown" "Not in the queue", "No action with this id waits in the queue.", hint "It may have been begun or dequeued; GET /api/queue lists those that wait.";
    SCHEDULE_UNKNOWN = 404 "schedule_unknown" "Unknown schedule", "You have no schedule with this id.", hint "GET /api/schedules lists yours; a hook's go with it when it is deleted.";
    SCHEDULES_TOO_MANY = 409 "schedules_too_many" "Too many schedules", "An account has at most 100 schedules.", hint "Delete one that is no longer used: DELETE /api/schedules/ID.";
    SCHEDULE_NAME_TOO_LONG = 400 "schedule_name_too_long" "Name too long", "The name of a schedule has at most 200 bytes.", hint "Say what it is for, and no more.";
    SCHEDULE_PARAMS_TOO_LARGE = 413 "schedule_params_too_large" "Parameters too large", "The parameters of a scheduled action have at most 64 KiB as JSON.", hint "Give a link to what is large.";
    CRON_MALFORMED = 400 "cron_malformed" "Not a cron expression", "A cron expression has five fields: minute, hour, day of month, month, day of week.", hint "\"0 9 * * MON-FRI\" is nine o'clock on weekdays, \"*/15 * * * *\" every quarter of an hour.";
    CRON_NEVER = 400 "cron_never" "A time that never comes", "No day is ever like this cron expression.", hint "Look at its day and month: 31 February is none.";
    TIMEZONE_UNKNOWN = 400 "timezone_unknown" "Unknown time zone", "There is no time zone of this name.", hint "Use a name of the IANA's, such as Europe/Berlin or UTC.";
    ACTION_NOT_BACKGROUNDABLE = 409 "action_not_backgroundable" "Not made to run by itself", "This action of a connected program is cancelled when nobody looks on.", hint "Declare it with backgroundable: true, and connect the program again.";
    NOTICE_TOO_LONG = 413 "notice_too_long" "Notice too long", "A notice has a message of at most 10,000 bytes and a title of at most 500.", hint "Say what happened, and link to the rest.";
    NOTICE_ADDRESSES_TOO_MANY = 400 "notice_addresses_too_many" "Too many addresses", "A notice is for at most 10 addresses.", hint "Send it to an address that forwards it.";
    JOB_UNKNOWN = 404 "job_unknown" "Unknown job", "You have no job with this id.", hint "GET /api/jobs lists yours.";
    JOB_OVER = 409 "job_over" "The job is over", "This job has come to its end.", hint "GET /api/jobs/ID shows what came of it.";
    JOB_MALFORMED = 400 "job_malformed" "Not a job", "A job has code, and an input or a list of inputs.", hint "Send {\"code\": \"return input + 1\", \"input\": 1}.";
    JOB_INPUT_TOO_LARGE = 413 "job_input_too_large" "Input too large", "One input has at most 1 MiB as JSON.", hint "Split it over several inputs: {\"inputs\": [...]}.";
    JOBS_FULL = 409 "jobs_full" "Too many jobs wait", "100,000 inputs of your jobs wait or run; no more are taken until some are over.", hint "Open more tabs of /jobs, start 'everfold worker', or cancel some: DELETE /api/jobs/ID.";
    JOB_NOT_LEASED = 409 "job_not_leased" "Not yours any more", "This worker does not have this job under this fence: it was given to another, cancelled, or is over.", hint "Drop it; nothing more is wanted of it.";
    WORKERS_FULL = 409 "workers_full" "Too many workers", "An account has at most 1,000 workers at a time.", hint "Give those there are more threads.";
    FRAME_MALFORMED = 400 "frame_malformed" "Not a frame", "A worker says JSON objects with a type.", hint "GET /docs/jobs names them.";
    RUN_UNKNOWN = 404 "run_unknown" "Unknown run", "There is no run with this id.", hint "GET /api/runs lists yours.";
    RUN_FOREIGN = 403 "run_foreign" "Not your run", "This run belongs to somebody else.", hint "Sign in as its owner.";
    RUN_OVER = 409 "run_over" "The run is over", "This run has come to its end.", hint "POST /api/runs/ID/restart begins a new one with the same parameters.";
    RUN_PARKED = 409 "run_parked" "The run is parked", "This run does not go on by itself.", hint "Resume, restart or cancel it first.";
    RUN_NOT_PARKED = 409 "run_not_parked" "Nothing to resume", "This run does not wait for a host to run its code anew.", hint "GET /api/runs/ID shows where it stands.";
    QUESTION_UNKNOWN = 404 "question_unknown" "Unknown question", "The run asks no question with this key.", hint "GET /api/runs/ID shows the open one.";
    QUESTION_ANSWERED = 409 "question_answered" "Answered already", "Somebody was faster: this question has its answer.", hint "GET /api/runs/ID shows it, and the next question.";
    PAGE_CLOSED = 404 "page_closed" "Nobody looks at it", "No page with this key is open.", hint "Open it again: /page-events?slug=SLUG tells its key.";
    ANSWER_REFUSED = 422 "answer_refused" "The answer will not do", "A value is missing or out of bounds.", hint "'fields' names each with its place and what is wrong with it.";
    FILE_UNKNOWN = 404 "file_unknown" "Unknown file", "There is no file at this address.", hint "POST /api/uploads gives one an address; its bytes must have come before it is fetched.";
    FILE_KEPT = 409 "file_uploaded_already" "Uploaded already", "The bytes of this file have come, and stay as they are.", hint "POST /api/uploads gives another file its own address.";
    FILE_SIZE_WRONG = 400 "file_size_wrong" "Not the announced size", "The file was announced with another number of bytes.", hint "Send all of it and no more; a broken upload may be sent again to the same address.";
    FILE_TOO_LARGE = 413 "file_too_large" "File too large", "A file has at most 64 MiB.", hint "Put it elsewhere, and give a link to it.";
    FILE_MALFORMED = 400 "file_malformed" "File not accepted", "A file has a name of 1 to 1024 bytes, and a type of at most 255 in ASCII, or an empty one.", hint "Send the name, type and size that the browser's File has.";
    FUNCTION_MALFORMED = 400 "function_malformed" "Not a function", "A function has a name and a runtime.", hint "Send {\"name\": \"hello\", \"runtime\": \"node\"}; GET /api/runtimes lists the runtimes.";
    FUNCTION_LIMIT = 400 "function_limit" "Not a limit", "A limit of a function is out of its bounds.", hint "GET /api/limits lists all of them.";
    VARIABLE_MALFORMED = 400 "variable_malformed" "Not a variable", "The key of a variable is made of letters, digits and _, and does not begin with a digit.", hint "Keys that begin with OPEN_RUNTIMES_ or EVERFOLD_ are the server's own.";
    VARIABLE_UNKNOWN = 404 "variable_unknown" "Unknown variable", "This function has no variable of this name.", hint "GET /api/functions/ID/variables lists them.";
    DEPLOYMENT_UNKNOWN = 404 "deployment_unknown" "Unknown deployment", "This function has no deployment with this id.", hint "GET /api/functions/ID/deployments lists them.";
    DEPLOYMENT_NOT_READY = 409 "deployment_not_ready" "Not ready", "Only a deployment that was built can answer.", hint "Wait for its build, or read in its log why there is none.";
    DEPLOYMENT_OVER = 409 "deployment_over" "Nothing to cancel", "This deployment is not being built any more.", hint "GET /api/functions/ID/deployments shows what became of it.";
    DEPLOYMENT_IN_USE = 409 "deployment_in_use" "In use", "A deployment that answers, or is being built, is not deleted.", hint "Activate another one, or cancel its build first.";
    DEPLOYMENTS_TOO_MANY = 409 "deployments_too_many" "Too many deployments", "A function keeps at most 100 deployments.", hint "Delete some that are no longer needed: DELETE /api/functions/ID/deployments/ID.";
    FUNCTIONS_TOO_MANY = 409 "functions_too_many" "Too many functions", "An account has at most 1,000 functions.", hint "Delete some that are no longer used: DELETE /api/functions/ID.";
    FUNCTION_UNKNOWN = 404 "function_unknown" "Unknown function", "You have no function with this id.", hint "GET /api/functions lists yours.";
    FUNCTION_CRASHED_AT_START = 500 "function_crashed_at_start" "Crashed at start", "The function's server ended before it accepted a request.", hint "What it printed stands with the execution; an earlier deployment can be activated again.";
    FUNCTION_TIMED_OUT = 504 "function_timed_out" "Timed out", "The function did not answer in time, and was stopped.", hint "Its owner may raise timeoutMs, or find in its log where it waits.";
    FUNCTION_OUT_OF_MEMORY = 500 "function_out_of_memory" "Out of memory", "The function used up its memory, and was stopped.", hint "Its owner may raise memoryMb.";
    FUNCTION_CPU_EXCEEDED = 500 "function_cpu_exceeded" "Out of processor time", "The function used up its processor time, and was stopped.", hint "Its owner may raise cpuSeconds.";
    FUNCTION_EXITED = 500 "function_exited" "Exited", "The function's server ended before it answered.", hint "Its log says what came before.";
    FUNCTION_QUEUE_FULL = 503 "function_queue_full" "Busy", "Every instance of the function is busy, and others wait.", hint "Ask again; its owner may raise maxInstances or concurrency.", after 1;
    FUNCTION_NOT_READY = 503 "function_not_ready" "Not ready", "The function has no code that could answer.", hint "Its owner deploys some: everfold deploy FOLDER --publish.", after 1;
    FUNCTION_REPLY_BROKEN = 500 "function_reply_broken" "Not a response", "The function's server did not answer as HTTP has it.", hint "Its log says what it printed.";
    FUNCTION_RESPONSE_TOO_LARGE = 500 "function_response_too_large" "Response too large", "The function's response is larger than it may be.", hint "Its owner may raise responseBytes.";
    FORM_MALFORMED = 400 "form_malformed" "Not a form with code", "Code is sent as multipart/form-data: the file in the field code, and activate as true or false.", hint "curl -F code=@code.tar.gz, or everfold deploy FOLDER.";
    EXECUTION_UNKNOWN = 404 "execution_unknown" "Unknown execution", "This function has no execution with this id.", hint "GET /api/functions/ID/executions lists them.";
    EXECUTIONS_TOO_MANY = 409 "executions_too_many" "Too many wait", "10,000 executions of this function wait; it takes no more.", hint "Wait until some are over: GET /api/functions/ID/executions.";
    EXECUTION_MALFORMED = 400 "execution_malformed" "Not a request", "An execution has a method, a path that begins with /, headers and a body.", hint "Send {\"method\": \"GET\", \"path\": \"/\"}.";
    RUNTIME_UNKNOWN = 400 "runtime_unknown" "Unknown runtime", "There is no such runtime.", hint "GET /api/runtimes lists them.";
    RUNTIME_MISSING = 409 "runtime_missing" "Not on this machine", "This machine lacks what the runtime needs.", hint "GET /api/runtimes says what to install.";
    SLUG_TAKEN = 409 "slug_taken" "Taken", "Another function is called so already.", hint "Choose another slug: it is part of the address.";
    ARCHIVE_REFUSED = 400 "archive_refused" "Archive not accepted", "The archive cannot be unpacked as it is.", hint "Send a tar.gz or a zip of the folder itself, without its history and what is built from it: tar -czf code.tar.gz -C folder .";
    MAIL_UNSENT = 503 "mail_unconfigured" "No mail is sent here", "This server has nothing to send sign-in links with.", hint "Its operator sets EVERFOLD_SMTP=smtp://user:password@host:port.";
}

impl Refusal {
    pub fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Refusal {
        self.detail = detail.into();
        self
    }

    /// The code of an author that cannot be run, with its place.
    pub fn of_source(error: &crate::call::Error) -> Refusal {
        let place = match error.place {
            Some((line, column)) => format!(" (line {line}, column {column})"),
            None => String::new(),
        };
        let mut refusal = Refusal::SOURCE_UNRUNNABLE.because(format!("{}: {}{place}", error.name, error.message));
        refusal.place = error.place;
        refusal
    }
}
