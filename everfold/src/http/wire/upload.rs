//! Files that people upload.

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct NewUpload {
    pub name: String,
    /// As browsers have it: empty of what they do not know.
    #[serde(rename = "type", default)]
    pub kind: String,
    pub size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadMade {
    pub upload_url: String,
    pub download_url: String,
}
