//! What every kind of storage promises, checked against a live one: the tests run it on every kind, and a person can
//! run it on a place of theirs. Everything happens below one folder with a random name, which is empty afterwards.

use std::io::Write;
use std::path::{Path, PathBuf};

use backstock_host::{Host, hex};
use ring::digest::{SHA256, digest};

use crate::{Error, InOneGo, ObjectName, RANGE_LIMIT_BYTES, SpooledPart, Storage};

/// Objects that are put at the same time.
const AT_ONCE: usize = 8;
/// Length of the larger test object: more than one buffer of any driver, and no round number.
const LARGE_BYTES: usize = (2 << 20) + 4321;

/// A promise was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// An act failed that must succeed.
    #[error("{promise}")]
    Failed {
        /// The promise.
        promise: &'static str,
        /// How it failed.
        #[source]
        source: Box<Error>,
    },
    /// An act ended otherwise than promised.
    #[error("{promise}: {seen}")]
    Broken {
        /// The promise.
        promise: &'static str,
        /// What was seen instead.
        seen: String,
    },
    /// The spool folder on this machine cannot be used.
    #[error("the test cannot write to its spool folder")]
    Spool(#[source] std::io::Error),
}

type Checked = Result<(), Violation>;

fn failed(promise: &'static str) -> impl Fn(Error) -> Violation {
    move |source| Violation::Failed { promise, source: Box::new(source) }
}

fn holds(is_so: bool, promise: &'static str, seen: &(impl ToString + ?Sized)) -> Checked {
    if is_so { Ok(()) } else { Err(Violation::Broken { promise, seen: seen.to_string() }) }
}

/// Checks every promise. `spool` is an existing folder of this machine for the parts that are put.
pub async fn check(host: &Host, storage: &dyn Storage, spool: &Path) -> Checked {
    storage.probe(None).await.map_err(failed("the place can be written, read, listed and deleted"))?;
    let mut mark = [0; 8];
    host.random.fill(&mut mark);
    let folder = ObjectName::new(&format!("backstock-contract-{}", hex::encode(&mark)))
        .map_err(|error| failed("a test folder has a name")(error.into()))?;
    storage.probe(Some(&folder)).await.map_err(failed("the same in a folder that is not there yet"))?;
    let trial = Trial { host, storage, spool, folder };
    let result = trial.run().await;
    let swept = trial.sweep().await;
    result.and(swept)
}

struct Trial<'a> {
    host: &'a Host,
    storage: &'a dyn Storage,
    spool: &'a Path,
    folder: ObjectName,
}

struct Spooled {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Spooled {
    fn part(&self, may_consume: bool) -> SpooledPart<'_> {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &self.bytes).as_ref());
        SpooledPart {
            path: &self.path,
            size_bytes: self.bytes.len() as u64,
            sha256,
            blocks: &[],
            may_consume,
        }
    }
}

impl Trial<'_> {
    async fn run(&self) -> Checked {
        self.parts_arrive_whole().await?;
        self.a_name_is_never_used_for_other_bytes().await?;
        self.a_part_that_changed_is_refused().await?;
        self.a_replaced_part_is_the_old_or_the_new_one().await?;
        self.a_replaced_small_object_is_the_new_one().await?;
        self.ranges_are_exact().await?;
        self.small_objects_arrive_whole().await?;
        self.folders_are_told_apart().await?;
        self.many_at_once_do_not_disturb_each_other().await?;
        self.deletion_is_final_and_repeatable().await
    }

    fn name(&self, steps: &str) -> Result<ObjectName, Violation> {
        self.folder.join(steps).map_err(|error| failed("a name of a test object is a name")(error.into()))
    }

    fn spool(&self, name: &str, length_bytes: usize) -> Result<Spooled, Violation> {
        let mut bytes = vec![0; length_bytes];
        self.host.random.fill(&mut bytes);
        let path = self.spool.join(name);
        let write = || {
            self.host.files.remove_file(&path)?;
            let mut file = self.host.files.create_new(&path)?;
            file.write_all(&bytes)?;
            file.sync()
        };
        write().map_err(Violation::Spool)?;
        Ok(Spooled { path, bytes })
    }

    async fn read(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, Violation> {
        let promise = "an object that was put can be read";
        self.storage.read_small(name, RANGE_LIMIT_BYTES).await.map_err(failed(promise))
    }

    async fn parts_arrive_whole(&self) -> Checked {
        let promise = "a part arrives whole, copied or taken, empty or large, under any name";
        let longest = format!("{}/naïve name, with blanks+marks (1)", "a".repeat(200));
        for (steps, length_bytes, may_consume) in [
            ("2026-11-20T03.00.00Z-0a1b2c3d/db/db.sql.zst", LARGE_BYTES, false),
            ("2026-11-20T03.00.00Z-0a1b2c3d/files/files.tar.zst.001", LARGE_BYTES, true),
            ("empty", 0, false),
            ("empty-taken", 0, true),
            (longest.as_str(), 1, true),
        ] {
            let (name, spooled) = (self.name(steps)?, self.spool("part", length_bytes)?);
            let put = self.storage.put(&name, &spooled.part(may_consume), &InOneGo).await;
            put.map_err(failed(promise))?;
            holds(self.read(&name).await?.as_ref() == Some(&spooled.bytes), promise, &name)?;
            let facts = self.storage.stat(&name).await.map_err(failed(promise))?;
            holds(facts.map(|facts| facts.size_bytes) == Some(length_bytes as u64), promise, &name)?;
            let kept = self.host.files.stat(&spooled.path).map_err(Violation::Spool)?.is_some();
            holds(may_consume || kept, "a part that may not be taken stays in the spool", &name)?;
        }
        Ok(())
    }

    async fn a_name_is_never_used_for_other_bytes(&self) -> Checked {
        let promise = "a name is never used for other bytes, and repeating a put changes nothing";
        let (name, spooled) = (self.name("once")?, self.spool("part", 5000)?);
        for _ in 0..2 {
            self.storage.put(&name, &spooled.part(false), &InOneGo).await.map_err(failed(promise))?;
        }
        for other in [self.spool("same-length", 5000)?, self.spool("other-length", 5001)?] {
            let put = self.storage.put(&name, &other.part(true), &InOneGo).await;
            holds(matches!(put, Err(Error::Conflict { .. })), promise, &format!("{put:?}"))?;
        }
        let put = self.storage.put_small(&name, b"small").await;
        holds(matches!(put, Err(Error::Conflict { .. })), promise, &format!("{put:?}"))?;
        self.storage.put_small(&name, &spooled.bytes).await.map_err(failed(promise))?;
        holds(self.read(&name).await? == Some(spooled.bytes), promise, "the old content is gone")
    }

    async fn a_part_that_changed_is_refused(&self) -> Checked {
        let promise = "a part that is not what was promised is refused, and nothing is visible";
        let (name, spooled) = (self.name("changed")?, self.spool("part", 5000)?);
        let part = spooled.part(false);
        let longer = SpooledPart { size_bytes: 5001, ..part };
        let missing = SpooledPart { path: &self.spool.join("missing"), ..part };
        let other = SpooledPart { sha256: [7; 32], ..part };
        for part in [longer, missing, other] {
            let put = self.storage.put(&name, &part, &InOneGo).await;
            holds(matches!(put, Err(Error::PartChanged { .. })), promise, &format!("{put:?}"))?;
            holds(self.read(&name).await?.is_none(), promise, "it is visible")?;
        }
        Ok(())
    }

    async fn a_replaced_part_is_the_old_or_the_new_one(&self) -> Checked {
        let promise = "a part that is replaced, copied or taken, is the new one whole, and stays the old one where that fails";
        let (name, old) = (self.name("replaced/part")?, self.spool("old", 4000)?);
        let first = self.storage.replace(&name, &old.part(false)).await;
        first.map_err(failed("what is not there can be put by replacing it"))?;
        for may_consume in [false, true] {
            let new = self.spool("new", LARGE_BYTES)?;
            self.storage.replace(&name, &new.part(may_consume)).await.map_err(failed(promise))?;
            holds(self.read(&name).await?.as_ref() == Some(&new.bytes), promise, &name)?;
            let other = self.spool("other", 5000)?;
            let changed = SpooledPart { size_bytes: 5001, ..other.part(may_consume) };
            let replaced = self.storage.replace(&name, &changed).await;
            holds(matches!(replaced, Err(Error::PartChanged { .. })), promise, &format!("{replaced:?}"))?;
            holds(self.read(&name).await?.as_ref() == Some(&new.bytes), promise, &name)?;
        }
        Ok(())
    }

    async fn a_replaced_small_object_is_the_new_one(&self) -> Checked {
        let promise = "a small object that is replaced is the new one whole";
        let name = self.name("replaced/small")?;
        for bytes in [b"first".as_slice(), b"another one", b""] {
            self.storage.replace_small(&name, bytes).await.map_err(failed(promise))?;
            holds(self.read(&name).await?.as_deref() == Some(bytes), promise, &name)?;
        }
        Ok(())
    }

    async fn ranges_are_exact(&self) -> Checked {
        let promise = "a range is exactly what was asked for, shorter only at the end";
        let (name, spooled) = (self.name("ranges")?, self.spool("part", LARGE_BYTES)?);
        self.storage.put(&name, &spooled.part(true), &InOneGo).await.map_err(failed(promise))?;
        let end = LARGE_BYTES as u64;
        for (offset, length) in [
            (0, 1),
            (1, 4096),
            (1 << 20, 12_345),
            (end - 5, 5),
            (end - 5, 50),
            (end, 1),
            (end + 9, 1),
            (7, 0),
        ] {
            let bytes = self.storage.read_range(&name, offset, length).await.map_err(failed(promise))?;
            let wanted: Vec<u8> = (offset..(offset + length).min(end))
                .filter_map(|at| spooled.bytes.get(usize::try_from(at).ok()?).copied())
                .collect();
            holds(bytes == wanted, promise, &format!("{length} from {offset}: {} bytes", bytes.len()))?;
        }
        let far = self.storage.read_range(&name, 0, RANGE_LIMIT_BYTES + 1).await;
        holds(matches!(far, Err(Error::TooLarge { .. })), promise, "a range above the limit was given")?;
        let missing = self.storage.read_range(&self.name("missing")?, 0, 1).await;
        holds(matches!(missing, Err(Error::NotFound { .. })), promise, &format!("{missing:?}"))
    }

    async fn small_objects_arrive_whole(&self) -> Checked {
        let promise = "a small object arrives whole";
        for (steps, bytes) in [("small/manifest.json", b"{}".to_vec()), ("small/none", Vec::new())] {
            let name = self.name(steps)?;
            for _ in 0..2 {
                self.storage.put_small(&name, &bytes).await.map_err(failed(promise))?;
            }
            holds(self.read(&name).await? == Some(bytes), promise, &name)?;
        }
        let short = self.storage.read_small(&self.name("small/manifest.json")?, 1).await;
        holds(matches!(short, Err(Error::TooLarge { .. })), promise, &format!("{short:?}"))
    }

    async fn folders_are_told_apart(&self) -> Checked {
        let promise = "a listing gives exactly the objects below a folder, sorted";
        for steps in ["list/b", "list/a/z", "list/a.b", "list/a/y/x", "listed"] {
            self.storage.put_small(&self.name(steps)?, b"x").await.map_err(failed(promise))?;
        }
        for (folder, wanted) in [
            ("list", vec!["list/a.b", "list/a/y/x", "list/a/z", "list/b"]),
            ("list/a", vec!["list/a/y/x", "list/a/z"]),
            ("list/none", vec![]),
            ("list/b", vec![]),
        ] {
            let found = self.storage.list(Some(&self.name(folder)?)).await.map_err(failed(promise))?;
            let wanted = wanted.into_iter().map(|steps| self.name(steps)).collect::<Result<Vec<_>, _>>()?;
            let found: Vec<_> = found.into_iter().map(|facts| facts.name).collect();
            holds(found == wanted, promise, &format!("{folder}: {found:?}"))?;
        }
        let everything = self.storage.list(None).await.map_err(failed(promise))?;
        let names: Vec<_> = everything.iter().map(|facts| &facts.name).collect();
        holds(names.contains(&&self.name("listed")?), promise, "an object is missing from the whole list")?;
        holds(names.is_sorted(), promise, "the whole list is not sorted")?;
        let folder = self.storage.stat(&self.name("list/a")?).await.map_err(failed(promise))?;
        holds(folder.is_none(), "a folder is no object", &format!("{folder:?}"))
    }

    async fn many_at_once_do_not_disturb_each_other(&self) -> Checked {
        let promise = "several puts at once do not disturb each other";
        let mut work = Vec::new();
        for number in 0..AT_ONCE {
            let spooled = self.spool(&format!("part-{number}"), 100_000 + number)?;
            work.push((self.name(&format!("at-once/{number}"))?, spooled));
        }
        let parts: Vec<_> = work.iter().map(|(name, spooled)| (name, spooled.part(false))).collect();
        let mut puts: Vec<_> =
            parts.iter().map(|(name, part)| self.storage.put(name, part, &InOneGo)).collect();
        // Every future is driven by hand in turn, so that all of them are under way together.
        std::future::poll_fn(|context| {
            let mut failure = None;
            puts.retain_mut(|put| match put.as_mut().poll(context) {
                std::task::Poll::Pending => true,
                std::task::Poll::Ready(done) => {
                    failure = failure.take().or(done.err());
                    false
                }
            });
            match failure {
                Some(error) => std::task::Poll::Ready(Err(failed(promise)(error))),
                None if puts.is_empty() => std::task::Poll::Ready(Ok(())),
                None => std::task::Poll::Pending,
            }
        })
        .await?;
        for (name, spooled) in &work {
            holds(self.read(name).await?.as_ref() == Some(&spooled.bytes), promise, name)?;
        }
        Ok(())
    }

    async fn deletion_is_final_and_repeatable(&self) -> Checked {
        let promise = "a deleted object is gone, others stay, and deleting again is no error";
        for _ in 0..2 {
            self.storage.delete(&self.name("list/a/z")?).await.map_err(failed(promise))?;
        }
        self.storage.delete(&self.name("never/was")?).await.map_err(failed(promise))?;
        self.storage.delete(&self.name("list/a")?).await.map_err(failed(promise))?;
        let gone = self.storage.stat(&self.name("list/a/z")?).await.map_err(failed(promise))?;
        holds(gone.is_none(), promise, "it is still there")?;
        let other = self.storage.stat(&self.name("list/a/y/x")?).await.map_err(failed(promise))?;
        holds(other.is_some(), promise, "another object went with it")?;
        let name = self.name("again")?;
        for bytes in [b"one", b"two"] {
            self.storage.put_small(&name, bytes).await.map_err(failed(promise))?;
            self.storage.delete(&name).await.map_err(failed(promise))?;
        }
        Ok(())
    }

    async fn sweep(&self) -> Checked {
        let promise = "the test can clean up after itself, and leaves nothing unfinished";
        for facts in self.storage.list(Some(&self.folder)).await.map_err(failed(promise))? {
            self.storage.delete(&facts.name).await.map_err(failed(promise))?;
        }
        let left = self.storage.delete_leftovers(Some(&self.folder)).await.map_err(failed(promise))?;
        holds(left == 0, promise, &format!("{left} unfinished uploads"))?;
        let left = self.storage.list(Some(&self.folder)).await.map_err(failed(promise))?;
        holds(left.is_empty(), promise, &format!("{left:?}"))?;
        for entry in self.host.files.list(self.spool).map_err(Violation::Spool)? {
            self.host.files.remove_file(&entry.0).map_err(Violation::Spool)?;
        }
        Ok(())
    }
}
