//! Calls to Microsoft Graph: items by path or by id, pages of children, bytes from where Graph says that they are.

use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::is_taken;
use crate::account::{Account, Call, Refusal, below};
use crate::http::{Act, Http};
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, ObjectName, Result, oauth};

/// Where Graph is.
const API_URL: &str = "https://graph.microsoft.com/v1.0";
/// Entries of one page: the most that is advised.
const PAGE_ENTRIES: &str = "200";
/// The fields that are asked for.
const FIELDS: &str = "id,name,size,file,folder";

/// Graph, for one account.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) account: Account,
    api: Url,
    /// Whether everything lies in the folder of the application.
    in_app_folder: bool,
}

/// A file or a folder, or something else that is neither.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    size: u64,
    file: Option<FileFacet>,
    folder: Option<FolderFacet>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FileFacet {
    hashes: Option<Hashes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FolderFacet {}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    quick_xor_hash: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    value: Vec<Item>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Drive {
    quota: Option<Quota>,
}

#[derive(Debug, Deserialize)]
struct Quota {
    remaining: Option<i64>,
}

impl Item {
    pub(super) fn is_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size
    }

    /// The hash that OneDrive tells; it may come some time after the file.
    pub(super) fn quick_xor(&self) -> Option<&str> {
        self.file.as_ref()?.hashes.as_ref()?.quick_xor_hash.as_deref()
    }
}

impl Graph {
    pub(super) fn new(
        account: Account,
        endpoint: Option<&Url>,
        in_app_folder: bool,
    ) -> std::result::Result<Self, String> {
        Ok(Self { account, api: oauth::moved(API_URL, endpoint)?, in_app_folder })
    }

    pub(super) fn http(&self) -> &Http {
        &self.account.http
    }

    /// The address of what is at a path (none is the top), or of something about it.
    pub(super) fn path_url(
        &self,
        path: Option<&ObjectName>,
        about: Option<&str>,
        query: &[(&str, &str)],
    ) -> Url {
        let top: &[&str] = if self.in_app_folder { &["special", "approot"] } else { &["root"] };
        let mut steps: Vec<String> =
            ["me", "drive"].iter().chain(top).map(|step| (*step).to_owned()).collect();
        if let Some(path) = path {
            // Colons tell where the path begins and ends.
            steps.last_mut().into_iter().for_each(|step| step.push(':'));
            steps.extend(path.steps().map(str::to_owned));
            if about.is_some() {
                steps.last_mut().into_iter().for_each(|step| step.push(':'));
            }
        }
        steps.extend(about.map(str::to_owned));
        below(&self.api, &steps.iter().map(String::as_str).collect::<Vec<_>>(), query)
    }

    fn id_url(&self, id: &str, about: Option<&str>, query: &[(&str, &str)]) -> Url {
        let steps: Vec<_> = ["me", "drive", "items", id].into_iter().chain(about).collect();
        below(&self.api, &steps, query)
    }

    /// An address that Graph names for bytes, which need no token there: it is a secret, and must be encrypted.
    pub(super) fn bytes_url(&self, text: &str) -> Option<Url> {
        Url::parse(text).ok().filter(|url| url.scheme() == "https" || url.origin() == self.api.origin())
    }

    async fn item(&self, act: Act<'_>, url: Url) -> Result<Option<Item>> {
        self.account.json_if_there(act, &Call::new(Method::GET, url)).await
    }

    /// What is at a path, whatever the case of its letters.
    pub(super) async fn at_path(&self, act: Act<'_>, path: &ObjectName) -> Result<Option<Item>> {
        self.item(act, self.path_url(Some(path), None, &[("$select", FIELDS)])).await
    }

    /// An item as it is now.
    pub(super) async fn by_id(&self, act: Act<'_>, id: &str) -> Result<Option<Item>> {
        self.item(act, self.id_url(id, None, &[("$select", FIELDS)])).await
    }

    /// What is in a folder, page by page. None where it is no more.
    pub(super) async fn children(&self, act: Act<'_>, id: &str) -> Result<Option<Vec<Item>>> {
        let query = [("$top", PAGE_ENTRIES), ("$select", FIELDS)];
        let mut url = self.id_url(id, Some("children"), &query);
        let mut found = Vec::new();
        loop {
            let Some(answer) = self.account.if_there(act, &Call::new(Method::GET, url.clone())).await? else {
                return Ok(None);
            };
            let page: Page = self.account.json(act, answer).await?;
            found.extend(page.value);
            if found.len() > LIST_LIMIT_OBJECTS {
                let place = self.http().place().to_owned();
                return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
            }
            let Some(next) = page.next_link else { return Ok(Some(found)) };
            // The token goes to Graph only.
            let next = Url::parse(&next).ok().filter(|next| next.origin() == self.api.origin());
            let next = next.filter(|next| *next != url);
            let problem = "its list does not go on";
            url = next.ok_or_else(|| self.http().refused(act, Cause::Unexpected, problem, None))?;
        }
    }

    /// Makes a folder; it may be there already. False where the folder above it is not there.
    pub(super) async fn make_folder(&self, act: Act<'_>, path: &ObjectName) -> Result<bool> {
        let url = self.path_url(path.folder().as_ref(), Some("children"), &[]);
        let body = json!({
            "name": path.last_step(), "folder": {}, "@microsoft.graph.conflictBehavior": "fail",
        });
        match self.account.ask(act, &Call::new(Method::POST, url).json(&body)).await? {
            Err(refusal) if refusal.is_missing() => Ok(false),
            Err(refusal) if !is_taken(&refusal) => Err(self.account.fail(act, refusal)),
            _ => Ok(true),
        }
    }

    /// Deletes an item, a folder with all that is in it: it goes to the recycle bin. One that is not there is no error.
    pub(super) async fn delete(&self, act: Act<'_>, id: &str) -> Result<()> {
        self.account.if_there(act, &Call::new(Method::DELETE, self.id_url(id, None, &[]))).await.map(drop)
    }

    /// Gives an item another name.
    pub(super) async fn rename(&self, act: Act<'_>, id: &str, name: &str) -> Result<()> {
        let call = Call::new(Method::PATCH, self.id_url(id, None, &[])).json(&json!({ "name": name }));
        self.account.expect(act, &call).await.map(drop)
    }

    /// Reads from a file. None where it is no more. Graph names a place to read from, which is asked for the range, without
    /// the token.
    pub(super) async fn read(
        &self,
        act: Act<'_>,
        id: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Option<Vec<u8>>> {
        let call = Call::new(Method::GET, self.id_url(id, Some("content"), &[]));
        let answer = self.account.call(act, &call).await?;
        if answer.status() != StatusCode::FOUND {
            return match self.account.sort_out(act, answer).await? {
                // It gives the bytes itself, as far as they are wanted.
                Ok(answer) => {
                    self.http().read_range_of(act, answer, offset_bytes, length_bytes).await.map(Some)
                }
                Err(refusal) if refusal.is_missing() => Ok(None),
                Err(refusal) => Err(self.account.fail(act, refusal)),
            };
        }
        let place = answer.header("location").and_then(|location| self.bytes_url(location));
        let problem = "it does not tell where the bytes are";
        let place = place.ok_or_else(|| self.http().refused(act, Cause::Unexpected, problem, None))?;
        let last = offset_bytes.saturating_add(length_bytes.saturating_sub(1));
        let request = self.http().request(Method::GET, place);
        let answer =
            self.http().send(act, request.header("range", format!("bytes={offset_bytes}-{last}"))).await?;
        match answer.status() {
            status if status.is_success() => {
                self.http().read_range_of(act, answer, offset_bytes, length_bytes).await.map(Some)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Some(Vec::new())),
            // Such addresses die soon; the next try gets another one.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                let problem = "the place that it named does not have the bytes any more";
                Err(self.http().refused(act, Cause::Busy, problem, None))
            }
            _ => {
                let refusal = self.account.refused(act, answer).await;
                Err(self.account.fail(act, refusal))
            }
        }
    }

    /// Bytes that the account may still use, where it tells.
    pub(super) async fn free_bytes(&self) -> Result<Option<u64>> {
        let act = Act { verb: "ask for the free space of", name: "" };
        let url = below(&self.api, &["me", "drive"], &[("$select", "quota")]);
        let answer = match self.account.ask(act, &Call::new(Method::GET, url)).await? {
            Ok(answer) => answer,
            // The right to one folder is none to ask about the whole.
            Err(refusal) if self.in_app_folder && refusal.cause == Cause::Denied => return Ok(None),
            Err(refusal) => return Err(self.account.fail(act, refusal)),
        };
        let drive: Drive = self.account.json(act, answer).await?;
        Ok(drive.quota.and_then(|quota| quota.remaining).map(|left| u64::try_from(left).unwrap_or(0)))
    }

    /// Begins an upload in pieces, and tells where they go to.
    pub(super) async fn begin_upload(
        &self,
        act: Act<'_>,
        path: &ObjectName,
        on_conflict: &str,
    ) -> Result<std::result::Result<Url, Refusal>> {
        let url = self.path_url(Some(path), Some("createUploadSession"), &[]);
        let item = json!({ "@microsoft.graph.conflictBehavior": on_conflict, "name": path.last_step() });
        let answer = match self
            .account
            .ask(act, &Call::new(Method::POST, url).json(&json!({ "item": item })))
            .await?
        {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let session: Value = self.account.json(act, answer).await?;
        let place = session["uploadUrl"].as_str().and_then(|place| self.bytes_url(place));
        let problem = "it does not tell where the upload goes to";
        place.map(Ok).ok_or_else(|| self.http().refused(act, Cause::Unexpected, problem, None))
    }
}
