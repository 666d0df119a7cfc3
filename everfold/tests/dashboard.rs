//! The dashboard in a real browser: each promise is a file of `dashboard/tests/`, played against this very program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("dashboard")
}

/// Plays one file, and fails with what Playwright says of it.
fn played(file: &str) {
    let folder = folder();
    let playwright = folder.join("node_modules/.bin/playwright");
    assert!(
        playwright.exists(),
        "dashboard/node_modules is missing: 'cargo x test' makes it, and so does 'npm ci' in dashboard/"
    );
    let output = Command::new(playwright)
        .args(["test", "--output"])
        // Each has a place of its own for what it leaves behind when it fails.
        .arg(folder.join("test-results").join(file))
        .arg(format!("/{file}.spec.ts"))
        .current_dir(&folder)
        .env("EVERFOLD_BIN", env!("CARGO_BIN_EXE_everfold"))
        .env("NO_COLOR", "1")
        .env_remove("FORCE_COLOR")
        .output()
        .expect("Playwright starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "dashboard/tests/{file}.spec.ts:\n{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_file_of_promises_is_played() {
    let files = fs::read_dir(folder().join("tests"))
        .expect("a folder")
        .filter_map(|file| file.ok()?.file_name().into_string().ok());
    let specs = files.filter_map(|file| file.strip_suffix(".spec.ts").map(str::to_owned));
    let forgotten: Vec<_> =
        specs.filter(|spec| !include_str!("dashboard.rs").contains(&format!("played({spec:?})"))).collect();
    assert_eq!(forgotten, Vec::<String>::new());
}

#[test]
fn what_is_wrong_with_a_server_is_said_in_words() {
    played("health");
}

#[test]
fn a_first_visit_leads_from_an_address_typed_in_to_a_published_change() {
    played("first_visit");
}

#[test]
fn any_request_and_the_state_behind_it_can_be_travelled_to() {
    played("time_travel");
}

#[test]
fn what_became_of_a_request_is_said_and_an_error_shows_the_owners_own_line() {
    played("requests");
}

#[test]
fn a_guest_signs_in_by_a_link_from_the_mail_and_keeps_the_hooks() {
    played("sign_in");
}

#[test]
fn keys_are_paused_and_revoked_and_secrets_are_never_shown_again() {
    played("keys");
}

#[test]
fn a_version_is_restored_and_that_undone() {
    played("versions");
}

#[test]
fn a_hook_ends_only_when_its_name_is_typed_and_an_export_brings_it_back() {
    played("settings");
}

#[test]
fn what_waits_and_what_can_be_run_stand_first_and_one_field_finds_it_all() {
    played("home");
}

#[test]
fn a_page_shows_what_its_program_put_there_and_says_when_it_is_away() {
    played("pages");
}

#[test]
fn every_method_of_io_and_every_modifier_is_asked_answered_refused_with_words_and_shown() {
    played("io");
}

#[test]
fn ten_thousand_rows_are_gone_through_without_a_stall() {
    played("rows");
}

#[test]
fn every_call_of_ctx_says_what_it_should_and_is_seen() {
    played("ctx");
}

#[test]
fn a_run_goes_on_through_errors_reloads_a_second_tab_and_kills_of_either_side() {
    played("runs");
}

#[test]
fn a_tool_written_in_a_hook_is_used_by_a_person() {
    played("hosted_run");
}

#[test]
fn a_job_is_run_by_this_very_tab_also_while_the_server_is_away() {
    played("jobs");
}

#[test]
fn a_function_is_uploaded_built_called_and_rolled_back_at_its_page() {
    played("functions");
}

#[test]
fn an_action_is_scheduled_changed_and_paused_where_it_stands() {
    played("schedules");
}

#[test]
fn every_run_stays_and_is_found_again() {
    played("history");
}

#[test]
fn all_hooks_are_listed_with_what_happens_to_them() {
    played("hooks");
}

#[test]
fn fifty_thousand_requests_are_painted_within_a_second_and_scrolled_smoothly() {
    played("many_requests");
}

#[test]
fn two_tabs_show_the_same_and_a_killed_server_is_found_again() {
    played("live");
}

#[test]
fn at_the_width_of_a_phone_everything_is_within_reach() {
    played("phone");
}

#[test]
fn everything_is_done_by_keys() {
    played("keyboard");
}

#[test]
fn what_others_write_is_shown_as_text_and_never_runs() {
    played("hostile");
}

#[test]
fn every_address_answers_with_its_own_title_also_without_scripts() {
    played("addresses");
}

#[test]
fn axe_finds_no_violation_anywhere_in_light_or_dark() {
    played("accessibility");
}

#[test]
fn a_first_visit_loads_little() {
    played("bundle");
}
