//! Data keys: for whom they open, what another key is called, and that nothing is ever used twice (F79).

use std::collections::HashSet;
use std::sync::Arc;

use backstock_vocabulary::{ArtifactKind, IdentityId};

use super::{Predictable, backup_id, open_whole, seal_for, sealed};
use crate::Error;
use crate::seal::{ArtifactSeal, BackupSeal, PartSealer, PrivateIdentity, Recipient, SealedHeader, Suite};

#[test]
fn each_recipient_opens_the_key_and_nobody_else_does() {
    let random = Predictable::of(1);
    let identity =
        |number: u8, suite| PrivateIdentity::new(&random, IdentityId::from_parts(1, [number; 10]), suite);
    let people = [identity(1, Suite::XWing), identity(2, Suite::X25519), identity(3, Suite::XWing)];
    let recipient =
        |person: &PrivateIdentity| person.public(jiff::Timestamp::UNIX_EPOCH).unwrap().recipient();
    let recipients: Vec<Recipient> = people[..2].iter().map(recipient).collect();
    let seal = Arc::new(BackupSeal::new(&random, backup_id(1), &recipients).unwrap());
    let bytes = sealed(&random, &seal, 1, b"some text");
    let header = SealedHeader::read(&bytes, "x").unwrap();
    for person in &people[..2] {
        let key = header.open_key(person, "x").unwrap().unwrap();
        assert_eq!(key.secret().bytes(), seal.key().secret().bytes());
    }
    assert!(header.open_key(&people[2], "x").unwrap().is_none());
    // Another key under the same id is no damage of the backup that could be mended, but it is not the owner's either.
    let false_one = identity(1, Suite::XWing);
    assert!(header.open_key(&false_one, "x").err().unwrap().is_damage());
    let other_suite = identity(2, Suite::XWing);
    assert!(header.open_key(&other_suite, "x").err().unwrap().is_damage());
}

#[test]
fn a_backup_for_nobody_or_for_a_key_that_is_none_is_refused() {
    let random = Predictable::of(1);
    assert!(matches!(BackupSeal::new(&random, backup_id(1), &[]), Err(Error::Option { .. })));
    for (suite, length) in [(Suite::XWing, 32), (Suite::X25519, 31), (Suite::XWing, 1217)] {
        let identity = IdentityId::from_parts(1, [1; 10]);
        let recipient = Recipient { identity, suite, public_key: vec![1; length] };
        assert!(BackupSeal::new(&random, backup_id(1), &[recipient]).is_err(), "{suite:?} {length}");
    }
    let (_, seal) = seal_for(&random, Suite::X25519, backup_id(1));
    let many = |count| {
        let (identity, _) = seal_for(&random, Suite::X25519, backup_id(1));
        let recipient = identity.public(jiff::Timestamp::UNIX_EPOCH).unwrap().recipient();
        let seal = BackupSeal::new(&random, backup_id(1), &vec![recipient; count]).unwrap();
        PartSealer::begin(&random, &ArtifactSeal::of(&Arc::new(seal), ArtifactKind::Files), 1).map(drop)
    };
    assert!(many(16).is_ok() && many(17).is_err());
    assert!(open_whole(sealed(&random, &seal, 1, b""), &seal).unwrap().is_empty());
}

/// F79: 10,000 parts of equal text share no key and no salt.
#[test]
fn f79_nothing_random_is_ever_used_twice() {
    let random = backstock_host::random::RealRandom;
    let (mut keys, mut starts) = (HashSet::new(), HashSet::new());
    let identity = PrivateIdentity::new(&random, IdentityId::from_parts(1, [1; 10]), Suite::X25519);
    let recipient = identity.public(jiff::Timestamp::UNIX_EPOCH).unwrap().recipient();
    for _ in 0..500 {
        let seal = BackupSeal::new(&random, backup_id(1), std::slice::from_ref(&recipient)).unwrap();
        assert!(keys.insert(*seal.key().secret().bytes()));
        let seal = ArtifactSeal::of(&Arc::new(seal), ArtifactKind::Files);
        for number in 1..=20 {
            let (sealer, _) = PartSealer::begin(&random, &seal, number).unwrap();
            let keep = &mut |segment: Vec<u8>| {
                assert!(starts.insert(segment[1..40].to_vec()));
                Ok(segment)
            };
            sealer.finish(keep).unwrap();
        }
    }
    assert_eq!((keys.len(), starts.len()), (500, 10_000));
}
