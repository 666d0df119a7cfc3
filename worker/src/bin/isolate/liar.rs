//! A child under a stranger's control: it says hello as it should, and then does not do what it is asked.

use std::{
    io::{self, Read},
    process::exit,
};

use rules::call::{Described, Outcome, Ran};
use worker::{
    frame::{self, ToChild, ToParent},
    jail::{self, Layer},
};

pub fn main(lie: &str) -> ! {
    let mut socket = Socket;
    let open = Layer { name: jail::SYSTEM_CALLS.into(), holds: false, detail: "for a test".into() };
    let layers = if lie == "unsealed" { vec![open] } else { Vec::new() };
    socket.say(&ToParent::Hello { layers });
    if lie == "speaks unasked" {
        socket.say(&ToParent::Unknown { id: 0 });
    }
    while let Ok(question) = frame::read_blocking(&mut socket) {
        let ToChild::Ask { id, .. } = question else { continue };
        let outcome = Outcome::Described(Described::default());
        match lie {
            "honest" | "speaks unasked" => socket.say(&ToParent::Answer { id, outcome, resident_bytes: 0 }),
            "fat" => socket.say(&ToParent::Answer { id, outcome, resident_bytes: u64::MAX }),
            "other id" => socket.say(&ToParent::Answer { id: id + 1, outcome, resident_bytes: 0 }),
            "other kind" => {
                let outcome = Outcome::Folded(vec![Ran { result: Ok("1".into()), console: Vec::new() }]);
                socket.say(&ToParent::Answer { id, outcome, resident_bytes: 0 })
            }
            "forgetful" => socket.say(&ToParent::Unknown { id }),
            "garbage" => socket.write(&[8, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
            "endless" => socket.write(&u32::MAX.to_le_bytes()),
            "half a frame" => {
                socket.write(&[100, 0, 0, 0, 1, 2, 3]);
                exit(0)
            }
            "silent" => {}
            "gone" => exit(1),
            other => panic!("unknown lie {other}"),
        }
    }
    exit(0)
}

struct Socket;

impl Socket {
    fn say(&mut self, message: &ToParent) {
        self.write(&frame::encode(message).expect("a frame"));
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            let written = rustix::io::write(rustix::stdio::stdin(), left).unwrap_or_else(|_| exit(0));
            left = &left[written..];
        }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), bytes)?)
    }
}
