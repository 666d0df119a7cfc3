//! The system calls that sandboxed processes lack: seccomp, by deny-list, because they run whole languages.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

/// What would change the machine, look into other processes, or reach parts of the kernel that break often.
const DENIED: &[c_long] = &[
    // Mounts. What they are made of is denied twice: no capability, no call.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Keys of the kernel's ring are kept by user, not by namespace.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Programs and events of the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Told as if the kernel were older, because libraries then take the other way: `clone3` hides its flags in memory.
const UNKNOWN: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// All other families: some reach the hypervisor (vsock) whatever the network namespace, most are rarely looked at.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Writing into a terminal's input.
const TERMINAL_INJECTIONS: &[libc::Ioctl] = &[libc::TIOCSTI, libc::TIOCLINUX];

/// The filters as bubblewrap reads them, one descriptor each.
pub fn programs() -> Result<Vec<Vec<u8>>, seccompiler::BackendError> {
    let filters = [denied()?, unknown()?, foreign_numbers()];
    Ok(filters.iter().map(bytes).collect())
}

fn denied() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let has = |flag: &libc::c_int| {
        let flag = *flag as u32 as u64;
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)?])
    };
    rules.insert(libc::SYS_clone, NAMESPACES.iter().map(has).collect::<Result<_, _>>()?);
    let is_other =
        |family: &libc::c_int| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family as u64);
    let is_none = SeccompRule::new(FAMILIES.iter().map(is_other).collect::<Result<_, _>>()?)?;
    rules.insert(libc::SYS_socket, vec![is_none.clone()]);
    rules.insert(libc::SYS_socketpair, vec![is_none]);
    let asks = |request: &libc::Ioctl| {
        let request = *request as u32 as u64;
        SeccompRule::new(vec![SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)?])
    };
    rules.insert(libc::SYS_ioctl, TERMINAL_INJECTIONS.iter().map(asks).collect::<Result<_, _>>()?);
    program(rules, libc::EPERM)
}

fn unknown() -> Result<BpfProgram, seccompiler::BackendError> {
    program(UNKNOWN.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: libc::c_int,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let processor = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error as u32), processor)?.try_into()
}

/// x86-64 has a second set of numbers for the same calls (x32), which a list of the first would miss.
fn foreign_numbers() -> BpfProgram {
    const NUMBERS_END: u32 = 0x4000_0000;
    let instruction = |code: u32, jt, k| sock_filter { code: code as u16, jt, jf: 0, k };
    vec![
        // The number is the first word of what a filter is shown.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, NUMBERS_END),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]
}

fn bytes(program: &BpfProgram) -> Vec<u8> {
    let word = |filter: &sock_filter| {
        let [a, b] = filter.code.to_ne_bytes();
        let [e, f, g, h] = filter.k.to_ne_bytes();
        [a, b, filter.jt, filter.jf, e, f, g, h]
    };
    program.iter().flat_map(word).collect()
}
