//! Puts a used memory back to its image by copying the pages that were written, and only those.
//!
//! A fresh mapping costs a fault for each page that a call touches, which is most of what a small call costs; a
//! rinsed one costs none. The kernel knows which pages of a private mapping are no longer the file's own: that is
//! asked, never guessed.

use std::os::fd::OwnedFd;

use super::Image;

/// Beyond this a fresh mapping is cheaper. A page once written counts at every rinse after.
const WRITTEN_PAGES_MAX: usize = 256;

/// `/proc/self/pagemap`: eight bytes for each page of this process.
pub struct PageMap {
    file: OwnedFd,
    page_bytes: usize,
    entries: Vec<u64>,
}

const ENTRY_BYTES: usize = size_of::<u64>();
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// The page is the file's own: read perhaps, but never written by this mapping.
const FILES_OWN: u64 = 1 << 61;

impl PageMap {
    pub fn new(file: OwnedFd) -> Self {
        PageMap { file, page_bytes: rustix::param::page_size(), entries: Vec::new() }
    }

    /// Whether `memory`, which began as `image`, is the image again.
    pub fn rinse(&mut self, memory: &mut [u8], image: &Image) -> bool {
        let content = image.content();
        let page_bytes = self.page_bytes;
        if memory.len() != content.len() || !self.read(memory) {
            return false;
        }
        let is_written = |entry: &u64| entry & (PRESENT | SWAPPED) != 0 && entry & FILES_OWN == 0;
        if self.entries.iter().filter(|entry| is_written(entry)).count() > WRITTEN_PAGES_MAX {
            return false;
        }
        for (page, _) in self.entries.iter().enumerate().filter(|(_, entry)| is_written(entry)) {
            let range = page * page_bytes..(page + 1) * page_bytes;
            memory[range.clone()].copy_from_slice(&content[range]);
        }
        true
    }

    /// Reads the entries of all pages of `memory`, which begins and ends with a page.
    fn read(&mut self, memory: &[u8]) -> bool {
        self.entries.resize(memory.len() / self.page_bytes, 0);
        let first = memory.as_ptr().addr() / self.page_bytes;
        let mut bytes = [0_u8; 4096];
        let mut done = 0;
        while done < self.entries.len() {
            let wanted = (self.entries.len() - done).min(bytes.len() / ENTRY_BYTES) * ENTRY_BYTES;
            let offset = (first + done) * ENTRY_BYTES;
            match rustix::io::pread(&self.file, &mut bytes[..wanted], offset as u64) {
                Ok(read) if read == wanted => {}
                _ => return false,
            }
            for entry in bytes[..wanted].as_chunks::<ENTRY_BYTES>().0 {
                self.entries[done] = u64::from_ne_bytes(*entry);
                done += 1;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use rules::{
        call::{Bounded, Bytes, Call, Foldable, Outcome, Parsed, Request},
        limits::Limits,
    };

    use super::super::{Code, Isolate, Origin};
    use super::*;
    use crate::bounds::STACK_BYTES;

    const BUSY: &str = "
        const kept = new Map();
        export function reducer(state = 0, { body }) {
            kept.set(body, Array.from({ length: body }, (_, i) => ({ i, s: String(i).repeat(3) })));
            globalThis.kept = kept;
            Object.prototype.polluted = body;
            if (body % 7 === 0) throw new Error(JSON.stringify([...kept]).length);
            return state + kept.size;
        }";

    fn fold(state: u64, body: u64) -> Bounded {
        let request = Request {
            id: body.into(),
            seq: 1,
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: vec![("content-type".into(), Bytes(b"application/json".to_vec()))],
            body: Bytes(body.to_string().into_bytes()),
            created_at_ms: 0,
        };
        let requests = vec![Foldable { request: Arc::new(request), forced: None }];
        let state = Some(state.to_string().into());
        Bounded {
            call: Call::Fold { state, requests, secrets: "{}".into() },
            limits: Limits::default(),
            parsed: Parsed::default(),
        }
    }

    fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
        thread::Builder::new().stack_size(STACK_BYTES).spawn(test).expect("a thread").join().expect("the test");
    }

    fn code() -> Code {
        Code::of(super::super::code::file().expect("a file").into()).expect("code")
    }

    fn loaded(isolate: &Isolate) -> Origin {
        let file = Image::blank().expect("a file");
        let loaded = isolate.load(BUSY, Duration::from_secs(2), file);
        loaded.unwrap_or_else(|_| panic!("not loaded")).1
    }

    #[test]
    fn a_rinsed_guest_is_its_image_to_the_last_byte() {
        on_a_large_stack(|| {
            let page_map = std::fs::File::open("/proc/self/pagemap").expect("a page map");
            let mut isolate = Isolate::new(code(), Some(page_map.into())).expect("an isolate");
            let mut program = loaded(&isolate);
            let mut rinsed = 0;
            for body in 0..200 {
                isolate.call(&mut program, &fold(1, body % 97)).expect("an answer");
                if let Some(guest) = &program.rinsed {
                    assert!(guest.content() == program.image.content(), "after {body}");
                    rinsed += 1;
                }
            }
            assert!(rinsed > 100, "{rinsed}");
        });
    }

    #[test]
    fn a_rinsed_guest_answers_as_a_fresh_one() {
        on_a_large_stack(|| {
            let page_map = std::fs::File::open("/proc/self/pagemap").expect("a page map");
            let mut rinsing = Isolate::new(code(), Some(page_map.into())).expect("an isolate");
            let mut fresh = Isolate::new(code(), None).expect("an isolate");
            let mut programs = [loaded(&rinsing), loaded(&fresh)];
            for body in (0..60).chain([40_000, 3, 7]) {
                let answers = [
                    rinsing.call(&mut programs[0], &fold(body, body)).expect("an answer"),
                    fresh.call(&mut programs[1], &fold(body, body)).expect("an answer"),
                ];
                assert!(matches!(answers[0], Outcome::Folded(_)));
                assert_eq!(answers[0], answers[1]);
                assert!(programs[1].rinsed.is_none());
            }
        });
    }
}
