//! Calls to the API of Drive that know nothing of our names: files by id, lists by query.

use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use super::file::{FIELDS, FOLDER_TYPE, File};
use crate::account::{Account, Call, below};
use crate::http::{Act, Http};
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, Result, oauth};

/// Where files are described.
const API_URL: &str = "https://www.googleapis.com/drive/v3";
/// Where bytes are sent to.
const UPLOAD_URL: &str = "https://www.googleapis.com/upload/drive/v3";
/// Entries of one page: the most that Drive gives.
const PAGE_ENTRIES: &str = "1000";
/// Folders that one query asks about: its text may not grow without end.
const FOLDERS_AT_ONCE: usize = 50;

/// The API, for one account.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) account: Account,
    api: Url,
    upload: Url,
    shared_drive: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    files: Vec<File>,
    next_page_token: Option<String>,
    #[serde(default)]
    incomplete_search: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    storage_quota: Quota,
}

/// Whole numbers in texts; no limit where there is none.
#[derive(Debug, Deserialize)]
struct Quota {
    limit: Option<String>,
    usage: Option<String>,
}

impl Drive {
    pub(super) fn new(
        account: Account,
        endpoint: Option<&Url>,
        shared_drive: Option<String>,
    ) -> std::result::Result<Self, String> {
        let (api, upload) = (oauth::moved(API_URL, endpoint)?, oauth::moved(UPLOAD_URL, endpoint)?);
        Ok(Self { account, api, upload, shared_drive })
    }

    pub(super) fn http(&self) -> &Http {
        &self.account.http
    }

    /// The id of the folder in which everything begins. `root` is an alias: the real id needs a right that we do not ask for.
    pub(super) fn root(&self) -> &str {
        self.shared_drive.as_deref().unwrap_or("root")
    }

    /// Where uploads begin: a new file, or new bytes for one.
    pub(super) fn upload_url(&self, id: Option<&str>, upload_type: &str) -> Url {
        let steps = ["files"].into_iter().chain(id).collect::<Vec<_>>();
        let query = [("uploadType", upload_type), ("fields", FIELDS), ("supportsAllDrives", "true")];
        below(&self.upload, &steps, &query)
    }

    /// The address of an upload that was begun, if it is one of the place that uploads are begun at: the token goes nowhere else.
    pub(super) fn session_url(&self, text: &str) -> Option<Url> {
        Url::parse(text).ok().filter(|url| url.origin() == self.upload.origin())
    }

    fn file_url(&self, id: &str, query: &[(&str, &str)]) -> Url {
        let mut url = below(&self.api, &["files", id], query);
        url.query_pairs_mut().append_pair("supportsAllDrives", "true");
        url
    }

    /// Every file and folder that a query finds in these folders, page by page. None where one of the folders is no more.
    pub(super) async fn search(
        &self,
        act: Act<'_>,
        folders: &[String],
        query: &str,
    ) -> Result<Option<Vec<File>>> {
        let mut found = Vec::new();
        for some in folders.chunks(FOLDERS_AT_ONCE) {
            let parents: Vec<_> = some.iter().map(|id| format!("{} in parents", quoted(id))).collect();
            let query = format!("({}){query}", parents.join(" or "));
            let mut token = None::<String>;
            loop {
                let call = Call::new(Method::GET, self.search_url(&query, token.as_deref()));
                let Some(answer) = self.account.if_there(act, &call).await? else { return Ok(None) };
                let page: Page = self.account.json(act, answer).await?;
                if page.incomplete_search {
                    let problem = "it did not look through everything";
                    return Err(self.http().refused(act, Cause::Garbled, problem, None));
                }
                found.extend(page.files);
                if found.len() > LIST_LIMIT_OBJECTS {
                    let place = self.http().place().to_owned();
                    return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
                }
                let Some(next) = page.next_page_token.filter(|next| !next.is_empty()) else { break };
                if token.as_ref() == Some(&next) {
                    let problem = "its list does not go on";
                    return Err(self.http().refused(act, Cause::Unexpected, problem, None));
                }
                token = Some(next);
            }
        }
        Ok(Some(found))
    }

    fn search_url(&self, query: &str, token: Option<&str>) -> Url {
        let fields = format!("nextPageToken,incompleteSearch,files({FIELDS})");
        let mut pairs = vec![
            ("q", query),
            ("pageSize", PAGE_ENTRIES),
            ("fields", fields.as_str()),
            ("supportsAllDrives", "true"),
        ];
        if let Some(id) = self.shared_drive.as_deref() {
            pairs.extend([("corpora", "drive"), ("driveId", id), ("includeItemsFromAllDrives", "true")]);
        }
        pairs.extend(token.map(|token| ("pageToken", token)));
        below(&self.api, &["files"], &pairs)
    }

    /// A file as it is now. None where it is no more.
    pub(super) async fn file(&self, act: Act<'_>, id: &str) -> Result<Option<File>> {
        let call = Call::new(Method::GET, self.file_url(id, &[("fields", FIELDS)]));
        self.account.json_if_there(act, &call).await
    }

    /// Makes a folder, and tells its id. None where the folder above it is no more.
    pub(super) async fn make_folder(&self, act: Act<'_>, name: &str, above: &str) -> Result<Option<String>> {
        let url = below(&self.api, &["files"], &[("fields", FIELDS), ("supportsAllDrives", "true")]);
        let body = json!({ "name": name, "mimeType": FOLDER_TYPE, "parents": [above] });
        let made = self.account.json_if_there::<File>(act, &Call::new(Method::POST, url).json(&body)).await?;
        Ok(made.map(|folder| folder.id))
    }

    /// Deletes a file, or a folder with all that is in it, for good. One that is not there is no error.
    pub(super) async fn delete(&self, act: Act<'_>, id: &str) -> Result<()> {
        self.account.if_there(act, &Call::new(Method::DELETE, self.file_url(id, &[]))).await.map(drop)
    }

    /// Puts something in the trash, or takes it out again.
    pub(super) async fn set_trashed(&self, act: Act<'_>, id: &str, trashed: bool) -> Result<()> {
        let url = self.file_url(id, &[("fields", "id")]);
        let call = Call::new(Method::PATCH, url).json(&json!({ "trashed": trashed }));
        self.account.expect(act, &call).await.map(drop)
    }

    /// Reads from a file. None where it is no more.
    pub(super) async fn read(
        &self,
        act: Act<'_>,
        id: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Option<Vec<u8>>> {
        let last = offset_bytes.saturating_add(length_bytes.saturating_sub(1));
        let call = Call::new(Method::GET, self.file_url(id, &[("alt", "media")]));
        match self.account.ask(act, &call.header("range", format!("bytes={offset_bytes}-{last}"))).await? {
            Ok(answer) => self.http().read_range_of(act, answer, offset_bytes, length_bytes).await.map(Some),
            Err(refusal) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE => Ok(Some(Vec::new())),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(self.account.fail(act, refusal)),
        }
    }

    /// Bytes that the account may still use, where it has a limit; a shared drive has none of its own.
    pub(super) async fn free_bytes(&self) -> Result<Option<u64>> {
        if self.shared_drive.is_some() {
            return Ok(None);
        }
        let act = Act { verb: "ask for the free space of", name: "" };
        let url = below(&self.api, &["about"], &[("fields", "storageQuota")]);
        let answer = self.account.expect(act, &Call::new(Method::GET, url)).await?;
        let Quota { limit, usage } = self.account.json::<About>(act, answer).await?.storage_quota;
        let Some(limit) = limit else { return Ok(None) };
        let number = |text: String| {
            let problem = "its answer is not what the protocol says: a quota is no number";
            text.parse::<u64>().map_err(|_| self.http().refused(act, Cause::Garbled, problem, None))
        };
        let used = usage.map(number).transpose()?.unwrap_or(0);
        Ok(Some(number(limit)?.saturating_sub(used)))
    }
}

/// A text as queries quote it (guide "Search for files", "Query string syntax").
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_gives_a_meaning_is_escaped() {
        assert_eq!(quoted("it's a\\b"), "'it\\'s a\\\\b'");
    }
}
