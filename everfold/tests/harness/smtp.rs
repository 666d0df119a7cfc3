//! A real mail server of the test's own, in which every mail ends as a line.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::PATIENCE;

/// What it lets in, where it asks for a password.
pub const PASSWORD: &str = "p@ss/word";

const SERVER: &str = r#"
import asyncio, email, json, logging, sys
from aiosmtpd.smtp import SMTP, AuthResult

logging.disable(logging.WARNING)

class Keeper:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content)
        text = mail.get_payload(decode=True).decode()
        kept = {"to": envelope.rcpt_tos, "from": mail["From"], "subject": mail["Subject"], "text": text}
        print(json.dumps(kept), flush=True)
        return "250 kept"

def enter(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"everfold", sys.argv[2].encode()))

async def main():
    def smtp():
        return SMTP(Keeper(), hostname="localhost", authenticator=enter, auth_require_tls=False,
                    auth_required=bool(sys.argv[2]))
    server = await asyncio.get_running_loop().create_server(smtp, "127.0.0.1", int(sys.argv[1]))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

pub struct MailServer {
    process: Child,
    pub port: u16,
    mails: mpsc::Receiver<Value>,
}

impl MailServer {
    pub fn start() -> MailServer {
        MailServer::start_on(0, "")
    }

    pub fn with_password() -> MailServer {
        MailServer::start_on(0, PASSWORD)
    }

    /// Port 0 takes a free one.
    pub fn start_on(port: u16, password: &str) -> MailServer {
        let mut process = Command::new("python3")
            .args(["-W", "ignore", "-c", SERVER, &port.to_string(), password])
            .env("PYTHONPATH", folder())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let said = lines.next().and_then(Result::ok).expect("the mail server listens");
        let (sender, mails) = mpsc::channel();
        thread::spawn(move || hear(lines, &sender));
        MailServer { process, port: said.parse().expect("it says its port"), mails }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    #[track_caller]
    pub fn mail(&self) -> Value {
        self.mails.recv_timeout(PATIENCE).expect("a mail comes")
    }

    /// Whether none comes for a while.
    pub fn is_quiet(&self) -> bool {
        self.mails.recv_timeout(Duration::from_millis(500)).is_err()
    }
}

fn hear(lines: std::io::Lines<BufReader<ChildStdout>>, mails: &mpsc::Sender<Value>) {
    for line in lines.map_while(Result::ok) {
        let mail = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if mails.send(mail).is_err() {
            return;
        }
    }
}

/// Where `cargo x test` puts it: xtask/src/install.rs.
fn folder() -> PathBuf {
    let home = env::var_os("HOME").expect("HOME is set");
    let folder = PathBuf::from(home).join(".cache/everfold-tools/aiosmtpd-1.4.6");
    assert!(folder.is_dir(), "no mail server at {}: `cargo x test` installs it", folder.display());
    folder
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
