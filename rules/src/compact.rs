//! JSON that was parsed already: how a worker's host hands a body to the guest, which then need not read text.
//!
//! A value is a tag and what belongs to it; numbers are varints (7 bits a byte, lowest first). Names of properties
//! stand once, in a list beside, and are referred to by their place in it, counted from 1.

use alloc::vec::Vec;

pub const NULL: u8 = 0;
pub const FALSE: u8 = 1;
pub const TRUE: u8 = 2;
/// 4 bytes, little endian, signed.
pub const INTEGER: u8 = 3;
/// 8 bytes, little endian.
pub const FLOAT: u8 = 4;
/// Length, then UTF-8.
pub const TEXT: u8 = 5;
/// Values, then `END`.
pub const ARRAY: u8 = 6;
pub const END: u8 = 7;
/// Names, each with its value behind it, then 0; in the order of the text. A name may repeat: its last value wins.
pub const OBJECT: u8 = 8;

pub fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads what was put; `None` at whatever does not fit.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }
}
