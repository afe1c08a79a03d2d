//! A storage that fails where a test wants it to: at one call, from one call on, or when it is full.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Error, ObjectFacts, ObjectName, Properties, PutReceipt, Result, SpooledPart, Storage, Upload};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is done.
    Refused(io::ErrorKind),
    /// It is done, and the answer gets lost (F07).
    AnswerLost(io::ErrorKind),
}

#[derive(Debug, Clone, Copy)]
struct Order {
    first_call: u64,
    last_call: u64,
    failure: Failure,
}

#[derive(Debug, Default)]
struct Plan {
    calls: u64,
    orders: Vec<Order>,
    room_bytes: Option<u64>,
}

/// A storage that does what another one does, except where it was told to fail.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    plan: Mutex<Plan>,
}

impl Faulty {
    /// Wraps a storage. Without orders it does all that the other does.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls there were so far, of whatever kind.
    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    /// Makes one call fail, counted from now: 0 is the next one.
    pub fn fail_call(&self, call: u64, failure: Failure) {
        let mut plan = self.plan();
        let call = plan.calls + call;
        plan.orders.push(Order { first_call: call, last_call: call, failure });
    }

    /// Makes every call from one on fail, counted from now: the place is unreachable.
    pub fn fail_from(&self, call: u64, failure: Failure) {
        let mut plan = self.plan();
        let first_call = plan.calls + call;
        plan.orders.push(Order { first_call, last_call: u64::MAX, failure });
    }

    /// Lets so many bytes more be stored; then the place is full.
    pub fn set_room(&self, room_bytes: u64) {
        self.plan().room_bytes = Some(room_bytes);
    }

    /// Forgets every order.
    pub fn mend(&self) {
        let mut plan = self.plan();
        plan.orders.clear();
        plan.room_bytes = None;
    }

    /// Counts a call; what is to happen to it.
    fn next(&self) -> Option<Failure> {
        let mut plan = self.plan();
        let call = plan.calls;
        plan.calls += 1;
        let order = plan.orders.iter().find(|order| (order.first_call..=order.last_call).contains(&call));
        order.map(|order| order.failure)
    }

    fn take_room(&self, act: &'static str, name: &ObjectName, size_bytes: u64) -> Result<()> {
        let mut plan = self.plan();
        let Some(room_bytes) = plan.room_bytes else { return Ok(()) };
        match room_bytes.checked_sub(size_bytes) {
            Some(rest) => {
                plan.room_bytes = Some(rest);
                Ok(())
            }
            None => Err(failure_of(act, name.as_str(), io::ErrorKind::StorageFull)),
        }
    }

    async fn call<T>(
        &self,
        act: &'static str,
        name: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.next() {
            None => work.await,
            Some(Failure::Refused(kind)) => Err(failure_of(act, name, kind)),
            Some(Failure::AnswerLost(kind)) => {
                work.await?;
                Err(failure_of(act, name, kind))
            }
        }
    }
}

fn failure_of(act: &'static str, name: &str, kind: io::ErrorKind) -> Error {
    Error::Io { act, name: name.to_owned(), place: "a faulty place".to_owned(), source: kind.into() }
}

#[async_trait]
impl Storage for Faulty {
    async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        let work = async {
            self.take_room("put", name, part.size_bytes)?;
            self.inner.put(name, part, upload).await
        };
        self.call("put", name.as_str(), work).await
    }

    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let work = async {
            self.take_room("put", name, bytes.len() as u64)?;
            self.inner.put_small(name, bytes).await
        };
        self.call("put", name.as_str(), work).await
    }

    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        let work = async {
            self.take_room("replace", name, part.size_bytes)?;
            self.inner.replace(name, part).await
        };
        self.call("replace", name.as_str(), work).await
    }

    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let work = async {
            self.take_room("replace", name, bytes.len() as u64)?;
            self.inner.replace_small(name, bytes).await
        };
        self.call("replace", name.as_str(), work).await
    }

    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>> {
        self.call("look at", name.as_str(), self.inner.stat(name)).await
    }

    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        self.call("list", folder.map_or("", ObjectName::as_str), self.inner.list(folder)).await
    }

    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>> {
        self.call("read", name.as_str(), self.inner.read_range(name, offset_bytes, length_bytes)).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<()> {
        self.call("delete", name.as_str(), self.inner.delete(name)).await
    }

    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64> {
        let name = folder.map_or("", ObjectName::as_str);
        self.call("sweep", name, self.inner.delete_leftovers(folder)).await
    }

    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties> {
        self.call("test", "", self.inner.probe(folder)).await
    }

    async fn free_bytes(&self) -> Result<Option<u64>> {
        self.call("ask for the free space of", "", self.inner.free_bytes()).await
    }

    fn locks(&self) -> bool {
        self.inner.locks()
    }

    async fn lock(&self, name: &ObjectName, until: Timestamp) -> Result<()> {
        self.call("lock", name.as_str(), self.inner.lock(name, until)).await
    }

    async fn locked_until(&self, name: &ObjectName) -> Result<Option<Timestamp>> {
        self.call("ask for the lock of", name.as_str(), self.inner.locked_until(name)).await
    }

    fn local_path(&self, name: &ObjectName) -> Option<PathBuf> {
        self.inner.local_path(name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use backstock_host::SimulatedHost;

    use super::*;
    use crate::KeptNowhere;
    use crate::{StorageSettings, contract};

    fn faulty(machine: &SimulatedHost) -> Faulty {
        machine.host.files.create_folder(Path::new("/spool")).unwrap();
        let settings = StorageSettings::local(Path::new("/backups"));
        Faulty::new(crate::open(&machine.host, &settings, Arc::new(KeptNowhere)).unwrap())
    }

    #[tokio::test]
    async fn without_orders_it_keeps_the_contract() {
        let machine = SimulatedHost::new(1);
        contract::check(&machine.host, &faulty(&machine), Path::new("/spool")).await.unwrap();
    }

    /// The contract notices a failure of any single call, so that no promise goes unchecked.
    #[tokio::test]
    async fn the_contract_notices_every_call_that_fails() {
        let machine = SimulatedHost::new(1);
        let whole = faulty(&machine);
        contract::check(&machine.host, &whole, Path::new("/spool")).await.unwrap();
        for call in 0..whole.calls() {
            let machine = SimulatedHost::new(1);
            let storage = faulty(&machine);
            storage.fail_call(call, Failure::Refused(io::ErrorKind::BrokenPipe));
            let checked = contract::check(&machine.host, &storage, Path::new("/spool")).await;
            assert!(checked.is_err(), "call {call}");
        }
    }

    #[tokio::test]
    async fn a_kind_that_knows_no_locks_says_so() {
        let machine = SimulatedHost::new(1);
        let storage = faulty(&machine);
        let name = ObjectName::new("a").unwrap();
        storage.put_small(&name, b"bytes").await.unwrap();
        assert!(!storage.locks() && !storage.probe(None).await.unwrap().locks);
        assert_eq!(storage.locked_until(&name).await.unwrap(), None);
        let error = storage.lock(&name, Timestamp::MAX).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot lock \"a\" in a storage that knows no locks");
        assert_eq!(error.class(), backstock_vocabulary::ErrorClass::Ask);
        storage.fail_call(0, Failure::Refused(io::ErrorKind::TimedOut));
        assert_eq!(
            storage.locked_until(&name).await.unwrap_err().class(),
            backstock_vocabulary::ErrorClass::Retry
        );
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_the_object_and_a_full_place_takes_what_fits() {
        let machine = SimulatedHost::new(1);
        let storage = faulty(&machine);
        let name = ObjectName::new("a").unwrap();
        storage.fail_call(0, Failure::AnswerLost(io::ErrorKind::ConnectionReset));
        let error = storage.put_small(&name, b"bytes").await.unwrap_err();
        assert_eq!(error.class(), backstock_vocabulary::ErrorClass::Retry);
        assert!(storage.stat(&name).await.unwrap().is_some());
        storage.set_room(4);
        let error = storage.put_small(&ObjectName::new("b").unwrap(), b"bytes").await.unwrap_err();
        assert!(error.is_full() && error.class() == backstock_vocabulary::ErrorClass::Ask);
        storage.put_small(&ObjectName::new("c").unwrap(), b"byte").await.unwrap();
        storage.fail_from(0, Failure::Refused(io::ErrorKind::TimedOut));
        assert!(storage.list(None).await.is_err() && storage.probe(None).await.is_err());
        storage.mend();
        assert_eq!(storage.list(None).await.unwrap().len(), 2);
    }
}
