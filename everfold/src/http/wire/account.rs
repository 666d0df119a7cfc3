//! Who somebody is: tokens, accounts and their keys, the settings of the server.

use rules::settings;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub struct Tokens {
    pub jwt: String,
    #[serde(rename = "refreshToken")]
    pub refresh_token: String,
}

#[derive(Deserialize)]
pub struct RefreshToken {
    pub token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    pub id: String,
    pub email: Option<String>,
    pub workflow_state: &'static str,
    /// Of the server.
    pub is_owner: bool,
}

#[derive(Deserialize)]
pub struct AskForLink {
    pub email: String,
}

#[derive(Deserialize)]
pub struct FollowLink {
    pub token: String,
}

#[derive(Deserialize)]
pub struct NewAccountKey {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
}

#[derive(Serialize)]
pub struct AccountKeyMade {
    pub id: String,
    pub key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountKeyDetail {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub created_at: u64,
    pub last_used_at: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    closed_to_guests: bool,
    closed_to_new_users: bool,
    resume_connected: bool,
}

impl From<&settings::Settings> for Settings {
    fn from(settings: &settings::Settings) -> Self {
        Settings {
            closed_to_guests: settings.closed_to_guests,
            closed_to_new_users: settings.closed_to_new_users,
            resume_connected: settings.resume_connected,
        }
    }
}

/// A misspelt setting is refused: its owner would believe it set.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsChange {
    pub closed_to_guests: Option<bool>,
    pub closed_to_new_users: Option<bool>,
    pub resume_connected: Option<bool>,
}

#[derive(Clone, Serialize)]
pub struct MailDetail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub link: String,
    /// Of a link to sign in.
    pub token: Option<String>,
    pub at: u64,
}
