//! The wall that needs no rights to build: no file, no port, no signal beyond the process itself.

use ::landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

use super::Layer;

/// Denies all that this kernel's Landlock can deny; newer kernels deny more.
pub fn deny_everything() -> Layer {
    let (holds, detail) = match restrict() {
        Ok((RulesetStatus::FullyEnforced, _)) => (true, String::new()),
        Ok((RulesetStatus::PartiallyEnforced, status)) => (true, format!("in part: {}", told(status))),
        Ok((RulesetStatus::NotEnforced, status)) => (false, told(status)),
        Err(error) => (false, error.to_string()),
    };
    Layer { name: "landlock".into(), holds, detail }
}

fn restrict() -> Result<(RulesetStatus, LandlockStatus), RulesetError> {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok((restricted.ruleset, restricted.landlock))
}

fn told(status: LandlockStatus) -> String {
    match status {
        LandlockStatus::NotEnabled => "the kernel has it switched off".into(),
        LandlockStatus::NotImplemented => "the kernel does not have it".into(),
        LandlockStatus::Available { effective_abi, .. } => format!("the kernel knows it as of {effective_abi:?}"),
    }
}
