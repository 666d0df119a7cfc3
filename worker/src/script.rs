//! Runs the script of a job: a script is a query of its input, whose dice are thrown anew each time.

use std::sync::Arc;

use rules::{
    call::{Call, Error, Failure, Line, Outcome, Program, Ran, Response, Stop},
    job::End,
    limits::Limits,
};

use crate::Worker;

/// One input of a job, for whoever runs it here.
pub struct Script<'a> {
    pub program: &'a Arc<Program>,
    pub input: &'a str,
    pub timeout_ms: u64,
    /// Seeds its random numbers.
    pub seed: u128,
    /// Where its clock stands.
    pub at_ms: u64,
}

/// What came of it; `Err` says why it was not run, and it may be tried again.
pub async fn run(worker: &dyn Worker, script: Script<'_>) -> Result<(End, Vec<Line>), String> {
    let Script { program, input, timeout_ms, seed, at_ms } = script;
    let call = Call::Query { state: Some(input.into()), params: format!("{seed:032x}"), secrets: "{}".into(), at_ms };
    match worker.call(program, call, Limits::of_job(timeout_ms)).await {
        Outcome::Queried(Ran { result, console }) => Ok((result.map_or_else(stopped, ended), console)),
        Outcome::Unrunnable(error) => Ok((End::Failed(error), Vec::new())),
        Outcome::Unavailable(why) => Err(why),
        _ => Err("a worker answered something else".into()),
    }
}

/// The module around a script answers `{ value }`, without it where there is nothing to say.
fn ended(response: Response) -> End {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        value: Option<&'a serde_json::value::RawValue>,
    }
    match serde_json::from_slice::<Answer>(&response.body.0) {
        Ok(answer) => End::Done(answer.value.map_or("null", serde_json::value::RawValue::get).into()),
        Err(_) => End::Failed(Error::plain("TypeError", "What it returned is not JSON.")),
    }
}

fn stopped(Failure { error, stop }: Failure) -> End {
    match stop {
        Some(Stop::Clock | Stop::Budget) => End::TimedOut,
        None if error.message.starts_with(NEVER_SETTLES) => {
            let words = "It waits for something that never comes: a job reaches nobody, and has no timers on a server.";
            End::Failed(Error { message: words.into(), ..error })
        }
        _ => End::Failed(error),
    }
}

/// How a guest begins to say that a query waits for ever.
const NEVER_SETTLES: &str = "query returned a promise that never settles";
