//! The proof that the store in SQLite keeps what it acknowledged: on a disk that loses power, fails, or rots.

mod disk;
mod failing_disk;
mod figures;
mod power_cut;
mod rot;
mod trace;
