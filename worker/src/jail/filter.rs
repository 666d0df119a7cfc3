//! The system calls that are left: seccomp, by allow-list.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// System calls by number, and those that are permitted only to map memory that is neither code nor beyond count.
pub struct Permitted {
    calls: &'static [c_long],
    /// Their third argument is a protection, and must not ask for execution.
    data_only: &'static [c_long],
}

/// What an isolate needs to read a frame, run a program in memory it maps, and write a frame.
///
/// Absent on purpose: everything that names a file, a socket, another process or a thread, and everything that
/// makes code of data.
pub const ISOLATE: Permitted = Permitted {
    calls: &[
        // Frames, and the images of programs in descriptors that were made before.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_pwrite64,
        libc::SYS_ftruncate,
        // Which pages were written.
        libc::SYS_pread64,
        // Memory.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Two threads, waiting for each other and for time.
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        libc::SYS_restart_syscall,
        // Traps of Wasm arrive as signals.
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        // The seeds of hash maps, and how much memory was used.
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ],
    data_only: &[libc::SYS_mmap, libc::SYS_mprotect],
};

/// What the outer half of a jailed process needs.
pub(super) const WAITING: Permitted = Permitted {
    calls: &[libc::SYS_wait4, libc::SYS_restart_syscall, libc::SYS_rt_sigreturn, libc::SYS_exit_group],
    data_only: &[],
};

#[derive(Debug, thiserror::Error)]
pub(super) enum Leaky {
    #[error("no filter for this processor: {0}")]
    Unbuildable(#[from] seccompiler::BackendError),
    #[error("the kernel refused the filter: {0}")]
    Refused(#[from] seccompiler::Error),
}

/// Kills the process at any other call, from all its threads, for good.
pub(super) fn install(permitted: &Permitted) -> Result<(), Leaky> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in permitted.calls {
        rules.insert(*call, Vec::new());
    }
    for call in permitted.data_only {
        let not_code = without(2, libc::PROT_EXEC)?;
        let rule = if *call == libc::SYS_mmap {
            // Memory that is shared and of no file would count for no limit.
            let not_shared = SeccompRule::new(vec![not_code.clone(), without(3, libc::MAP_SHARED)?])?;
            let of_a_file = SeccompRule::new(vec![not_code, without(3, libc::MAP_ANONYMOUS)?])?;
            vec![not_shared, of_a_file]
        } else {
            vec![SeccompRule::new(vec![not_code])?]
        };
        rules.insert(*call, rule);
    }
    let processor = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, processor)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

/// That an argument lacks these bits.
fn without(argument: u8, bits: libc::c_int) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits as u64), 0)
}
