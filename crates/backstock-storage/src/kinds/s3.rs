//! A bucket of an S3-compatible service: AWS, Cloudflare R2, MinIO, OVH, Scaleway, Wasabi, Backblaze B2, Garage and others.
//!
//! Protocol: the Amazon S3 API reference, requests signed by version 4 with the signature in the address. An object is
//! visible when its PUT or its CompleteMultipartUpload is done, never before. Nothing rests on conditional requests, trailing
//! checksums or multipart etags: servers differ too much in them. Where the bucket keeps versions, the oldest of a key is the object.

mod bucket;
mod failure;
mod listing;
mod lock;
mod md5_lanes;
mod multipart;
mod objects;
mod pieces;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::{Host, Random, hex};
use jiff::Timestamp;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use self::bucket::Bucket;
use self::lock::LockMode;
use super::Kind;
use crate::probe::Rights;
use crate::{
    Cause, Error, KeepSecrets, ObjectFacts, ObjectName, Properties, PutReceipt, Result, Secret, SpooledPart,
    Storage, Upload, probe,
};

pub(super) const KIND: Kind = Kind {
    name: "s3",
    title: "S3-compatible storage",
    schema: || schema_for!(S3Settings),
    open,
    resumes: true,
    link: None,
};

/// The largest object of S3, in bytes.
const LARGEST_OBJECT_BYTES: u64 = 5 << 40;

/// The settings of a bucket of an S3-compatible service.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Settings {
    /// The address of the service, such as https://s3.eu-central-1.amazonaws.com.
    endpoint: String,
    /// The bucket; it must exist.
    bucket: String,
    /// The folder of the bucket in which everything is kept; none is the whole bucket.
    #[serde(default)]
    prefix: String,
    /// The region, as the service calls it; Cloudflare R2 wants auto.
    #[serde(default = "default_region")]
    region: String,
    /// Whether addresses name the bucket in their path; otherwise it is a part of the host's name.
    #[serde(default = "default_path_style")]
    path_style: bool,
    /// The id of the access key.
    access_key_id: String,
    /// The secret of the access key.
    secret_access_key: Secret,
    /// The session token that belongs to a temporary access key.
    session_token: Option<Secret>,
    /// The storage class of what is stored, such as STANDARD_IA; none is that of the bucket.
    storage_class: Option<String>,
    /// Whether backups are locked by Object Lock until their retention ends: governance (only keys with the right to bypass
    /// governance may delete them before) or compliance (nobody may, and not the owner of the account); none is no locks.
    lock: Option<LockMode>,
    /// A file of PEM certificates to trust beside the usual ones, as an absolute path.
    ca_file: Option<String>,
    /// The address of an HTTP proxy to go through.
    proxy: Option<String>,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_path_style() -> bool {
    true
}

fn open(host: &Host, settings: &serde_json::Value, _keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(s3(host, settings)?))
}

fn s3(host: &Host, settings: &serde_json::Value) -> Result<S3> {
    let fault = |problem: String| Error::Settings { kind: KIND.name, problem };
    let settings = S3Settings::deserialize(settings).map_err(|error| fault(error.to_string()))?;
    let bucket = Bucket::new(host, &settings).map_err(fault)?;
    Ok(S3 { bucket, random: host.random.clone() })
}

/// A storage in a bucket.
#[derive(Debug)]
struct S3 {
    bucket: Bucket,
    random: Arc<dyn Random>,
}

#[async_trait]
impl Storage for S3 {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        self.bucket.put(name, part, upload).await
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.bucket.put_small(name, bytes).await
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        self.bucket.replace(name, part).await
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        self.bucket.replace_small(name, bytes).await
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        let head = self.bucket.head("look at", name).await?;
        Ok(head.map(|head| ObjectFacts { name: name.clone(), size_bytes: head.size_bytes }))
    }

    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        self.bucket.list(folder).await
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        self.bucket.read_range(name, offset_bytes, length_bytes).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        self.bucket.delete(name).await
    }

    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64> {
        let mut count = self.bucket.abort_uploads(folder).await?;
        for facts in self.bucket.list(folder).await?.iter().filter(|facts| probe::is_probe(&facts.name)) {
            match self.bucket.delete(&facts.name).await {
                Err(Error::Refused { cause: Cause::Denied | Cause::Locked, .. }) => {}
                other => {
                    other?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        let locks = self.bucket.expect_object_lock().await?;
        if locks {
            self.bucket.ask_to_lock(&probe::new_name(folder, &*self.random)?).await?;
        }
        let rights = self.rights(folder).await?;
        let largest_object_bytes = Some(LARGEST_OBJECT_BYTES);
        Ok(Properties { locks, largest_object_bytes, ..Properties::far(rights, true) })
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn locks(&self) -> bool {
        self.bucket.lock.is_some()
    }

    async fn lock(&self, name: &ObjectName, until: Timestamp) -> Result<()> {
        self.bucket.lock(name, until).await
    }

    async fn locked_until(&self, name: &ObjectName) -> Result<Option<Timestamp>> {
        self.bucket.locked_until(name).await
    }
}

impl S3 {
    /// Does the test, and tells what is allowed. A key that may not delete is asked before anything is written: S3 refuses it
    /// whether or not there is such an object. What such a key writes stays, always under one name; that is written over, which
    /// takes nothing away where the bucket keeps versions.
    async fn rights(&self, folder: Option<&ObjectName>) -> Result<Rights> {
        let place = self.bucket.http.place();
        let kept = probe::kept_name(folder)?;
        if probe::may_delete(self.ask_to_delete(&kept).await)? {
            let rights = probe::rights(self, place, folder, &*self.random).await?;
            if rights.deletes {
                return Ok(rights);
            }
        }
        for _ in 0..2 {
            let mut content = hex::encode(&[0; 32]).into_bytes();
            self.random.fill(&mut content);
            if !self.bucket.keeps(&kept, &content).await? {
                return Err(probe::unreliable(place, "an object reads back different from what was written"));
            }
        }
        if !self.bucket.list(folder).await?.iter().any(|facts| facts.name == kept) {
            return Err(probe::unreliable(place, "an object that was written is not listed"));
        }
        Ok(Rights { replaces: !self.bucket.has_versions().await?, deletes: false })
    }

    async fn ask_to_delete(&self, kept: &ObjectName) -> Result<()> {
        if self.bucket.has_versions().await? {
            self.bucket.delete_no_version(kept).await?;
        }
        self.bucket.delete(kept).await
    }
}

/// Whether a deletion was refused: for want of a right, or by a lock that the bucket lays on everything. Other failures stay failures.
#[cfg(test)]
mod tests;
