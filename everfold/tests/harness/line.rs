//! A line between a program and the server that a test can hold, cut and lay elsewhere.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

pub struct Line {
    pub address: String,
    state: Arc<State>,
}

struct State {
    /// Where it leads; nowhere while it is down.
    target: Mutex<Option<String>>,
    is_held: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    pub fn to(target: &str) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has an address").to_string();
        let target = Mutex::new(Some(target.to_owned()));
        let state = Arc::new(State { target, is_held: AtomicBool::new(false), open: Mutex::default() });
        let accepting = state.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let target = accepting.target.lock().expect("no panic").clone();
                let Some(far) = target.and_then(|target| TcpStream::connect(target).ok()) else { continue };
                let copy = |stream: &TcpStream| stream.try_clone().expect("a stream can be shared");
                accepting.open.lock().expect("no panic").extend([copy(&near), copy(&far)]);
                let (to_far, from_near) = (copy(&far), copy(&near));
                thread::spawn(move || carry(from_near, to_far, &|| {}));
                let state = accepting.clone();
                thread::spawn(move || {
                    carry(far, near, &|| {
                        while state.is_held.load(Ordering::SeqCst) {
                            thread::sleep(Duration::from_millis(5));
                        }
                    });
                });
            }
        });
        Line { address, state }
    }

    /// What the server says does not arrive, until it is let go.
    pub fn hold(&self, is_held: bool) {
        self.state.is_held.store(is_held, Ordering::SeqCst);
    }

    /// Breaks what is open. Whoever connects anew gets through.
    pub fn cut(&self) {
        for stream in self.state.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Breaks what is open, and lets nobody through.
    pub fn down(&self) {
        *self.state.target.lock().expect("no panic") = None;
        self.cut();
    }

    pub fn up(&self, target: &str) {
        *self.state.target.lock().expect("no panic") = Some(target.to_owned());
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, before_each: &dyn Fn()) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        before_each();
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
